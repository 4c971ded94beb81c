-- torch.func: functions of functions.
local test = require "test"
local torch = require "torch"
local nn, func = torch.nn, torch.func

local function vector(...) return torch.tensor({...}, {dtype = torch.float64}) end

test.case("grad by one argument, by several, and with a second result", function()
  local f = function(x, y) return (x * x * y):sum() end
  local x, y = vector(1, 2), vector(3, 4)
  test.equal(func.grad(f)(x, y):tolist(), {6.0, 16.0})
  local both = func.grad(f, {0, 1})(x, y)
  test.equal(both[2]:tolist(), {1.0, 4.0})
  test.equal(func.grad(f, -1)(x, y):tolist(), {1.0, 4.0})
  local grads, value = func.grad_and_value(f)(x, y)
  test.equal(grads:tolist(), {6.0, 16.0})
  test.equal(value:item(), 19.0)
  local grad, aux = func.grad(function(a) return a:sum(), a * 2 end, {has_aux = true})(x)
  test.equal(grad:tolist(), {1.0, 1.0})
  test.equal(aux:tolist(), {2.0, 4.0})
  test.equal(x.requires_grad, false)
end)

test.case("grad of grad, and what grad refuses", function()
  local third = func.grad(func.grad(func.grad(function(x) return x ^ 4 end)))
  test.equal(third(torch.tensor(2.0)):item(), 48.0)
  test.raises("return a scalar Tensor, got tensor with 1 dims", func.grad(function(x) return x end), vector(1))
  test.raises("Got argnum=2, but only 1 positional inputs", func.grad(function(x) return x end, 2), vector(1))
  test.raises("don't yet support saved tensor hooks", torch.autograd.graph.save_on_cpu, function()
    return func.grad(function(x) return x:sum() end)(vector(1))
  end)
end)

test.case("grad takes and gives nested tables", function()
  local grads = func.grad(function(p) return (p.w * p.b[1]):sum() end)({w = vector(1, 2), b = {vector(3, 4)}})
  test.equal(grads.w:tolist(), {3.0, 4.0})
  test.equal(grads.b[1]:tolist(), {1.0, 2.0})
end)

test.case("vmap over dimensions in and out", function()
  local a, b = torch.randn(3, 4), torch.randn(4, 3)
  test.near(func.vmap(function(x, y) return x:dot(y) end, {0, 1})(a, b), (a * b:t()):sum(1), 1e-6)
  test.near(torch.vmap(function(x, y) return x * y end, {0, torch.None}, 1)(a, a[0]), (a * a[0]):t(), 0)
  test.equal(torch.vmap(function(x) return x:sum(), x * 2 end)(a):size(), torch.ones(3):size())
  local nested = torch.vmap(torch.vmap(function(x) return x * 2 end))(a)
  test.near(nested, a * 2, 0)
  test.near(torch.vmap(function(x) return x + 1 end, {chunk_size = 2})(a), a + 1, 0)
  test.near(torch.vmap(function(p) return p.x * p.y end, {in_dims = {{x = 0, y = torch.None}}})({x = a, y = a[0]}),
    a * a[0], 0)
end)

test.case("vmap of random numbers as it is told", function()
  local draw = function(x) return x + torch.rand(2) end
  test.raises("randomness", torch.vmap(draw), torch.zeros(3, 2))
  local same = torch.vmap(draw, {randomness = "same"})(torch.zeros(3, 2))
  test.truthy(same[0]:equal(same[1]))
  local different = torch.vmap(draw, {randomness = "different"})(torch.zeros(3, 2))
  test.truthy(not different[0]:equal(different[1]))
end)

test.case("tensors inside a transform print as what they are", function()
  local text
  torch.vmap(function(x) text = tostring(x) return x end)(vector(1, 2))
  test.equal(text, "BatchedTensor(lvl=1, bdim=0, value=\n    tensor([1., 2.], dtype=torch.float64)\n)")
  func.grad(function(x) text = tostring(x) return x:sum() end)(vector(1, 2))
  test.equal(text, "GradTrackingTensor(lvl=1, value=\n    tensor([1., 2.], dtype=torch.float64)\n)")
end)

test.case("vmap names what is wrong", function()
  local f = function(x) return x end
  test.raises("vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [2, 3]",
    torch.vmap(function(x, y) return x + y end), torch.ones(2), torch.ones(3))
  test.raises("vmap: Expected at least one Tensor to vmap over", torch.vmap(f, {torch.None}), torch.ones(2))
  test.raises("Got in_dim=2 for some input, but that input is a Tensor of dimensionality 1", torch.vmap(f, 2), torch.ones(2))
  test.raises("in_dims is not compatible with the structure of `inputs`", torch.vmap(f, {0, 0}), torch.ones(2))
  test.raises("`f` must only return Tensors, got type number 1", torch.vmap(function() return 1 end), torch.ones(2))
  test.raises("vmap", torch.vmap(function(x) if x:item() > 0 then return x end return -x end), torch.ones(2))
  test.near(torch.vmap(f)(torch.ones(2)), torch.ones(2), 0)
end)

