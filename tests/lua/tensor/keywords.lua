-- Arguments by name, of the functions that are no operators.
local test = require "test"
local torch = require "torch"

test.case("classes and settings take their arguments by name", function()
  test.equal(tostring(torch.Generator{device = "cpu"}.device), "cpu")
  test.equal(tostring(torch.device{type = "cuda", index = 1}), "cuda:1")
  test.equal(torch.finfo{type = torch.float16}.bits, 16)
  test.equal(torch.iinfo{type = torch.int8}.max, 127)
  torch.set_default_dtype{d = torch.float64}
  test.equal(torch.zeros(1).dtype, torch.float64)
  torch.set_default_dtype{d = torch.float32}
  torch.set_default_device{device = "meta"}
  test.equal(torch.zeros(1).device.type, "meta")
  torch.set_default_device{device = "cpu"}
  torch.manual_seed{seed = 3}
  local first = torch.rand(2)
  torch.random.manual_seed{seed = 3}
  test.truthy(torch.rand(2):equal(first))
  local state = torch.get_rng_state()
  first = torch.rand(2)
  torch.set_rng_state{new_state = state}
  test.truthy(torch.rand(2):equal(first))
  test.equal(torch.Generator():manual_seed{seed = 9}:initial_seed(), 9)
end)

test.case("modes take theirs, alone and before the function that they call", function()
  test.equal(torch.set_grad_enabled({mode = false}, torch.is_grad_enabled), false)
  test.equal(torch.inference_mode({mode = true}, torch.is_inference_mode_enabled), true)
  test.equal(torch.inference_mode({mode = false}, torch.is_inference_mode_enabled), false)
  do
    local _ <close> = torch.set_grad_enabled{mode = false}
    test.falsy(torch.is_grad_enabled())
  end
  test.truthy(torch.is_grad_enabled())
  test.equal({torch.autograd.set_detect_anomaly({mode = true, check_nan = false}, function(...)
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled(), ...
  end, 7)}, {true, false, 7})
  test.equal(torch.autograd.detect_anomaly({check_nan = false}, torch.is_anomaly_check_nan_enabled), false)
  test.equal({torch.autocast({device_type = "cpu", dtype = torch.bfloat16}, function(x)
    return torch.is_autocast_enabled("cpu"), x
  end, 4)}, {true, 4})
  local packed = 0
  local function pack(t) packed = packed + 1 return t end
  local x = torch.ones(2, {requires_grad = true})
  torch.autograd.graph.saved_tensors_hooks({pack_hook = pack, unpack_hook = function(t) return t end},
    function() return x * x end)
  test.equal(packed, 2)
end)

test.case("methods take theirs", function()
  local x = torch.ones(2):requires_grad_{requires_grad = true}
  test.truthy(x.requires_grad)
  local seen, after
  x:register_hook{hook = function(grad) seen = grad:tolist() end}
  x:register_post_accumulate_grad_hook{hook = function(t) after = t.grad:tolist() end}
  local y = (x * 3):sum()
  y:backward{gradient = torch.tensor(2.0), retain_graph = true}
  test.equal(seen, {6.0, 6.0})
  test.equal(after, {6.0, 6.0})
  test.equal(torch.ones(2, 2):dim_order{ambiguity_check = false}, {0, 1})
  test.equal(x:type{dtype = torch.int8}.dtype, torch.int8)
end)

test.case("gradcheck and gradgradcheck take all by name", function()
  local x = torch.randn(3, {dtype = torch.float64, requires_grad = true})
  test.truthy(torch.autograd.gradcheck{func = torch.sin, inputs = {x}, eps = 1e-6})
  test.truthy(torch.autograd.gradgradcheck{func = torch.sin, inputs = x})
  test.falsy(torch.autograd.gradcheck{func = function(t) return t:detach() * t end, inputs = {x}, raise_exception = false})
end)

test.case("initializers draw from a given generator", function()
  local a, b = torch.empty(3, 3), torch.empty(3, 3)
  for _, name in ipairs {"uniform_", "normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_",
    "trunc_normal_"} do
    torch.nn.init[name](a, {generator = torch.Generator():manual_seed(5)})
    torch.manual_seed(5)
    torch.nn.init[name](b)
    test.truthy(a:equal(b), name)
  end
end)

test.case("names that a function does not have are refused, and those given twice", function()
  test.raises("torch.manual_seed: unknown keyword 'sed'", torch.manual_seed, {sed = 1})
  test.raises("torch.device: 'type' is given by position and by keyword", torch.device, "cpu", {type = "cpu", index = 0})
  test.raises("unknown keyword 'inputs'", function() torch.ones(1):requires_grad_{inputs = 1} end)
  test.raises('torch.cuda.set_device: unknown keyword string "devise"', torch.cuda.set_device, {devise = 1})
end)

test.case("what is given by position is not given by name again, nor more than there is", function()
  test.raises("torch.manual_seed: 'seed' is given by position and by keyword", torch.manual_seed, 1, {seed = 1})
  test.raises("torch.manual_seed: unknown keyword 'sed'", torch.manual_seed, 1, {sed = 1})
  test.raises("torch.manual_seed: too many arguments, expected at most 1, got 2", torch.manual_seed, 1, 2)
  test.raises("'device' is given by position and by keyword", torch.Generator, torch.device("cpu"), {device = "cpu"})
  test.equal(torch.set_grad_enabled(true, select, "#", 1, 2), 2)
  test.equal(torch.no_grad(function(options) return options.seed end, {seed = 3}), 3)
  test.equal(torch.inference_mode({mode = true}, torch.nn.ReLU(), torch.ones(1)):item(), 1.0)
end)

test.case("an object is no table of keywords", function()
  local options = setmetatable({dim = 0}, {})
  test.raises("", torch.sum, torch.ones(2, 2), options)
  test.raises("", torch.manual_seed, setmetatable({seed = 1}, {}))
  test.equal(torch.sum(torch.ones(2, 2), {dim = 0}):tolist(), {2.0, 2.0})
end)
