-- torch.autograd.Function: forward and backward in Lua.
local test = require "test"
local torch = require "torch"
local Function, once_differentiable = torch.autograd.Function, torch.autograd.function_.once_differentiable

local function leaf(values) return torch.tensor(values, {dtype = torch.float64, requires_grad = true}) end

local Exp = Function("Exp")
function Exp.forward(ctx, x)
  local result = x:exp()
  ctx:save_for_backward(result)
  return result
end
function Exp.backward(ctx, grad) return grad * ctx.saved_tensors[1] end

test.case("computes forward and backward", function()
  local x = leaf {0, 1}
  local y = Exp.apply(x)
  test.equal(tostring(y.grad_fn), "<ExpBackward>")
  y:sum():backward()
  test.near(x.grad, x:exp():detach(), 1e-12)
end)

test.case("differentiates through its backward", function()
  local x = leaf {0.5, 1}
  test.truthy(torch.autograd.gradcheck(Exp.apply, {x}))
  test.truthy(torch.autograd.gradgradcheck(Exp.apply, {x}))
end)

test.case("is not recorded where nothing requires a gradient", function()
  test.equal(Exp.apply(torch.ones(2)).grad_fn, nil)
  test.equal(torch.no_grad(Exp.apply, leaf {1}).grad_fn, nil)
end)

test.case("a second backward needs a retained graph", function()
  local y = Exp.apply(leaf {1}):sum()
  y:backward()
  test.raises("Trying to backward through the graph a second time", y.backward, y)
end)

test.case("takes and returns values that are no tensors", function()
  local Scale = Function("Scale")
  function Scale.forward(ctx, x, factor, flag)
    ctx.factor = factor
    ctx.flag = flag
    return x * factor, "text", x + factor
  end
  function Scale.backward(ctx, grad, _, other)
    test.equal(ctx.needs_input_grad, {true, false, false})
    test.equal(ctx.flag, nil)
    return grad * ctx.factor + other, nil, nil
  end
  local x = leaf {1, 2}
  local y, text, z = Scale.apply(x, 3, nil)
  test.equal(text, "text");
  (y:sum() + z:sum() * 2):backward()
  test.equal(x.grad:tolist(), {5.0, 5.0})
end)

test.case("an output without a gradient gives zeros, or nil where it is wished", function()
  local seen
  local Two = Function("Two")
  function Two.forward(ctx, x, materialize)
    ctx:set_materialize_grads(materialize)
    return x * 2, x * 3
  end
  function Two.backward(_, first, second)
    seen = {first, second}
    return first * 2, nil
  end
  local x = leaf {1}
  Two.apply(x, true):backward()
  test.equal(seen[2]:tolist(), {0.0})
  Two.apply(x, false):backward()
  test.equal(seen[2], nil)
end)

test.case("names wrong gradients as PyTorch does", function()
  local function backward_gives(count, ...)
    local values = table.pack(...)
    local F = Function("Wrong")
    function F.forward(_, x, n) return x * n end
    function F.backward() return table.unpack(values, 1, count) end
    return function() F.apply(leaf {1, 2}, 2):sum():backward() end
  end
  local ones = torch.ones(2, {dtype = torch.float64})
  test.raises("function WrongBackward returned an incorrect number of gradients (expected 2, got 1)",
    backward_gives(1, ones))
  test.raises("function WrongBackward returned a gradient different from None at position 2, but the corresponding " ..
    "forward input was not a Variable", backward_gives(2, ones, ones))
  test.raises("Function WrongBackward returned an invalid gradient at index 0 - got [3] but expected shape compatible " ..
    "with [2]", backward_gives(2, torch.ones(3, {dtype = torch.float64})))
  test.raises("expected Variable or None (got number 5)", backward_gives(2, 5))
  local F = Function("Half")
  function F.forward(_, x) return x * 1 end
  test.raises("You must implement either the backward or vjp method", function() F.apply(leaf {1}):backward() end)
  test.raises("You must implement the forward function for custom autograd.Function", Function("None").apply, leaf {1})
  test.raises("passes the class as an argument", function() return Exp:apply(leaf {1}) end)
end)

