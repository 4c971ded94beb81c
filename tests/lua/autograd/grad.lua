-- torch.autograd.grad, backward, and the modes.
local test = require "test"
local torch = require "torch"

local function leaf(values) return torch.tensor(values, {dtype = torch.float64, requires_grad = true}) end

test.case("gives the gradients as a list, and does not accumulate them", function()
  local x, y = leaf {1, 2}, leaf {3, 4}
  local grads = torch.autograd.grad((x * y):sum(), {x, y})
  test.equal(grads[1]:tolist(), {3.0, 4.0})
  test.equal(grads[2]:tolist(), {1.0, 2.0})
  test.equal(x.grad, nil)
end)

test.case("gives gradients by the names of its inputs", function()
  local x, y = leaf {1, 2}, leaf {3, 4}
  local grads = torch.autograd.grad((x * y):sum(), {x = x, y = y})
  test.equal(grads.x:tolist(), {3.0, 4.0})
  test.equal(grads.y:tolist(), {1.0, 2.0})
end)

test.case("refuses an unused input unless it is allowed or made zero", function()
  local x, z = leaf {1, 2}, leaf {5}
  test.raises("appears to not have been used in the graph. Set allow_unused=True", torch.autograd.grad, (x * 2):sum(),
    {x, z})
  test.equal(torch.autograd.grad((x * 2):sum(), {x, z}, {allow_unused = true})[2], nil)
  test.equal(torch.autograd.grad((x * 2):sum(), {x, z}, {materialize_grads = true})[2]:tolist(), {0.0})
  test.raises("Expected allow_unused to be True or not passed when materialize_grads=True", torch.autograd.grad,
    (x * 2):sum(), {x}, {materialize_grads = true, allow_unused = false})
end)

test.case("differentiates twice", function()
  local x = leaf {1, 2, 3}
  local first = torch.autograd.grad((x ^ 3):sum(), x, {create_graph = true})[1]
  test.equal(torch.autograd.grad(first:sum(), x)[1]:tolist(), {6.0, 12.0, 18.0})
end)

test.case("a graph is gone after its backward unless it is retained", function()
  local x = leaf {1, 2}
  local y = (x * x):sum()
  y:backward(nil, {retain_graph = true})
  y:backward()
  test.equal(x.grad:tolist(), {4.0, 8.0})
  test.raises("Trying to backward through the graph a second time", y.backward, y)
end)

test.case("backward of several tensors, into some inputs only", function()
  local x, y = leaf {1, 2}, leaf {3, 4}
  torch.autograd.backward({(x * y):sum(), x * 2}, {torch.None, torch.ones(2, {dtype = torch.float64})}, {inputs = {x}})
  test.equal(x.grad:tolist(), {5.0, 6.0})
  test.equal(y.grad, nil)
end)

test.case("maps over a batch of grad_outputs", function()
  local x = leaf {1, 2, 3}
  local rows = torch.autograd.grad(x ^ 2, x, {grad_outputs = torch.eye(3, {dtype = torch.float64}),
    is_grads_batched = true})[1]
  test.equal(rows:tolist(), {{2.0, 0.0, 0.0}, {0.0, 4.0, 0.0}, {0.0, 0.0, 6.0}})
end)

test.case("names what is wrong with its arguments", function()
  local x = leaf {1, 2}
  test.raises("grad can be implicitly created only for scalar outputs", function() (x * 2):backward() end)
  test.raises("element 0 of tensors does not require grad and does not have a grad_fn", function()
    torch.ones(1):backward()
  end)
  test.raises("Mismatch in shape: grad_output[0] has a shape of torch.Size([3]) and output[0] has a shape of " ..
    "torch.Size([2])", function() (x * 2):backward(torch.ones(3, {dtype = torch.float64})) end)
  test.raises("`inputs` argument to `backward()` cannot be empty", function() (x * 2):sum():backward(nil, {inputs = {}}) end)
  test.raises("One of the differentiated Tensors does not require grad", torch.autograd.grad, x:sum(), torch.ones(2))
end)

test.case("keeps the gradient of a tensor that is no leaf", function()
  local x = leaf {1, 2}
  local y = x * 3
  y:retain_grad();
  (y * y):sum():backward()
  test.equal(y.grad:tolist(), {6.0, 12.0})
  test.truthy(y.retains_grad)
  test.equal(x.grad_dtype, x.dtype)
  test.raises("only be accessed on leaf tensors", function() return y.grad_dtype end)
end)

