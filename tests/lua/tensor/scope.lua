-- torch.scope: what a function made is let go at its end, but for its results.
local test = require "test"
local torch = require "torch"
local nn = torch.nn

-- Is it open?
local function alive(x) return (pcall(function() return x:dim() end)) end

test.case("what is returned lives, what is not is closed at once", function()
  local inside, kept
  local a, b, n = torch.scope(function(x, k)
    inside = x + 1
    kept = inside * 2
    return kept, {deep = {torch.ones(2), [inside:clone()] = true}}, k
  end, torch.ones(2), 7)
  test.equal(a:tolist(), {4.0, 4.0})
  test.equal(n, 7)
  test.truthy(rawequal(a, kept) and alive(b.deep[1]))
  for key in pairs(b.deep) do test.truthy(key == 1 or alive(key)) end
  test.falsy(alive(inside))
  test.raises("this Tensor is closed", function() return inside + 1 end)
end)

test.case("functions and modules in the results keep what they hold", function()
  local get, net = torch.scope(function()
    local secret = torch.ones(3)
    local module = nn.Linear(2, 2)
    module.state = torch.zeros(2)
    return function() return secret end, module
  end)
  test.equal(get():sum():item(), 3.0)
  test.equal(net.state:tolist(), {0.0, 0.0})
  test.equal(net(torch.ones(2)):size(0), 2)
end)

test.case("parameters, gradients and an optimizer's state stay", function()
  local net = nn.Linear(4, 4)
  local optimizer = torch.optim.Adam(net:parameters(), {lr = 1e-2})
  local loss
  for _ = 1, 3 do
    local value = torch.scope(function()
      optimizer:zero_grad()
      loss = net(torch.randn(8, 4)):pow(2):mean()
      loss:backward()
      optimizer:step()
      return loss:item()
    end)
    test.equal(math.type(value), "float")
    test.falsy(alive(loss))
  end
  test.truthy(alive(net.weight) and alive(net.weight.grad))
end)

test.case("a graph goes with its last output: memory is given back without a collection", function()
  local before = torch.tensor(0.0)
  local w = torch.randn(64, 64, {requires_grad = true})
  local middle
  torch.scope(function()
    local x = w
    for i = 1, 10 do
      x = x:matmul(w):relu()
      if i == 5 then middle = x end
    end
    return nil
  end)
  test.falsy(alive(middle))
  test.truthy(alive(w) and alive(before))
end)

test.case("scopes nest: what an inner one returns belongs to the outer one", function()
  local inner
  local outer = torch.scope(function()
    inner = torch.scope(function() return torch.ones(2) end)
    test.truthy(alive(inner))
    return inner + 1
  end)
  test.falsy(alive(inner))
  test.equal(outer:tolist(), {2.0, 2.0})
end)

test.case("what was made before both scopes is left alone by both", function()
  local x = torch.ones(2)
  torch.scope(function() torch.scope(function() return {x} end) end)
  test.truthy(alive(x))
end)

test.case("what an inner scope could not let go goes with the outer one", function()
  local middle
  torch.scope(function()
    local x = torch.randn(3, {requires_grad = true})
    local loss = torch.scope(function()
      middle = x:exp()
      return middle:pow(2):sum()
    end)
    loss:backward()
    test.truthy(alive(middle))
  end)
  test.falsy(alive(middle))
end)