test.case("surplus nils among the gradients are passed over", function()
  local F = Function("Surplus")
  function F.forward(_, x) return x * 1 end
  function F.backward(_, grad) return grad, nil, nil end
  local x = leaf {1}
  F.apply(x):backward()
  test.equal(x.grad:tolist(), {1.0})
end)

test.case("setup_context apart from forward", function()
  local Power = Function("Power")
  function Power.forward(x, n) return x ^ n end
  function Power.setup_context(ctx, inputs, output)
    test.truthy(torch.is_tensor(output))
    ctx:save_for_backward(inputs[1])
    ctx.n = inputs[2]
  end
  function Power.backward(ctx, grad) return grad * ctx.n * ctx.saved_tensors[1] ^ (ctx.n - 1), nil end
  local x = leaf {1, 2}
  Power.apply(x, 3):sum():backward()
  test.equal(x.grad:tolist(), {3.0, 12.0})
end)

test.case("marks what it changes in place", function()
  local InPlace = Function("InPlace")
  function InPlace.forward(ctx, x)
    x:mul_(2)
    ctx:mark_dirty(x)
    return x
  end
  function InPlace.backward(_, grad) return grad * 2 end
  local x = leaf {1, 2}
  local y = x * 1
  local z = InPlace.apply(y)
  test.truthy(z == y)
  test.equal(tostring(y.grad_fn), "<InPlaceBackward>")
  z:sum():backward()
  test.equal(x.grad:tolist(), {2.0, 2.0})
  test.raises("a leaf Variable that requires grad has been used in an in-place operation", InPlace.apply, leaf {1})
end)

test.case("marks outputs that have no gradient", function()
  local Sort = Function("Sort")
  function Sort.forward(ctx, a)
    local values, order = a:sort()
    ctx:mark_non_differentiable(order)
    ctx:save_for_backward(order)
    return values, order
  end
  function Sort.backward(ctx, grad) return torch.zeros_like(grad):scatter(0, ctx.saved_tensors[1], grad) end
  local a = leaf {3, 1, 2}
  local values, order = Sort.apply(a)
  test.equal(order.requires_grad, false);
  (values * torch.tensor({1.0, 2, 3}, {dtype = torch.float64})):sum():backward()
  test.equal(a.grad:tolist(), {3.0, 1.0, 2.0})
end)

test.case("a saved tensor that was changed in place is an error", function()
  local Square = Function("Square")
  function Square.forward(ctx, x)
    ctx:save_for_backward(x)
    return x * x
  end
  function Square.backward(ctx, grad) return grad * 2 * ctx.saved_tensors[1] end
  local x = leaf {1, 2} * 1
  local y = Square.apply(x)
  x:add_(1)
  test.raises("one of the variables needed for gradient computation has been modified by an inplace operation",
    function() y:sum():backward() end)
end)

test.case("once_differentiable forbids a second derivative", function()
  local Once = Function("Once")
  function Once.forward(ctx, x)
    ctx:save_for_backward(x)
    return x * x
  end
  Once.backward = once_differentiable(function(ctx, grad) return grad * 2 * ctx.saved_tensors[1] end)
  local x = leaf {1, 2}
  local weight = leaf {1, 1}
  local grad = torch.autograd.grad((Once.apply(x) * weight):sum(), x, {create_graph = true})[1]
  test.equal(grad:tolist(), {2.0, 4.0})
  test.raises("trying to differentiate twice a function that was marked with @once_differentiable", function()
    grad:sum():backward()
  end)
  Once.apply(x):sum():backward()
  test.equal(x.grad:tolist(), {2.0, 4.0})
end)