test.case("modes as functions and as scopes", function()
  local x = leaf {1}
  test.equal(torch.no_grad(function(a) return (a * 2).requires_grad end, x), false)
  do
    local _ <close> = torch.no_grad()
    test.equal(torch.is_grad_enabled(), false)
    test.equal(torch.enable_grad(function() return torch.is_grad_enabled() end), true)
    test.equal(torch.set_grad_enabled(true, torch.is_grad_enabled), true)
  end
  test.equal(torch.is_grad_enabled(), true)
  do
    local _ <close> = torch.inference_mode()
    test.equal(torch.is_inference_mode_enabled(), true)
    test.equal(torch.inference_mode(false, torch.is_inference_mode_enabled), false)
  end
  test.equal(torch.is_inference_mode_enabled(), false)
  do
    local _ <close> = torch.autograd.set_multithreading_enabled(false)
    test.equal(torch.autograd.is_multithreading_enabled(), false)
  end
  test.equal(torch.autograd.is_multithreading_enabled(), true)
  test.equal(torch.autograd.grad_mode.no_grad, torch.no_grad)
end)

test.case("a mode is left when its function fails", function()
  pcall(torch.no_grad, error, "away")
  test.truthy(torch.is_grad_enabled())
end)

test.case("grad_fn is a node of the graph", function()
  local x = leaf {1, 2}
  local y = x * x + x
  test.equal(tostring(y.grad_fn), "<AddBackward0>")
  test.equal(y.grad_fn:name(), "AddBackward0")
  test.truthy(y.grad_fn == y.grad_fn)
  test.equal(x.grad_fn, nil)
  local edges = y.grad_fn.next_functions
  test.equal(tostring(edges[1][1]), "<MulBackward0>")
  test.equal(tostring(edges[2][1]), "<AccumulateGrad>")
  test.truthy(edges[2][1].variable == x)
  y.grad_fn.metadata.remark = "here"
  test.equal(y.grad_fn.metadata.remark, "here")
  local edge = torch.autograd.graph.get_gradient_edge(y)
  test.truthy(edge.node == y.grad_fn)
  test.equal(edge.output_nr, 0)
end)

test.case("a coroutine calls backward", function()
  local x = leaf {1, 2}
  x:register_hook(function(g) return g * 2 end)
  local run = coroutine.wrap(function()
    (x * 3):sum():backward()
    coroutine.yield(x.grad:tolist())
  end)
  test.equal(run(), {6.0, 6.0})
end)

test.case("takes every argument by name", function()
  local x = leaf {2, 1}
  local seed = torch.tensor({1, 5}, {dtype = torch.float64})
  local wanted = seed * 2
  test.equal(torch.autograd.grad {outputs = x * 2, inputs = x, grad_outputs = seed}[1], wanted)
  test.equal(torch.autograd.grad(x * 2, {inputs = x, grad_outputs = seed})[1], wanted)
  test.equal(torch.autograd.grad((x * 2):sum(), {weight = x}).weight, torch.full_like(x, 2))
  torch.autograd.backward {tensors = x * 2, grad_tensors = seed}
  test.equal(x.grad, wanted)
  test.raises("argument 'inputs' is missing", torch.autograd.grad, {outputs = x})
end)

test.case("a gradient of another dtype is refused as PyTorch does", function()
  local x = torch.ones(2, {requires_grad = true})
  test.raises("attempting to assign a gradient with dtype 'double' to a tensor with grad_dtype 'Float'", function()
    x.grad = torch.ones(2):double()
  end)
  test.raises("assigned grad expected to be a Tensor or None but got grad of type", function() x.grad = 3 end)
end)

test.case("a mode that is put around a function is entered whenever that is called, and not before", function()
  local w = torch.ones(1, {requires_grad = true})
  local function double(x) return (x * 2).requires_grad, torch.is_grad_enabled(), torch.is_inference_mode_enabled() end
  local plain = torch.no_grad()(double)
  test.equal(torch.is_grad_enabled(), true)
  for _ = 1, 2 do test.equal({plain(w)}, {false, false, false}) end
  test.equal({torch.enable_grad()(double)(w)}, {true, true, false})
  test.equal({torch.no_grad(torch.enable_grad()(double), w)}, {true, true, false})
  test.equal({torch.set_grad_enabled(false)(double)(w)}, {false, false, false})
  test.equal({torch.inference_mode()(double)(w)}, {false, false, true})
  test.equal(torch.autograd.set_detect_anomaly(true)(torch.is_anomaly_enabled)(), true)
  test.equal(torch.autograd.detect_anomaly()(torch.is_anomaly_enabled)(), true)
  test.equal(torch.no_grad()(torch.nn.Linear(1, 1))(w).requires_grad, false)
  test.raises("out", torch.no_grad()(error), "out")
  test.equal(torch.is_grad_enabled(), true)
  test.equal(torch.is_anomaly_enabled(), false)
  do
    local _ <close> = torch.no_grad()
    test.raises("around a function or a module, got number 3", function() return torch.no_grad()(3) end)
  end
  torch.set_grad_enabled(true)
end)
