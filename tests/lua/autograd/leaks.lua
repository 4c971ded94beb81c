-- What a graph holds of Lua, and Lua of a graph, is collected, cycles through C++ too.
local test = require "test"
local torch = require "torch"

-- How many of the tables made by make(i) are still alive after `count` of them were dropped.
local function survivors(count, make)
  local alive = setmetatable({}, {__mode = "k"})
  for i = 1, count do
    local mark = {}
    alive[mark] = true
    make(mark, i)
  end
  for _ = 1, 4 do collectgarbage() end
  local left = 0
  for _ in pairs(alive) do left = left + 1 end
  return left
end

local function leaf() return torch.ones(2, {requires_grad = true}) end

local Keep = torch.autograd.Function("Keep")
function Keep.forward(ctx, x, mark, how)
  local y = x * 2
  ctx.mark = mark
  if how == "saved" then ctx:save_for_backward(x, y) end
  if how == "field" then ctx.y = y end
  if how == "closure" then ctx.f = function() return y, mark end end
  return y
end
function Keep.backward(_, grad) return grad, nil, nil end

test.case("10000 nodes that were differentiated", function()
  local x = leaf()
  test.equal(survivors(10000, function(mark) Keep.apply(x, mark, "saved"):sum():backward() end), 0)
end)

test.case("10000 nodes that were not", function()
  local x = leaf()
  test.equal(survivors(10000, function(mark) Keep.apply(x, mark, "saved") end), 0)
end)

test.case("a ctx that keeps its output in a field or a closure", function()
  local x = leaf()
  test.equal(survivors(200, function(mark) Keep.apply(x, mark, "field") end), 0)
  test.equal(survivors(200, function(mark) Keep.apply(x, mark, "closure"):sum():backward() end), 0)
end)

test.case("a hook that mentions its tensor", function()
  test.equal(survivors(200, function(mark)
    local x = leaf()
    x:register_hook(function() return x, mark end)
  end), 0)
  local x = leaf()
  test.equal(survivors(200, function(mark)
    local y = x * 2
    y:register_hook(function(grad) return grad * y:sum():item(), mark end)
    y:sum():backward()
  end), 0)
  test.equal(survivors(200, function(mark)
    local w = leaf()
    w:register_post_accumulate_grad_hook(function() return w, mark end)
    w:sum():backward()
  end), 0)
end)

test.case("hooks live as long as their tensor's graph", function()
  local x = leaf()
  local seen = 0
  local loss
  do
    local y = x * 2
    y:register_hook(function() seen = seen + 1 + y:dim() * 0 end)
    loss = y:sum()
  end
  for _ = 1, 3 do collectgarbage() end
  loss:backward(nil, {retain_graph = true})
  for _ = 1, 3 do collectgarbage() end
  loss:backward()
  test.equal(seen, 2)
  local z = leaf()
  z:register_hook(function(grad) return grad * 3 + z:detach() * 0 end)
  for _ = 1, 3 do collectgarbage() end
  z:sum():backward()
  test.equal(z.grad:tolist(), {3.0, 3.0})
end)

test.case("a ctx lives as long as its node", function()
  local x = leaf()
  local Field = torch.autograd.Function("Field")
  function Field.forward(ctx, a)
    local y = a * 2
    ctx.y = y
    return y
  end
  function Field.backward(ctx, grad) return grad * ctx.y:dim() end
  local kept = {Field.apply(x)}
  for _ = 1, 3 do collectgarbage() end
  local z = kept[1] + 1
  kept[1] = nil
  for _ = 1, 3 do collectgarbage() end
  z:sum():backward()
  test.equal(x.grad:tolist(), {1.0, 1.0})
end)

test.case("saved tensor hooks and checkpoints", function()
  local x = leaf()
  local checkpoint = torch.utils.checkpoint.checkpoint
  test.equal(survivors(300, function(mark)
    checkpoint(function(t) return t:exp(), mark and t end, x, {use_reentrant = false}):sum():backward()
  end), 0)
  test.equal(survivors(300, function(mark)
    checkpoint(function(t) return t:exp(), mark and t end, x, {use_reentrant = false})
  end), 0)
end)
