-- torch.utils.checkpoint: the same gradients with fewer activations.
local test = require "test"
local torch = require "torch"
local nn = torch.nn
local checkpoint, checkpoint_sequential = torch.utils.checkpoint.checkpoint, torch.utils.checkpoint.checkpoint_sequential

local function model()
  torch.manual_seed(0)
  return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
end

local function gradients(forward)
  local net = model()
  local x = torch.ones(3, 4, {requires_grad = true})
  torch.manual_seed(1)
  local y = forward(net, x)
  local after = torch.rand(1)
  y:pow(2):sum():backward()
  local grads = {x.grad, after, torch.rand(1)}
  for _, p in ipairs(net:parameters()) do grads[#grads + 1] = p.grad end
  return grads
end

local plain = gradients(function(net, x) return net(x) end)

local function equal_to_plain(forward)
  for i, grad in ipairs(gradients(forward)) do test.truthy(grad:equal(plain[i]), "gradient " .. i) end
end

test.case("gives the same gradients bit for bit, random numbers too", function()
  equal_to_plain(function(net, x) return checkpoint(net, x, {use_reentrant = false}) end)
  equal_to_plain(function(net, x) return checkpoint(net, x, {use_reentrant = true}) end)
  equal_to_plain(function(net, x) return checkpoint_sequential(net, 3, x, {use_reentrant = false}) end)
  equal_to_plain(function(net, x) return checkpoint_sequential(net, 2, x, {use_reentrant = true}) end)
  equal_to_plain(function(net, x)
    return checkpoint(function(a) return checkpoint(net, a, {use_reentrant = false}) end, x, {use_reentrant = false})
  end)
end)

test.case("other random numbers where they are not preserved", function()
  local grads = gradients(function(net, x)
    return checkpoint(net, x, {use_reentrant = false, preserve_rng_state = false})
  end)
  test.truthy(not grads[1]:equal(plain[1]))
end)

test.case("keeps fewer tensors", function()
  local function saved(forward)
    local count = 0
    local net, x = model(), torch.ones(3, 4, {requires_grad = true})
    torch.autograd.graph.saved_tensors_hooks(function(t) count = count + 1 return t end, function(t) return t end,
      function() forward(net, x) end)
    return count
  end
  test.truthy(saved(function(net, x) return net(x) end) > 5)
  test.equal(saved(function(net, x) return checkpoint(net, x, {use_reentrant = false}) end), 0)
end)

test.case("runs once forward and once more in the backward, as far as is needed", function()
  local calls, ends = 0, 0
  local function f(x)
    calls = calls + 1
    local y = x:sin()
    y = y * 1
    ends = ends + 1
    return y
  end
  local x = torch.ones(2, {requires_grad = true})
  checkpoint(f, x, {use_reentrant = false}):sum():backward()
  test.equal({calls, ends}, {2, 1})
  checkpoint(f, x, {use_reentrant = false, early_stop = false}):sum():backward()
  test.equal({calls, ends}, {4, 3})
end)

test.case("takes values that are no tensors, and gives several results", function()
  local x = torch.ones(2, {requires_grad = true})
  for _, use_reentrant in ipairs {false, true} do
    x.grad = nil
    local a, b = checkpoint(function(t, n, options) return t * n, t * options.k end, x, 2, {k = 3},
      {use_reentrant = use_reentrant});
    (a + b):sum():backward()
    test.equal(x.grad:tolist(), {5.0, 5.0})
  end
end)

test.case("works with grad, and with a retained graph", function()
  local x = torch.ones(2, {requires_grad = true})
  local y = checkpoint(function(t) return t:exp() end, x, {use_reentrant = false}):sum()
  local first = torch.autograd.grad(y, x, {retain_graph = true})[1]
  test.truthy(first:equal(torch.autograd.grad(y, x)[1]))
  local z = checkpoint(function(t) return t:exp() end, x, {use_reentrant = true}):sum()
  test.raises("torch.utils.checkpoint is incompatible with .grad()", torch.autograd.grad, z, x)
end)

test.case("a function that saves other tensors the second time is an error", function()
  local calls = 0
  local x = torch.ones(2, {requires_grad = true})
  local function changes(t)
    calls = calls + 1
    return calls == 1 and (t:exp():exp()) or t:exp()
  end
  test.raises("A different number of tensors was saved during the original forward and recomputation", function()
    checkpoint(changes, x, {use_reentrant = false}):sum():backward()
  end)
  local function reshapes(t)
    calls = calls + 1
    return (calls % 2 == 0 and t or t:reshape(2, 1)):exp():sum()
  end
  calls = 0
  test.raises("Recomputed values for the following tensors have different metadata", function()
    checkpoint(reshapes, x, {use_reentrant = false}):backward()
  end)
end)

test.case("an error in the second run comes out, and the next backward works", function()
  local calls = 0
  local x = torch.ones(2, {requires_grad = true})
  local y = checkpoint(function(t)
    calls = calls + 1
    if calls == 2 then error("second run", 0) end
    return t:exp()
  end, x, {use_reentrant = false})
  test.raises("second run", function() y:sum():backward() end)
  x:exp():sum():backward()
  test.truthy(x.grad ~= nil)
end)

local function gradient(f, options)
  local x = torch.tensor({0.5, -0.25}, {requires_grad = true})
  checkpoint(f, x, options):sum():backward()
  return x.grad
end

test.case("context_fn: the forward and the recomputation run under its functions", function()
  local events = {}
  local function noting(name)
    return function(fn, ...)
      events[#events + 1] = name
      return fn(...)
    end
  end
  local got = gradient(function(x) return x:sin():exp() end, {use_reentrant = false, context_fn = function()
    return noting "forward", noting "recompute"
  end})
  test.equal(events, {"forward", "recompute"})
  test.equal(got, gradient(function(x) return x:sin():exp() end, {use_reentrant = false}))
  test.raises("context_fn must return two functions .* got nil as the second", gradient, torch.sin,
    {use_reentrant = false, context_fn = function() return noting "forward" end})
  test.raises("only supported when use_reentrant=False", gradient, torch.sin,
    {use_reentrant = true, context_fn = function() return noting "a", noting "b" end})
end)

test.case("debug: an error lists the operators of both runs", function()
  local runs = 0
  local function changing(x)
    runs = runs + 1
    return runs == 1 and x:sin():exp() or x:sin()
  end
  local ok, message = pcall(gradient, changing, {use_reentrant = false, debug = true})
  message = tostring(message)
  test.falsy(ok)
  local original, again = message:match("Operators of the original forward:\n(.-)\n\nOperators of the recomputation:\n(.*)")
  test.truthy(original:find("aten::sin%(%[2%] Float%)") and original:find("aten::exp%(%[2%] Float%)"))
  test.truthy(again:find "aten::sin" and not again:find "aten::exp")
  runs = 0
  local _, short = pcall(gradient, changing, {use_reentrant = false})
  test.falsy(tostring(short):find "Operators of")
  runs = 0
  local _, asked = pcall(torch.utils.checkpoint.set_checkpoint_debug_enabled, true, gradient, changing, {use_reentrant = false})
  test.truthy(tostring(asked):find "Operators of")
  test.raises("incompatible with non%-default context_fn", gradient, torch.sin,
    {use_reentrant = false, debug = true, context_fn = function() return torch.no_grad, torch.no_grad end})
end)

test.case("debug: the operators are listed where the recomputation saves more, too", function()
  local runs = 0
  local function growing(x)
    runs = runs + 1
    return runs == 1 and x:sin() or (x:sin():exp():sqrt())
  end
  local _, message = pcall(gradient, growing, {use_reentrant = false, debug = true, early_stop = false})
  test.truthy(tostring(message):find "trying to save more tensors")
  local again = tostring(message):match "Operators of the recomputation:\n(.*)"
  test.truthy(again:find "aten::sin" and again:find "aten::exp")
end)

test.case("debug: a nested tensor's operators are listed without its sizes", function()
  local runs = 0
  local _, message = pcall(gradient, function(x)
    runs = runs + 1
    local nested = torch.nested.as_nested_tensor({x, x}):mul(2)
    local y = nested:to_padded_tensor(0)
    return runs == 1 and y:sin():exp() or y:sin()
  end, {use_reentrant = false, debug = true, early_stop = false, determinism_check = "none"})
  test.truthy(tostring(message):find("aten::mul.Tensor(Float, ", 1, true) or tostring(message):find("aten::mul.Scalar(Float", 1, true))
end)

test.case("set_checkpoint_early_stop stands over early_stop", function()
  local finished = 0
  local function f(x)
    local y = x:sin():exp()
    finished = finished + 1
    return y * 1
  end
  local function runs(options)
    finished = 0
    gradient(f, options)
    return finished
  end
  test.equal(runs {use_reentrant = false}, 1)
  test.equal(runs {use_reentrant = false, early_stop = false}, 2)
  test.equal(torch.utils.checkpoint.set_checkpoint_early_stop(false, runs, {use_reentrant = false}), 2)
  local _ <close> = torch.utils.checkpoint.set_checkpoint_early_stop(true)
  test.equal(runs {use_reentrant = false, early_stop = false}, 1)
end)

test.case("the recomputation is under the forward's autocast and default device", function()
  local w = torch.randn(4, 4)
  for _, use_reentrant in ipairs {false, true} do
    local x, devices = torch.randn(4, 4, {requires_grad = true}), {}
    local y = torch.autocast("cpu", {dtype = torch.bfloat16}, function()
      return checkpoint(function(a)
        devices[#devices + 1] = torch.matmul(a, w).dtype
        return torch.matmul(a, w):sin()
      end, x, {use_reentrant = use_reentrant})
    end)
    y:sum():backward()
    test.equal(devices, {torch.bfloat16, torch.bfloat16})
  end
  local made = {}
  local x = torch.ones(2, {requires_grad = true})
  local y = torch.device("meta")(checkpoint, function(a)
    made[#made + 1] = torch.zeros(1).device.type
    return a:sin()
  end, x, {use_reentrant = false})
  y:sum():backward()
  test.equal(made, {"meta", "meta"})
end)