test.case("Jacobians both ways, and Hessians", function()
  local f = function(x) return torch.stack {x[0] * x[1], x[1] ^ 2, x[0]} end
  local x = vector(2, 3)
  local expected = {{3.0, 2.0}, {0.0, 6.0}, {1.0, 0.0}}
  test.equal(func.jacrev(f)(x):tolist(), expected)
  test.equal(func.jacrev(f, {chunk_size = 2})(x):tolist(), expected)
  test.equal(func.jacfwd(f)(x):tolist(), expected)
  test.equal(torch.autograd.functional.jacobian(f, x):tolist(), expected)
  test.equal(torch.autograd.functional.jacobian(f, x, {vectorize = true}):tolist(), expected)
  test.equal(torch.autograd.functional.jacobian(f, x, {vectorize = true, strategy = "forward-mode"}):tolist(), expected)
  local g = function(a) return (a ^ 3):sum() end
  test.equal(func.hessian(g)(x):tolist(), {{12.0, 0.0}, {0.0, 18.0}})
  test.equal(torch.autograd.functional.hessian(g, x):tolist(), {{12.0, 0.0}, {0.0, 18.0}})
  local _, product = torch.autograd.functional.hvp(g, x, vector(1, 2))
  test.equal(product:tolist(), {12.0, 36.0})
  test.equal(select(2, torch.autograd.functional.vhp(g, x, vector(1, 2))):tolist(), {12.0, 36.0})
  test.equal(select(2, func.hvp(g, {x}, {vector(1, 2)})):tolist(), {12.0, 36.0})
end)

test.case("vjp and jvp", function()
  local f = function(x, y) return x * y, x:sum() end
  local x, y = vector(1, 2), vector(3, 4)
  local output, pull = func.vjp(f, x, y)
  test.equal(output[2]:item(), 3.0)
  local gx, gy = pull({vector(1, 1), torch.tensor(10.0, {dtype = torch.float64})})
  test.equal(gx:tolist(), {13.0, 14.0})
  test.equal(gy:tolist(), {1.0, 2.0})
  local value, slope = func.jvp(function(a) return a:sin() end, {x}, {vector(1, 0)})
  test.near(value, x:sin(), 1e-12)
  test.near(slope, x:cos() * vector(1, 0), 1e-12)
  local _, v = torch.autograd.functional.vjp(function(a) return a * 2 end, x, vector(1, 3))
  test.equal(v:tolist(), {2.0, 6.0})
  local _, j = torch.autograd.functional.jvp(function(a) return a * a end, x, vector(1, 3))
  test.equal(j:tolist(), {2.0, 12.0})
end)

test.case("forward mode by dual numbers", function()
  local forward_ad = torch.autograd.forward_ad
  local x, t = vector(1, 2), vector(1, 0)
  local primal, tangent = forward_ad.dual_level(function()
    return forward_ad.unpack_dual(forward_ad.make_dual(x, t) ^ 2)
  end)
  test.equal(primal:tolist(), {1.0, 4.0})
  test.equal(tangent:tolist(), {2.0, 0.0})
  test.raises("no level exists", forward_ad.make_dual, x, t)
end)

test.case("per-sample gradients of a model equal those of a loop", function()
  torch.manual_seed(0)
  local net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
  local x, y = torch.randn(4, 3), torch.tensor {0, 1, 1, 0}
  local params = {}
  for name, p in net:named_parameters() do params[name] = p:detach() end
  local function loss(p, sample, target)
    local output = func.functional_call(net, p, sample:unsqueeze(0))
    return nn.functional.cross_entropy(output, target:unsqueeze(0))
  end
  local grads = func.vmap(func.grad(loss), {torch.None, 0, 0})(params, x, y)
  for i = 0, 3 do
    net:zero_grad()
    nn.functional.cross_entropy(net(x[i]:unsqueeze(0)), y[i]:unsqueeze(0)):backward()
    for name, p in net:named_parameters() do test.near(grads[name][i], p.grad, 1e-6) end
  end
end)

