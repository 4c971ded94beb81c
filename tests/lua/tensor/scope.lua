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
