-- torch.autograd.graph: edges of the graph, changes of saved tensors, views, and names that are not there.
local test = require "test"
local torch = require "torch"
local graph = torch.autograd.graph

test.case("a gradient edge stands for its tensor in grad and backward", function()
  local w = torch.tensor({2.0, 3.0}, {requires_grad = true})
  local y = w * 4
  local leaf, inner = graph.get_gradient_edge(w), graph.get_gradient_edge(y)
  test.equal(tostring(inner), "GradientEdge(node=<MulBackward0>, output_nr=0)")
  local loss = y:pow(2):sum()
  test.equal(torch.autograd.grad(loss, leaf, {retain_graph = true})[1]:tolist(), {64.0, 96.0})
  local grads = torch.autograd.grad(loss, {inner, w}, {retain_graph = true})
  test.equal(grads[1]:tolist(), {16.0, 24.0})
  test.equal(grads[2]:tolist(), {64.0, 96.0})
  test.equal(torch.autograd.grad(inner, w, {grad_outputs = torch.ones(2), retain_graph = true})[1]:tolist(), {4.0, 4.0})
  test.equal(torch.autograd.grad {outputs = graph.get_gradient_edge(loss), inputs = {w}, retain_graph = true}[1]:tolist(),
    {64.0, 96.0})
  loss:backward {inputs = leaf, retain_graph = true}
  test.equal(w.grad:tolist(), {64.0, 96.0})
  w.grad = nil
  torch.autograd.backward(graph.get_gradient_edge(loss))
  test.equal(w.grad:tolist(), {64.0, 96.0})
end)

test.case("a gradient edge's errors", function()
  local w = torch.tensor({2.0, 3.0}, {requires_grad = true})
  local y = w * 4
  local edge = graph.get_gradient_edge(y)
  test.raises("grad can be implicitly created only for scalar outputs", torch.autograd.grad, edge, w)
  test.raises("Mismatch in shape: grad_output%[0%] has a shape of torch.Size%(%[3%]%)", torch.autograd.grad, edge, w,
    torch.ones(3))
  test.raises("Batched grads are not supported with GradientEdge", torch.autograd.grad, edge, w,
    {grad_outputs = torch.ones(1, 2), is_grads_batched = true})
  test.raises("MulBackward0 has 1 outputs, got output_nr 3", torch.autograd.grad, graph.GradientEdge(y.grad_fn, 3), w)
  local other = torch.ones(2, {requires_grad = true})
  test.raises("materialize_grads cannot be used when the given input is a GradientEdge", torch.autograd.grad, y:sum(),
    graph.get_gradient_edge(other), {materialize_grads = true})
  test.raises("expected a Node, got number 3", graph.GradientEdge, 3, 0)
end)

test.case("an output that a node does not have is an error, as input and as output", function()
  local w = torch.ones(2, {requires_grad = true})
  local m = w * 2
  local y = m:sum()
  for _, nr in ipairs {1, 1000} do
    local edge = graph.GradientEdge(m.grad_fn, nr)
    local wrong = "MulBackward0 has 1 outputs, got output_nr " .. nr
    test.raises(wrong, torch.autograd.grad, y, {edge})
    test.raises(wrong, torch.autograd.backward, y, {inputs = {edge}})
    test.raises(wrong, torch.autograd.grad, {edge}, w, {grad_outputs = torch.ones(2)})
  end
  for _, nr in ipairs {-1, 1 << 32, 0.5, "one"} do
    test.raises("argument 'output_nr' must be", graph.GradientEdge, m.grad_fn, nr)
    local edge = graph.GradientEdge(m.grad_fn, 0)
    edge.output_nr = nr
    test.raises("argument 'output_nr' must be", torch.autograd.grad, y, {edge})
    test.raises("argument 'output_nr' must be", torch.autograd.grad, {edge}, w, {grad_outputs = torch.ones(2)})
  end
end)

test.case("_base is what a view is a view of", function()
  local x = torch.arange(6.0)
  local view = x:view(2, 3)[1]
  test.truthy(view._base == x and view:_is_view())
  test.truthy(x._base == nil and not x:_is_view())
end)

test.case("what a node saved is an error that says why", function()
  local y = torch.ones(2, {requires_grad = true}):exp()
  test.raises("'ExpBackward0': LibTorch's nodes do not tell what they saved by name, got '_saved_result'", function()
    return y.grad_fn._saved_result
  end)
  test.raises("'ExpBackward0' object has no attribute 'nme'", function() return y.grad_fn.nme end)
end)

