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

test.case("a node's hook that mentions its tensor or its node", function()
  local x = leaf()
  for _, how in ipairs {"register_hook", "register_prehook"} do
    test.equal(survivors(100, function(mark)
      local y = x * 2
      y.grad_fn[how](y.grad_fn, function() local _, _ = y, mark end)
      if how == "register_hook" then y:sum():backward() end
    end), 0)
    test.equal(survivors(100, function(mark)
      local node = (x * 2).grad_fn
      node[how](node, function() local _, _ = node, mark end)
    end), 0)
  end
end)

test.case("a hook that was removed, its handle kept", function()
  local x = leaf()
  local y = x * 2
  local handles = {}
  test.equal(survivors(100, function(mark)
    local post = y.grad_fn:register_hook(function() return mark end)
    local pre = y.grad_fn:register_prehook(function() return mark end)
    local of_tensor = y:register_hook(function() return mark end)
    post:remove()
    pre:remove()
    of_tensor:remove()
    table.move({post, pre, of_tensor}, 1, 3, #handles + 1, handles)
  end), 0)
  y:sum():backward()
  test.equal(x.grad:tolist(), {2.0, 2.0})
end)

test.case("a hook that mentions its own handle", function()
  local x = leaf()
  local function removing(register)
    return survivors(100, function(mark)
      local handle
      handle = register(function() return mark, handle:remove() end)
    end)
  end
  test.equal(removing(function(hook) return (x * 2):register_hook(hook) end), 0)
  test.equal(removing(function(hook) return (x * 2).grad_fn:register_hook(hook) end), 0)
  test.equal(removing(function(hook) return leaf():register_post_accumulate_grad_hook(hook) end), 0)
end)

test.case("a node's metadata that holds its tensor or its node", function()
  local x = leaf()
  test.equal(survivors(100, function(mark)
    local y = x * 2
    y.grad_fn.metadata.tensor, y.grad_fn.metadata.mark = y, mark
  end), 0)
  test.equal(survivors(100, function(mark)
    local y = x * 2
    local metadata = y.grad_fn.metadata
    metadata.node, metadata.mark = y.grad_fn, mark
  end), 0)
end)

test.case("a node's hook and metadata live as long as its node", function()
  local x = leaf()
  local seen = 0
  local loss
  do
    local y = x * 2
    y.grad_fn:register_hook(function() seen = seen + 1 + y:dim() * 0 end)
    y.grad_fn.metadata.name = {"kept"}
    loss = y:sum()
  end
  for _ = 1, 3 do collectgarbage() end
  do
    local node = loss.grad_fn.next_functions[1][1]
    test.equal(node.metadata.name, {"kept"})
    test.truthy(rawequal(node, loss.grad_fn.next_functions[1][1]))
  end
  for _ = 1, 3 do collectgarbage() end
  loss:backward()
  test.equal(seen, 1)
end)

test.case("a finalizer that runs a backward finds the hooks", function()
  local x = leaf()
  local seen = 0
  x:register_hook(function(grad) seen = seen + 1 + x:dim() * 0 return grad * 3 end)
  local failure
  setmetatable({}, {__gc = function()
    local ok, e = pcall(function() x:sum():backward() end)
    failure = not ok and tostring(e) or nil
  end})
  collectgarbage()
  test.equal(failure, nil)
  test.equal(seen, 1)
  test.equal(x.grad:tolist(), {3.0, 3.0})
  x:sum():backward()
  test.equal(seen, 2)
end)

test.case("a finalizer of what dies with its hooked tensor finds the hook", function()
  local seen, failure = 0, nil
  do
    local z = leaf()
    z:register_hook(function() seen = seen + 1 + z:dim() * 0 end)
    setmetatable({}, {__gc = function()  -- made after z, so it runs before z is let go of
      local ok, e = pcall(function() z:sum():backward() end)
      failure = not ok and tostring(e) or nil
    end})
  end
  for _ = 1, 3 do collectgarbage() end
  test.equal(failure, nil)
  test.equal(seen, 1)
end)
