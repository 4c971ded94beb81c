-- Modes belong to the coroutine that switches them: off while it is suspended, gone when it is dropped.
local test = require "test"
local torch = require "torch"

local function modes()
  return {torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled(),
    torch.is_autocast_enabled "cpu", tostring(torch.get_default_device()),
    torch.autograd.is_multithreading_enabled(), torch.ones(1):is_inference()}
end
local before <const> = modes()

-- Each enters a mode that shows in `modes`.
local enter <const> = {
  no_grad = torch.no_grad,
  inference_mode = torch.inference_mode,
  anomaly = function() return torch.autograd.set_detect_anomaly(true) end,
  detect_anomaly = function() return torch.autograd.detect_anomaly() end,
  autocast = function() return torch.autocast "cpu" end,
  device = function() return torch.set_default_device "meta" end,
  multithreading = function() return torch.autograd.set_multithreading_enabled(false) end,
}

for name, scope in pairs(enter) do
  test.case(name .. " in a coroutine that yields is off outside and on inside, and leaves nothing when dropped", function()
    local inside
    local function body()
      local _ <close> = scope()
      inside = modes()
      coroutine.yield()
      test.equal(modes(), inside)
      coroutine.yield()
      test.equal(modes(), inside)
    end
    local co = coroutine.wrap(body)
    co()
    test.equal(modes(), before)
    test.truthy(table.concat(inside, " ", 5, 5) ~= before[5] or not pcall(test.equal, inside, before))
    co()
    test.equal(modes(), before)
    co()
    test.equal(modes(), before)

    do coroutine.wrap(body)() end  -- dropped
    collectgarbage()
    collectgarbage()
    test.equal(modes(), before)

    local closed = coroutine.create(body)
    coroutine.resume(closed)
    test.equal(coroutine.close(closed), true)
    test.equal(modes(), before)
  end)
end

test.case("a coroutine without modes of its own runs under its resumer's", function()
  local co = coroutine.wrap(function()
    while true do coroutine.yield(torch.is_grad_enabled()) end
  end)
  test.equal({co(), torch.no_grad(co), co(), torch.no_grad(co)}, {true, false, true, false})
  -- One that has switched and switched back, as well.
  co = coroutine.wrap(function()
    do
      local _ <close> = torch.no_grad()
      coroutine.yield(torch.is_grad_enabled())
    end
    while true do coroutine.yield(torch.is_grad_enabled()) end
  end)
  test.equal({co(), co(), torch.no_grad(co), co()}, {false, true, false, true})
end)

test.case("a coroutine's mode does not reach into a scope of its resumer's", function()
  local co = coroutine.wrap(function()
    local _ <close> = torch.no_grad()
    coroutine.yield()
  end)
  co()
  do
    local _ <close> = torch.inference_mode()
    co()  -- leaves no_grad and ends
    test.truthy(torch.is_inference_mode_enabled())
    test.truthy(torch.ones(1):is_inference())
  end
  test.equal(modes(), before)
end)

test.case("modes nest over coroutines that resume coroutines", function()
  local inner = coroutine.wrap(function()
    local _ <close> = torch.enable_grad()
    coroutine.yield(torch.is_grad_enabled())
    return torch.is_grad_enabled()
  end)
  local outer = coroutine.wrap(function()
    local _ <close> = torch.no_grad()
    local got = {inner(), torch.is_grad_enabled()}
    coroutine.yield(got)
    return torch.is_grad_enabled()
  end)
  test.equal(outer(), {true, false})
  test.equal(modes(), before)
  test.equal(inner(), true)
  test.equal(outer(), false)
  test.equal(modes(), before)
end)

test.case("a statement in a coroutine holds until the coroutine ends, and then stays as in a function", function()
  local co = coroutine.wrap(function()
    torch.set_grad_enabled(false)
    coroutine.yield()
    return torch.is_grad_enabled()
  end)
  co()
  test.truthy(torch.is_grad_enabled())
  test.equal(co(), false)
  test.equal(torch.is_grad_enabled(), false)
  torch.set_grad_enabled(true)
end)

test.case("a coroutine that fails under its mode leaves it", function()
  local co = coroutine.create(function()
    local _ <close> = torch.autocast "cpu"
    local _ <close> = torch.no_grad()
    coroutine.yield()
    error "inside"
  end)
  coroutine.resume(co)
  test.equal(modes(), before)
  do
    local _ <close> = torch.inference_mode()
    test.equal(coroutine.resume(co), false)
    test.truthy(torch.is_inference_mode_enabled())
  end
  test.equal(modes(), before)
end)

test.case("`__close` handlers of a closed coroutine run under its modes", function()
  local seen
  local co = coroutine.create(function()
    local _ <close> = torch.no_grad()
    local _ <close> = torch.autocast "cpu"
    local _ <close> = setmetatable({}, {__close = function() seen = modes() end})
    coroutine.yield()
  end)
  coroutine.resume(co)
  coroutine.close(co)
  test.equal({seen[1], seen[4]}, {false, true})
  test.equal(modes(), before)
end)

test.case("hooks on saved tensors are those of the running coroutine", function()
  local packed = 0
  local function same(t) packed = packed + 1 return t end
  local co = coroutine.wrap(function()
    local _ <close> = torch.autograd.graph.saved_tensors_hooks(same, same)
    coroutine.yield()
    local _ = torch.ones(1, {requires_grad = true}):exp()
  end)
  co()
  local _ = torch.ones(1, {requires_grad = true}):exp()
  test.equal(packed, 0)
  co()
  test.equal(packed, 1)
end)

test.case("torch.random.fork_rng goes on over a yield", function()
  torch.manual_seed(1)
  local state = torch.get_rng_state()
  local expected = torch.rand(4)
  torch.set_rng_state(state)
  local co = coroutine.wrap(function()
    local _ <close> = torch.random.fork_rng {devices = {}}
    local first = torch.rand(2)
    coroutine.yield()
    return torch.cat {first, torch.rand(2)}
  end)
  co()
  test.equal(co(), expected)
  test.equal(torch.get_rng_state(), state)
end)

test.case("a mode of a coroutine leaves the others to its resumer", function()
  local function squares(mode)
    local co = coroutine.wrap(function(x)
      local _ <close> = mode()
      while true do x = coroutine.yield(x and (x * x):sum()) end
    end)
    co()
    return co
  end
  local x = torch.arange(3.0)
  for _, mode in ipairs {torch.enable_grad, function() return torch.set_default_device("cpu") end,
    function() return torch.autograd.set_detect_anomaly(true) end} do
    test.equal(torch.func.grad(squares(mode))(x), torch.tensor {0.0, 2.0, 4.0})
  end
  -- One that switched recording off, resumed where only the device is another.
  local co = squares(torch.no_grad)
  do
    local _ <close> = torch.set_default_device("meta")
    test.equal(co(x).requires_grad, false)
    co = coroutine.wrap(function()
      local _ <close> = torch.no_grad()
      coroutine.yield()
      return torch.ones(1).device.type
    end)
  end
  co()
  local _ <close> = torch.set_default_device("meta")
  test.equal(co(), "meta")
end)

test.case("a coroutine that began inside a transform goes on outside of it", function()
  local co = coroutine.wrap(function()
    local _ <close> = torch.no_grad()
    coroutine.yield()
    return torch.ones(2) + 1
  end)
  torch.func.vmap(function(x)
    co()
    return x * 2
  end)(torch.ones(3))
  test.equal(co(), torch.tensor {2.0, 2.0})
  test.equal(torch.ones(2) + 1, torch.tensor {2.0, 2.0})
end)