-- `build(x, note)` returns an output of a graph; note(y) tells of a tensor that only Lua holds for it.
local function kept_by_graph(build, has_nodes)
  local x = torch.randn(4, {requires_grad = true})
  local noted = {}
  local function note(y)
    noted[#noted + 1] = y
    return y
  end
  do
    local z = torch.scope(build, x, note)
    test.truthy(#noted > 0 and alive(noted[1]))
    z:sum():backward()
  end
  local got = x.grad
  x.grad = nil
  build(x, function(y) return y end):sum():backward()
  test.equal(got, x.grad)
  noted = {}
  collectgarbage()
  torch.scope(function() build(x, note) end)  -- with its graph, what it holds goes at the end, too
  test.truthy(#noted > 0)
  if has_nodes then return end  -- a Node that the script has read holds its graph until the collector runs
  for _, y in ipairs(noted) do test.falsy(alive(y)) end
end

test.case("a graph keeps a field of ctx", function()
  local Scale = torch.autograd.Function("Scale")
  function Scale.forward(ctx, x, note)
    ctx.deep = {factor = note(x:detach():exp())}
    return x * ctx.deep.factor
  end
  function Scale.backward(ctx, grad) return grad * ctx.deep.factor, nil end
  kept_by_graph(function(x, note) return Scale.apply(x, note) end)
end)

test.case("a graph keeps what a hook's function holds", function()
  kept_by_graph(function(x, note)
    local factor = note(x:detach():exp())
    local y = x * 2
    y:register_hook(function(grad) return grad * factor end)
    return y
  end)
  kept_by_graph(function(x, note)
    local factor = note(x:detach():exp())
    local y = x * 2
    y.grad_fn:register_prehook(function(grads) return {grads[1] * factor} end)
    return y
  end, true)
end)

test.case("a graph keeps what a pack hook returned", function()
  kept_by_graph(function(x, note)
    local _ <close> = torch.autograd.graph.saved_tensors_hooks(
      function(saved) return {note(saved:clone())} end, function(packed) return packed[1] end)
    return (x * 2):exp()
  end)
end)

test.case("a graph keeps the arguments of a checkpoint", function()
  for _, use_reentrant in ipairs {false, true} do
    kept_by_graph(function(x, note)
      local factor = note(x:detach():exp())
      local y = note(x * 3)
      return torch.utils.checkpoint.checkpoint(function(a) return (a * factor):sin():exp() end, y,
        {use_reentrant = use_reentrant})
    end)
  end
end)

test.case("what C++ holds from before is not walked through", function()
  local rows = {}
  for i = 1, 100000 do rows[i] = {i} end
  local x = torch.ones(2, {requires_grad = true})
  local _ <close> = x:register_hook(function(grad) return grad * #rows end)
  -- A walk notes every table it meets: memory that shows while nothing is collected.
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  torch.scope(function() return torch.ones(2) + 1, nil end)
  torch.scope(function() local _ = torch.ones(2) end)
  local grown = collectgarbage "count" - before
  collectgarbage "restart"
  test.truthy(grown < 100, "two scopes took " .. grown .. " KiB")
end)

test.case("a scope inside a checkpointed function leaves what the backward needs", function()
  local x = torch.randn(4, {requires_grad = true})
  local function f(a) return torch.scope(function() return (a * 3):sin():exp() end) end
  local want = torch.autograd.grad(f(x):sum(), x)[1]
  for _, outer in ipairs {torch.scope, pcall} do
    x.grad = nil
    local y = torch.utils.checkpoint.checkpoint(f, x, {use_reentrant = false}):sum()
    outer(function() y:backward() end)
    test.equal(x.grad, want)
  end
end)

test.case("what an object of the library makes when it is first used outlives the scope", function()
  local model = nn.Linear(2, 1)
  local copy
  torch.scope(function() copy = require("train.weights").copy(model) end)
  require("train.weights").restore(model, copy)
  local sum = require("train").metrics.Sum()
  for _ = 1, 2 do torch.scope(function() sum:update(torch.ones(3)) end) end
  test.equal(sum:result(), 6.0)
  local storage = torch.scope(function() return torch.ones(3):storage() end)
  test.equal(storage[2], 1.0)
end)

test.case("an error leaves what a graph outside holds", function()
  local x = torch.randn(4, {requires_grad = true})
  pcall(torch.scope, function()
    local factor = torch.full({4}, 3.0)
    x:register_hook(function(grad) return grad * factor end)
    error "out"
  end)
  x:sum():backward()
  test.equal(x.grad:tolist(), {3.0, 3.0, 3.0, 3.0})
end)

test.case("an error ends the scope", function()
  local inside
  test.raises("out", torch.scope, function()
    inside = torch.ones(2)
    error "out"
  end)
  test.falsy(alive(inside))
  test.truthy(alive(torch.ones(1)))
  local after = torch.ones(2)
  collectgarbage()
  test.truthy(alive(after))
end)

test.case("a table outside that holds one holds a closed tensor, not a dangling one", function()
  local cache = {}
  torch.scope(function() cache.h = torch.ones(2) end)
  test.raises("this Tensor is closed", function() return cache.h:sum() end)
  test.equal(tostring(cache.h), "Tensor (freed)")
end)

test.case("what was there before is left alone, collected or not", function()
  local x = torch.ones(2)
  torch.scope(function()
    for _ = 1, 200 do torch.ones(100) end
    collectgarbage()
    x:add_(1)
    local view = x:view(-1)
    view:free()
  end)
  test.equal(x:tolist(), {2.0, 2.0})
end)

test.case("a chain of tables a hundred thousand long is followed", function()
  local last = {torch.ones(1)}
  local chain = torch.scope(function()
    local head = {torch.zeros(1)}
    for _ = 1, 100000 do head = {next = head} end
    return head
  end)
  while chain.next do chain = chain.next end
  test.truthy(alive(chain[1]) and alive(last[1]))
end)

test.case("a coroutine's tensors belong to the scope that runs it", function()
  local inside
  torch.scope(function()
    coroutine.wrap(function() inside = torch.ones(2) end)()
  end)
  test.falsy(alive(inside))
end)

test.case("it takes a function", function()
  test.raises("argument 'fn' must be a function, got number 3", torch.scope, 3)
end)