test.case("allow_mutation_on_saved_tensors", function()
  local function run(change)
    local a = torch.ones(2, 3, {requires_grad = true})
    local b = a * 3
    local out = (b ^ 2):sum()
    change(b)
    out:backward()
    return a.grad
  end
  local expected = torch.full({2, 3}, 18.0)
  test.raises("modified by an inplace operation", run, function(b) b:sin_() end)
  for _, change in ipairs {
    function(b) b:sin_() end, function(b) b[0]:zero_() end, function(b) b:view(-1)[{0}] = 7 end,
    function(b) torch.add(b:detach(), 1, {out = b:detach()}) end,
    function(b) torch.no_grad(torch._foreach_mul_, {b}, 2) end,
    function(b) b:add_(1):mul_(2) end,
  } do
    test.equal(graph.allow_mutation_on_saved_tensors(run, change), expected)
  end
  do
    local _ <close> = graph.allow_mutation_on_saved_tensors()
    test.equal(run(function(b) b:zero_() end), expected)
    test.raises("contexts cannot be nested", graph.allow_mutation_on_saved_tensors)
  end
  test.raises("modified by an inplace operation", run, function(b) b:sin_() end)
end)

test.case("allow_mutation_on_saved_tensors: the backward is inside, too", function()
  local a = torch.ones(2, {requires_grad = true})
  local out = graph.allow_mutation_on_saved_tensors(function()
    local b = a * 2
    local result = b:pow(2):sum()
    b:zero_()
    return result
  end)
  test.raises("backward outside of the 'allow_mutation_on_saved_tensors' context", function() out:backward() end)
end)

test.case("allow_mutation_on_saved_tensors: an output that is saved, and a second derivative", function()
  local x = torch.tensor({0.5}, {requires_grad = true, dtype = torch.float64})
  graph.allow_mutation_on_saved_tensors(function()
    local y = x:exp()
    local z = y * y
    y:mul_(0)
    local first = torch.autograd.grad(z, x, {create_graph = true})[1]
    test.near(first:item(), 2 * math.exp(1.0), 1e-12)
    test.near(torch.autograd.grad(first, x)[1]:item(), 4 * math.exp(1.0), 1e-12)
  end)
end)

test.case("a module runs under hooks, and none is left afterwards", function()
  local model, x = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh()), torch.randn(3, 2)
  local count = 0
  local function pack(value) count = count + 1 return value end
  local function unpack(value) return value end
  test.equal(torch.equal(graph.save_on_cpu(model, x), model(x)), true)
  test.equal(torch.equal(graph.saved_tensors_hooks(pack, unpack, model, x), model(x)), true)
  local before = count
  test.truthy(before > 0)
  model(x)
  test.equal(count, before)
  test.raises("save_on_cpu: expected a function or a module", graph.save_on_cpu, false, "cpu", x)
end)

test.case("allow_mutation_on_saved_tensors: nested tensors", function()
  local a = torch.ones(2, {requires_grad = true})
  graph.allow_mutation_on_saved_tensors(function()
    local nested = torch.nested.as_nested_tensor({a * 3, torch.ones(3)})
    local out = (nested * nested):to_padded_tensor(0):sum() + (nested * nested):to_padded_tensor(0):sum()
    torch.no_grad(function() nested:mul_(0) end)
    out:backward()
  end)
  test.equal(a.grad:tolist(), {36.0, 36.0})
end)

test.case("allow_mutation_on_saved_tensors: many parts of one storage", function()
  local x = torch.ones(4000, {requires_grad = true})
  graph.allow_mutation_on_saved_tensors(function()
    local copy, total = x * 1, torch.zeros(1)
    for _, part in ipairs(copy:unbind()) do total = total + part * part end
    torch.no_grad(function() copy:zero_() end)
    total:backward()
  end)
  test.equal(x.grad:eq(2):all():item(), true)
end)

test.case("disable_saved_tensors_hooks is for every kind of them", function()
  local _ <close> = graph.disable_saved_tensors_hooks("not here")
  test.raises("not here", graph.save_on_cpu)
  test.raises("not here", graph.allow_mutation_on_saved_tensors)
end)

test.case("unknown names are errors that name a near one", function()
  local cases = {
    [torch.autograd] = {"grda", "torch.autograd has no 'grda' %(did you mean 'grad'%?%)"},
    [graph] = {"save_on_cup", "torch.autograd.graph has no 'save_on_cup' %(did you mean 'save_on_cpu'%?%)"},
    [torch.func] = {"vmapp", "torch.func has no 'vmapp' %(did you mean 'vmap'%?%)"},
    [torch.autograd.functional] = {"jacobain", "did you mean 'jacobian'"},
    [torch.autograd.forward_ad] = {"make_daul", "did you mean 'make_dual'"},
    [torch.autograd.grad_mode] = {"no_grda", "did you mean 'no_grad'"},
    [torch.utils.checkpoint] = {"chekpoint", "torch.utils.checkpoint has no 'chekpoint' %(did you mean 'checkpoint'%?%)"},
  }
  for space, case in pairs(cases) do
    test.raises(case[2], function() return space[case[1]] end)
  end
end)
