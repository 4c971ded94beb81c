-- torch.autocast on the CPU: dtypes inside, and that it is left.
local test = require "test"
local torch = require "torch"

local a, b = torch.randn(4, 4), torch.randn(4, 4)

test.case("matrix products are computed in bfloat16 inside", function()
  do
    local _ <close> = torch.autocast("cpu")
    test.equal(torch.mm(a, b).dtype, torch.bfloat16)
    test.equal((a + b).dtype, torch.float32)
    test.equal(torch.is_autocast_enabled("cpu"), true)
    test.equal(torch.mm(a, b):exp().dtype, torch.bfloat16)
  end
  test.equal(torch.mm(a, b).dtype, torch.float32)
  test.equal(torch.is_autocast_enabled("cpu"), false)
end)

test.case("a function is run under it with its arguments, and its results come back", function()
  local y, two = torch.autocast("cpu", {dtype = torch.float16}, function(x, n) return torch.mm(x, b), n end, a, 2)
  test.equal(y.dtype, torch.float16)
  test.equal(two, 2)
  test.equal(torch.autocast("cpu", torch.bfloat16, torch.mm, a, b).dtype, torch.bfloat16)
end)

test.case("it nests, and an error leaves it", function()
  torch.autocast("cpu", function()
    torch.autocast("cpu", {enabled = false}, function() test.equal(torch.mm(a, b).dtype, torch.float32) end)
    pcall(torch.autocast, "cpu", {dtype = torch.float16}, function() error "out" end)
    test.equal(torch.get_autocast_dtype("cpu"), torch.bfloat16)
    test.equal(torch.mm(a, b).dtype, torch.bfloat16)
  end)
  test.equal(torch.is_autocast_enabled("cpu"), false)
  test.equal(torch.autocast_increment_nesting(), 1)
  test.equal(torch.autocast_decrement_nesting(), 0)
end)

test.case("gradients of float32 weights are float32", function()
  local w = torch.randn(4, 4, {requires_grad = true})
  torch.autocast("cpu", function() return torch.mm(a, w):sum() end):backward()
  test.equal(w.grad.dtype, torch.float32)
end)

test.case("weights are cast once, unless the cache is off", function()
  test.equal(torch.is_autocast_cache_enabled(), true)
  torch.autocast("cpu", {cache_enabled = false}, function() test.equal(torch.is_autocast_cache_enabled(), false) end)
  test.equal(torch.is_autocast_cache_enabled(), true)
  torch.clear_autocast_cache()
end)

test.case("what cannot be is said as PyTorch says it", function()
  test.raises("unsupported autocast device_type 'meta'", torch.autocast, "meta")
  test.raises("Expected one of cpu, cuda", torch.autocast, "foo")
  test.raises("device_type", torch.autocast)
  torch.autocast("cpu", {dtype = torch.float32}, function() -- warned, and off
    test.equal(torch.is_autocast_enabled("cpu"), false)
  end)
  test.equal(torch.amp.is_autocast_available("cpu"), true)
  test.equal(torch.amp.is_autocast_available("meta"), false)
end)

test.case("the switches by themselves", function()
  torch.set_autocast_enabled("cpu", true)
  torch.set_autocast_dtype("cpu", torch.float16)
  test.equal(torch.mm(a, b).dtype, torch.float16)
  test.equal(torch.is_autocast_cpu_enabled(), true)
  test.equal(torch.get_autocast_cpu_dtype(), torch.float16)
  torch.set_autocast_enabled("cpu", false)
  torch.set_autocast_dtype("cpu", torch.bfloat16)
  test.equal(torch.get_autocast_gpu_dtype(), torch.float16)
  test.equal(torch.is_autocast_enabled(), false)
  test.equal(torch.cpu.amp.autocast(true, torch.bfloat16, torch.mm, a, b).dtype, torch.bfloat16)
end)

test.case("a module is run under it as a function is", function()
  local model = torch.nn.Linear(4, 4)
  test.equal(torch.autocast("cpu", model, a).dtype, torch.bfloat16)
  test.equal(torch.autocast("cpu", {dtype = torch.float16}, model, a).dtype, torch.float16)
  test.equal(torch.is_autocast_enabled("cpu"), false)
end)

test.case("what cannot be called is an error that names the mode, before it is entered", function()
  for _, call in ipairs {
    function() return torch.autocast("cpu", torch.bfloat16, true, true, 5) end,
    function() return torch.autocast("cpu", {enabled = true}, "x", a) end,
    function() return torch.autocast("cpu", {enabled = true}, nil, a) end,
  } do
    test.raises("torch.autocast: expected a function or a module after its arguments", call)
    test.equal(torch.is_autocast_enabled("cpu"), false)
  end
  do local _ <close> = torch.autocast("cpu", torch.bfloat16, true, true, nil) end
end)

test.case("put around a function it is entered whenever that is called, and not before", function()
  local product = torch.autocast("cpu", {dtype = torch.float16})(function(x, n) return torch.mm(x, b), n end)
  test.equal(torch.is_autocast_enabled("cpu"), false)
  for _ = 1, 2 do
    local y, two = product(a, 2)
    test.equal(y.dtype, torch.float16)
    test.equal(two, 2)
    test.equal(torch.is_autocast_enabled("cpu"), false)
  end
  local off = torch.autocast("cpu", {enabled = false})(torch.mm)
  torch.autocast("cpu", function()
    test.equal(off(a, b).dtype, torch.float32)
    test.equal(product(a).dtype, torch.float16)
    test.equal(torch.mm(a, b).dtype, torch.bfloat16)
  end)
  test.equal(torch.autocast("cpu")(torch.nn.Linear(4, 4))(a).dtype, torch.bfloat16)
  test.raises("out", torch.autocast("cpu")(error), "out")
  test.equal(torch.is_autocast_enabled("cpu"), false)
  test.equal(coroutine.wrap(function() return torch.autocast("cpu")(torch.mm)(a, b) end)().dtype, torch.bfloat16)
  do
    local _ <close> = torch.autocast("cpu")
    test.raises("around a function or a module, got number 3", function() return torch.autocast("cpu")(3) end)
  end
  torch.set_autocast_enabled("cpu", false)
end)