test.case("a class has the functions of its base", function()
  local Child = Function("Child", Exp)
  function Child.backward(ctx, grad) return Exp.backward(ctx, grad) * 2 end
  local x = leaf {0}
  Child.apply(x):backward()
  test.equal(x.grad:tolist(), {2.0})
end)

test.case("an error in a backward comes out with its kind and its line", function()
  local Bad = Function("Bad")
  function Bad.forward(_, x) return x * 1 end
  function Bad.backward(_, grad) return grad:reshape(7) end
  local _, caught = pcall(function() Bad.apply(leaf {1, 2}):sum():backward() end)
  test.equal(caught.kind, "shape")
  test.truthy(caught.where:find "function.lua:%d+$")
end)

test.case("a backward inside a backward runs on the script's own thread", function()
  local depth, deepest = 0, 0
  local Nested = Function("Nested")
  function Nested.forward(_, x) return x * 1 end
  function Nested.backward(_, grad)
    depth = depth + 1
    deepest = math.max(deepest, depth)
    if depth < 30 then torch.enable_grad(function() Nested.apply(leaf {1}):backward() end) end
    depth = depth - 1
    return grad
  end
  Nested.apply(leaf {1}):backward()
  test.equal(deepest, 30)
end)

test.case("backwards nest a few hundred deep", function()
  local depth, deepest = 0, 0
  local Deep = Function("Deep")
  function Deep.forward(_, x) return x * 1 end
  function Deep.backward(_, grad)
    depth = depth + 1
    deepest = math.max(deepest, depth)
    if depth < 300 then torch.enable_grad(function() Deep.apply(leaf {1}):backward() end) end
    depth = depth - 1
    return grad
  end
  local x = leaf {1}
  Deep.apply(x):backward()
  test.equal({deepest, x.grad:tolist()}, {300, {1.0}})
  -- By hooks, and an error from the innermost arrives at the outermost.
  local function hooked(n, at_bottom)
    local y = leaf {1}
    y:register_hook(function()
      if n == 0 then at_bottom() else hooked(n - 1, at_bottom) end
    end)
    torch.enable_grad(function() (y * 1):sum():backward() end)
  end
  test.raises("at the bottom", hooked, 300, function() error("at the bottom", 0) end)
  test.raises("attempt to yield", coroutine.wrap(function() hooked(40, coroutine.yield) end))
end)

test.case("backwards nested without end are an error, not a crash", function()
  local Endless = Function("Endless")
  function Endless.forward(_, x) return x * 1 end
  function Endless.backward(_, grad)
    torch.enable_grad(function() Endless.apply(leaf {1}):backward() end)
    return grad
  end
  test.raises("stack overflow: calls from C++ into Lua are nested", function() Endless.apply(leaf {1}):backward() end)
  local x = leaf {1}
  Exp.apply(x * 0):backward()
  test.equal(x.grad:tolist(), {0.0})
end)

test.case("runs in forward mode by its jvp", function()
  local Cube = Function("Cube")
  function Cube.forward(x) return x ^ 3 end
  function Cube.setup_context(ctx, inputs)
    ctx:save_for_backward(inputs[1])
    ctx:save_for_forward(inputs[1])
  end
  function Cube.backward(ctx, grad) return grad * 3 * ctx.saved_tensors[1] ^ 2 end
  function Cube.jvp(ctx, tangent) return tangent * 3 * ctx.saved_tensors[1] ^ 2 end
  test.truthy(torch.autograd.gradcheck(Cube.apply, {leaf {1, 2}}, {check_forward_ad = true}))
end)

test.case("its namespace is found by the name of PyTorch, and listed by the one that Lua can write", function()
  test.equal(rawequal(torch.autograd["function"], torch.autograd.function_), true)
  local listed = {}
  for name in pairs(torch.autograd) do listed[name] = true end
  test.equal({listed.function_, listed["function"]}, {true, nil})
end)