test.case("losses under vmap of grad equal those of a loop", function()
  local F = nn.functional
  torch.manual_seed(1)
  local x, y = torch.randn(4, 3), torch.randn(4, 3)
  local classes, weight = torch.tensor {0, 2, 1, 2}, torch.tensor {1.0, 2.0, 0.5}
  local losses = {
    function(a, b) return F.mse_loss(a, b) end, function(a, b) return F.smooth_l1_loss(a, b) end,
    function(a, b) return F.huber_loss(a, b, {delta = 0.5}) end,
    function(a, _, c) return F.cross_entropy(a, c, {weight = weight}) end,
    function(a, _, c) return F.nll_loss(a, c, {reduction = "sum", ignore_index = 2}) end,
    function(a, b) return torch.addr(torch.outer(a, a), a, b, {beta = 2, alpha = 3}):sum() end,
  }
  for i, loss in ipairs(losses) do
    local batched = torch.vmap(func.grad(loss))(x, y, classes)
    for k = 0, 3 do test.near(batched[k], func.grad(loss)(x[k], y[k], classes[k]), 1e-5) end
    test.truthy(batched:isfinite():all():item(), "loss " .. i)
  end
end)

test.case("functional_call leaves the module as it was, and checks names", function()
  local net = nn.Linear(2, 1, {bias = false})
  local before = net.weight
  local out = func.functional_call(net, {weight = torch.ones(1, 2)}, torch.ones(1, 2))
  test.equal(out:tolist(), {{2.0}})
  test.truthy(net.weight == before)
  pcall(func.functional_call, net, {weight = torch.ones(3)}, torch.ones(1, 2))
  test.truthy(net.weight == before)
  test.raises("no parameter or buffer 'bias'", func.functional_call, net, {bias = torch.ones(1)}, torch.ones(1, 2))
  test.raises("Missing key(s): 'weight'", func.functional_call, net, {}, torch.ones(1, 2), {strict = true})
end)

test.case("an ensemble of models in one vmap", function()
  local models = {}
  for i = 1, 3 do models[i] = nn.Linear(2, 1) end
  local params, buffers = func.stack_module_state(models)
  local x = torch.randn(5, 2)
  local out = func.vmap(function(p, b, input) return func.functional_call(models[1], {p, b}, input) end,
    {0, 0, torch.None})(params, buffers, x)
  for i = 1, 3 do test.near(out[i - 1], models[i](x), 1e-6) end
end)

local Cube = torch.autograd.Function("Cube")
Cube.generate_vmap_rule = true
function Cube.forward(x) return x ^ 3 end
function Cube.setup_context(ctx, inputs) ctx:save_for_backward(inputs[1]) end
function Cube.backward(ctx, grad) return grad * 3 * ctx.saved_tensors[1] ^ 2 end

test.case("a Function under grad and vmap, in any order", function()
  local x = vector(1, 2, 3)
  test.equal(func.grad(function(a) return Cube.apply(a):sum() end)(x):tolist(), {3.0, 12.0, 27.0})
  test.equal(torch.vmap(Cube.apply)(x):tolist(), {1.0, 8.0, 27.0})
  test.equal(torch.vmap(func.grad(Cube.apply))(x):tolist(), {3.0, 12.0, 27.0})
  test.equal(func.grad(function(a) return torch.vmap(Cube.apply)(a):sum() end)(x):tolist(), {3.0, 12.0, 27.0})
  test.equal(func.jacrev(Cube.apply)(x):diagonal():tolist(), {3.0, 12.0, 27.0})
  test.equal(func.grad(func.grad(Cube.apply))(torch.tensor(2.0)):item(), 12.0)
end)

test.case("a Function says what it lacks for a transform", function()
  local Plain = torch.autograd.Function("Plain")
  function Plain.forward(_, x) return x * 1 end
  test.raises("it must override the setup_context staticmethod", torch.vmap(Plain.apply), torch.ones(2))
  local NoRule = torch.autograd.Function("NoRule")
  function NoRule.forward(x) return x * 1 end
  function NoRule.setup_context() end
  test.raises("You tried to vmap over NoRule, but it does not have vmap support", torch.vmap(NoRule.apply), torch.ones(2))
  local Own = torch.autograd.Function("Own", NoRule)
  function Own.vmap(info, in_dims, x)
    test.equal({info.batch_size, in_dims[1]}, {2, 0})
    return x * 5, 0
  end
  test.equal(torch.vmap(Own.apply)(torch.ones(2)):tolist(), {5.0, 5.0})
end)

test.case("a function under a transform cannot yield", function()
  local function suspended(transform)
    return coroutine.create(function()
      return transform(function(v)
        coroutine.yield()
        return v:sum()
      end)(torch.ones(3))
    end)
  end
  for _, transform in ipairs {torch.func.grad, torch.func.vmap, torch.func.jacfwd, torch.func.jacrev} do
    local ok, message = coroutine.resume(suspended(transform))
    test.truthy(not ok)
    test.truthy(tostring(message):find("attempt to yield across a C-call boundary", 1, true))
  end
  test.equal(torch.func.grad(torch.sum)(torch.ones(2)):tolist(), {1.0, 1.0})
end)

