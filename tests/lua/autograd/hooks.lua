-- Lua functions as hooks of tensors, nodes and saved tensors.
local test = require "test"
local torch = require "torch"

local function leaf(values) return torch.tensor(values, {dtype = torch.float64, requires_grad = true}) end

test.case("a tensor's hook replaces its gradient until it is removed", function()
  local x = leaf {1, 2}
  local y = x * 3
  local handle = y:register_hook(function(grad) return grad * 10 end)
  y:sum():backward(nil, {retain_graph = true})
  test.equal(x.grad:tolist(), {30.0, 30.0})
  handle:remove()
  handle:remove()
  x.grad = nil
  y:sum():backward()
  test.equal(x.grad:tolist(), {3.0, 3.0})
end)

test.case("hooks run in the order in which they came, and one may remove itself", function()
  local x = leaf {1}
  local seen, handle = {}, nil
  x:register_hook(function(grad) seen[#seen + 1] = grad:item() return grad + 1 end)
  handle = x:register_hook(function(grad)
    seen[#seen + 1] = grad:item()
    handle:remove()
  end)
  x:register_hook(function(grad) return grad * 2 end);
  (x * 1):backward();
  (x * 1):backward()
  test.equal(seen, {1.0, 2.0, 1.0})
  test.equal(x.grad:tolist(), {8.0})
end)

test.case("a hook is removed where its scope ends", function()
  local x = leaf {1}
  do
    local _ <close> = x:register_hook(function() return torch.tensor({7.0}, {dtype = torch.float64}) end);
    (x * 1):backward()
  end
  test.equal(x.grad:tolist(), {7.0});
  (x * 1):backward()
  test.equal(x.grad:tolist(), {8.0})
end)

test.case("hooks say what they cannot do", function()
  test.raises("cannot register a hook on a tensor that doesn't require gradient", function()
    torch.ones(1):register_hook(print)
  end)
  test.raises("post accumulate grad hooks cannot be registered on non-leaf tensors", function()
    (leaf {1} * 2):register_post_accumulate_grad_hook(print)
  end)
  local x = leaf {1}
  x:register_hook(function() return 5 end)
  test.raises("expected Variable, but hook returned number 5", function() (x * 1):backward() end)
end)

test.case("an optimizer in the backward, by post accumulate hooks", function()
  local w = leaf {1, 2}
  local other = 0
  w:register_post_accumulate_grad_hook(function(p)
    torch.no_grad(function() p:sub_(p.grad * 0.5) end)
    p.grad = nil
  end)
  local handle = w:register_post_accumulate_grad_hook(function(p)
    test.truthy(p == w)
    other = other + 1
  end);
  (w * w):sum():backward()
  handle:remove();
  (w * w):sum():backward()
  test.equal(w:tolist(), {0.0, 0.0})
  test.equal(w.grad, nil)
  test.equal(other, 1)
end)

test.case("a node's hooks see and replace gradients", function()
  local x = leaf {1, 2}
  local y = x * 3
  local seen
  y.grad_fn:register_prehook(function(grads) return {grads[1] * 2} end)
  y.grad_fn:register_hook(function(inputs, outputs)
    seen = {inputs[1]:tolist(), outputs[1]:tolist()}
    return {inputs[1] + 1, inputs[2]}
  end)
  y:sum():backward()
  test.equal(seen, {{6.0, 6.0}, {2.0, 2.0}})
  test.equal(x.grad:tolist(), {7.0, 7.0})
end)

test.case("a hook on several gradients runs once they are there", function()
  local a, b = leaf {1, 2}, leaf {3, 4}
  local c, d = a * b, a * b
  local seen = {}
  torch.autograd.graph.register_multi_grad_hook({a, b, c, d}, function(grads)
    for i = 1, 4 do seen[i] = grads[i] ~= torch.None end
  end)
  c:sum():backward(nil, {retain_graph = true})
  test.equal(seen, {true, true, true, false})
  local first = 0
  torch.autograd.graph.register_multi_grad_hook({a, b}, function(grad)
    test.truthy(torch.is_tensor(grad))
    first = first + 1
  end, {mode = "any"})
  d:sum():backward()
  test.equal(first, 1)
end)

test.case("an error in a hook comes out as it was raised, and the engine goes on", function()
  local x = leaf {1}
  local thrown = {code = 42}
  local handle = x:register_hook(function() error(thrown) end)
  local ok, caught = pcall(function() (x * 1):backward() end)
  test.equal(ok, false)
  test.truthy(rawequal(caught, thrown))
  handle:remove()
  x = leaf {1};
  (x * 2):backward()
  test.equal(x.grad:tolist(), {2.0})
end)

test.case("the error of a hook names its line", function()
  local x = leaf {1}
  x:register_hook(function(grad) return grad:no_such_method() end)
  local _, caught = pcall(function() (x * 1):backward() end)
  test.truthy(tostring(caught):find("hooks.lua:%d+: a Tensor has no method or attribute 'no_such_method'"), tostring(caught))
  test.equal(caught.kind, "usage")
end)

test.case("saved tensors pass through the hooks of their scope", function()
  local x = leaf {1, 2, 3}
  local packed, y = 0
  do
    local _ <close> = torch.autograd.graph.saved_tensors_hooks(
      function(tensor) packed = packed + 1 return {tensor * 2} end,
      function(box) return box[1] / 2 end)
    y = x * x
  end
  local z = x * x
  test.equal(packed, 2);
  (y + z):sum():backward()
  test.equal(x.grad:tolist(), {4.0, 8.0, 12.0})
end)

test.case("saved tensors can wait on the CPU", function()
  local x = leaf {1, 2, 3}
  local y = torch.autograd.graph.save_on_cpu(function() return (x * x):sum() end)
  y:backward()
  test.equal(x.grad:tolist(), {2.0, 4.0, 6.0})
  test.raises("not here", torch.autograd.graph.disable_saved_tensors_hooks, "not here", function()
    torch.autograd.graph.save_on_cpu()
  end)
end)

test.case("an unpack hook must return a Tensor", function()
  local x = leaf {1}
  local y = torch.autograd.graph.saved_tensors_hooks(function(t) return t end, function() return 1 end,
    function() return x * x end)
  test.raises("Output of saved tensor unpack_hook expected to be a Tensor but got result of type number 1", y.backward, y)
end)

test.case("a table that a pack hook raises arrives as it is, through an index too", function()
  local raised = {"a table"}
  local x = leaf {1, 2}
  for _, f in ipairs {function() return x * x end, function() return x[torch.tensor {0, 1}] end} do
    local ok, e = pcall(torch.autograd.graph.saved_tensors_hooks, function() error(raised) end, function(t) return t end, f)
    test.equal(ok, false)
    test.truthy(rawequal(e, raised))
  end
end)

test.case("errors of hooks name the hook, its line and what it is on", function()
  local function backward(register)
    local x = torch.ones(3, {requires_grad = true})
    local y = x * 2
    register(x, y)
    y:sum():backward()
  end
  local function first(g) return g[0] end
  local line = debug.getinfo(first, "S").linedefined
  local place = "hooks.lua:" .. line
  test.raises("hook 'Tensor.register_hook at .*" .. place .. " on a leaf of size %[3%]' has changed the size of value",
    backward, function(x) x:register_hook(first) end)
  test.raises("hook 'Tensor.register_hook at .*" .. place .. " on an output of MulBackward0' has changed the size",
    backward, function(_, y) y:register_hook(first) end)
  test.raises("on an output of MulBackward0' has changed the type of value", backward, function(_, y)
    y:register_hook(function(g) return g:double() end)
  end)
  test.raises("on a leaf of size %[3%]': expected Variable, but hook returned number 3", backward, function(x)
    x:register_hook(function() return 3 end)
  end)
  test.raises("hook 'Node.register_hook at .*hooks.lua:%d+ on MulBackward0' has changed the size", backward, function(_, y)
    y.grad_fn:register_hook(function(grads) return {grads[1][0], torch.None} end)
  end)
  test.raises("hook 'Node.register_prehook at .* on MulBackward0' has returned an incorrect number of values %(got 0", backward,
    function(_, y) y.grad_fn:register_prehook(function() return {} end) end)
  test.raises("hook 'Node.register_prehook at .* on MulBackward0': expected tuple, but hook returned number 3",
    backward, function(_, y) y.grad_fn:register_prehook(function() return 3 end) end)
end)