test.case("vmap says how None is written, and what it does not take", function()
  local f = function(x, _) return x end
  test.raises("write torch.None for None", torch.vmap(f, {in_dims = {0, nil}}), torch.ones(2), torch.ones(2))
  for _, x in ipairs {torch.ones(3), torch.ones(3, 2)} do
    test.raises("vmap: It looks like you're calling .item%(%) on a Tensor", torch.vmap(function(v) return v * v:item() end), x)
  end
end)

test.case("tensors of Lua data inside transforms", function()
  local grad, x = torch.func.grad, vector(1, 2)
  test.equal(grad(function(a) return (a * torch.tensor {3, 4.5}):sum() end)(x):tolist(), {3.0, 4.5})
  test.equal(grad(function(a) return (a * a:new_tensor {3, 4} * torch.tensor(2.0)):sum() end)(x):tolist(), {6.0, 8.0})
  test.equal(grad(function(a) return a[{{0, 0}}]:sum() + a["[1]"]:sum() end)(x):tolist(), {2.0, 1.0})
  test.equal(grad(function(a)
    local y = a * 2
    y[{{0}}] = {7}
    return y:sum()
  end)(x):tolist(), {0.0, 2.0})
  -- A new tensor belongs to the transform: what it is changed by is differentiated.
  test.equal(grad(function(a) return torch.tensor {3., 4.}:mul_(a):sum() end)(vector(1, 2):float()):tolist(), {3.0, 4.0})
  test.equal(torch.func.vmap(function(a) return a + torch.tensor {1, 2} end)(torch.zeros(3, 2)):tolist()[3], {1.0, 2.0})
  test.equal(torch.func.jvp(function(a) return a * torch.tensor {1, 2} end, {x}, {x}):tolist(), {1.0, 4.0})
end)

test.case("a list in an index text serves in every mode, wherever it was met first", function()
  local x = torch.ones(3, {requires_grad = true})
  torch.inference_mode(function() return torch.ones(3)["[0, 2, 2]"] end)
  x["[0, 2, 2]"]:sum():backward()
  test.equal(x.grad:tolist(), {1.0, 0.0, 2.0})
  test.equal(torch.func.grad(function(a) return a["[2, 1]"]:sum() end)(torch.ones(3)):tolist(), {0.0, 1.0, 1.0})
  test.equal(torch.ones(3)["[2, 1]"]:tolist(), {1.0, 1.0})
end)

test.case("files are read inside transforms", function()
  local path = os.tmpname()
  for _, ending in ipairs {"pt", "npy", "npz", "safetensors"} do
    local file, value = path .. "." .. ending, torch.tensor {2., 3.}
    torch.save(ending == "npy" and value or {a = value}, file)
    local read = function()
      local got = torch.load(file)
      return ending == "npy" and got or got.a
    end
    test.equal(torch.func.grad(function(x) return (x * read()):sum() end)(torch.ones(2)):tolist(), {2.0, 3.0})
    os.remove(file)
  end
  os.remove(path)
end)

test.case("the Hessian of a model with softmax, layer_norm and cross-entropy", function()
  local F = nn.functional
  local f = function(a) return F.cross_entropy(F.layer_norm(a, {3}), torch.tensor {0, 2}) end
  local x = torch.randn({2, 3}, {dtype = torch.float64})
  local h = torch.func.hessian(f)(x)
  test.equal(h:size(), {2, 3, 2, 3})
  local numeric, eps, grad = torch.zeros_like(h), 1e-5, torch.func.grad(f)
  for i = 0, 1 do
    for j = 0, 2 do
      local step = torch.zeros_like(x)
      step[{i, j}] = eps
      numeric[{":", ":", i, j}] = (grad(x + step) - grad(x - step)) / (2 * eps)
    end
  end
  test.truthy(torch.allclose(h, numeric, 1e-6, 1e-8))
end)

test.case("what cannot be differentiated is said as PyTorch says it", function()
  for _, api in ipairs {"grad", "jacrev"} do
    test.raises(": only Tensors of floating point dtype can require gradients", torch.func[api](torch.sum), torch.arange(2))
  end
  test.raises("attempting to call Tensor.requires_grad_%(%)", torch.func.grad(function(x)
    return x:requires_grad_():sum()
  end), torch.ones(2))
  local own = {torch.ones(2)}
  own[2] = own
  test.raises("a table that contains itself", torch.func.grad(function(x) return x[1]:sum() end), own)
end)
