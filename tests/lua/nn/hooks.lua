-- Hooks of modules: errors, hooks that come and go, memory. What they do is compared with PyTorch in tests/parity/test_module.py.
local test = require "test"
local torch = require "torch"
local nn = torch.nn
local all_modules = nn.modules.module

test.case("a hook that raises leaves the module as it was, and the error has the user's line", function()
  local m = nn.Linear(2, 2)
  local handle = m:register_forward_hook(function() error "mine" end)
  test.raises("hooks.lua:%d+: mine", m, torch.ones(2))
  test.raises("hooks.lua:%d+: mine", m, torch.ones(2))
  handle:remove()
  test.equal(m(torch.ones(2)).shape, torch.Size{2})
end)

test.case("a hook that is no function is refused at once", function()
  local m = nn.ReLU()
  for _, register in ipairs {"register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook",
    "register_full_backward_pre_hook", "register_state_dict_pre_hook", "register_load_state_dict_post_hook"} do
    test.raises("a hook must be a function, got", m[register], m, 3)
  end
  test.equal(m(torch.ones(1)), torch.ones(1))
end)

test.case("a callable table is a hook", function()
  local m = nn.ReLU()
  m:register_forward_hook(setmetatable({}, {__call = function(_, _, _, output) return output + 1 end}))
  test.equal(m(torch.zeros(1)), torch.ones(1))
end)

test.case("a hook may call its module again, and recursion without end is an error", function()
  local m, depth = nn.ReLU(), 0
  m:register_forward_hook(function(module, args)
    depth = depth + 1
    if depth < 5 then return module(args[1]) + 1 end
  end)
  test.equal(m(torch.zeros(1)):item(), 4.0)
  local endless = nn.ReLU()
  endless:register_forward_pre_hook(function(module, args) return module(args[1]) end)
  test.raises("stack overflow", endless, torch.zeros(1))
  test.equal(nn.ReLU()(torch.ones(1)):item(), 1.0)
end)

test.case("a hook may drop the last reference to its module", function()
  local holder = nn.Sequential(nn.Linear(2, 2))
  holder[0]:register_forward_hook(function()
    holder["0"] = nil
    collectgarbage() collectgarbage()
  end)
  holder[0]:register_forward_hook(function(module, _, output)
    test.equal(#module:parameters(), 2)
    return output
  end)
  test.equal(holder(torch.ones(1, 2)).shape, torch.Size{1, 2})
  test.equal(#holder, 0)
end)

test.case("a hook may remove all hooks, also of all modules", function()
  local m, seen, handles = nn.ReLU(), {}, {}
  handles[1] = all_modules.register_module_forward_hook(function()
    seen[#seen + 1] = "every"
    for _, handle in ipairs(handles) do handle:remove() end
  end)
  handles[2] = m:register_forward_hook(function() seen[#seen + 1] = "own" end)
  m(torch.ones(1))
  m(torch.ones(1))
  test.equal(seen, {"every"})
end)

test.case("a handle keeps neither the module nor is it kept by it, and outlives it", function()
  local weak = setmetatable({}, {__mode = "v"})
  local handle
  do
    local m = nn.Linear(2, 2)
    weak.module = m
    local seen = 0
    handle = m:register_forward_hook(function() seen = seen + 1 end)
  end
  collectgarbage() collectgarbage()
  test.equal(weak.module, nil)
  handle:remove()
  handle:remove()
end)

test.case("a hook that holds its module is collected with it", function()
  local weak = setmetatable({}, {__mode = "v"})
  do
    local m = nn.Linear(2, 2)
    weak.module = m
    m:register_forward_hook(function() return m and nil end)
    m:register_full_backward_hook(function() return m and nil end)
    m(torch.ones(1, 2, {requires_grad = true})):sum():backward()
  end
  collectgarbage() collectgarbage() collectgarbage()
  test.equal(weak.module, nil)
end)

test.case("a graph with backward hooks that is never run is collected", function()
  local weak = setmetatable({}, {__mode = "v"})
  do
    local m = nn.Linear(2, 2)
    m:register_full_backward_hook(function() return m and nil end)
    weak.module = m
    weak.output = m(torch.ones(1, 2, {requires_grad = true}))
  end
  collectgarbage() collectgarbage() collectgarbage()
  test.equal(weak.output, nil)
  test.equal(weak.module, nil)
end)

test.case("a backward hook that raises stops backward with the user's line", function()
  local m, x = nn.ReLU(), torch.ones(2, {requires_grad = true})
  local handle = m:register_full_backward_hook(function() error "in backward" end)
  test.raises("hooks.lua:%d+: in backward", function() m(x):sum():backward() end)
  handle:remove()
  m(x):sum():backward()
  test.equal(x.grad, torch.ones(2))
end)

test.case("a backward hook may remove itself and run another backward", function()
  local m, x, seen, handle = nn.ReLU(), torch.ones(2, {requires_grad = true}), {}, nil
  handle = m:register_full_backward_hook(function(module)
    handle:remove()
    local _ <close> = torch.enable_grad()
    local y = torch.ones(2, {requires_grad = true})
    module(y):sum():backward()
    seen[#seen + 1] = y.grad
  end)
  m(x):sum():backward()
  m(x):sum():backward()
  test.equal(seen, {torch.ones(2)})
  test.equal(x.grad, 2 * torch.ones(2))
end)

test.case("arguments that are none of their list are refused", function()
  local m = nn.ReLU()
  test.raises("takes at most 1 argument", m.register_forward_hook, m, print, true)
  test.raises("unknown keyword", m.register_forward_hook, m, print, {prepended = true})
  test.raises("argument 'hook' is missing", m.register_forward_hook, m)
end)

test.case("inputs of a module with backward hooks cannot be changed in place", function()
  local Inplace = nn.class("Inplace")
  function Inplace:forward(x) return x:mul_(2) end
  local m = Inplace()
  m:register_full_backward_hook(function() end)
  test.raises("is a view and is being modified inplace", m, torch.ones(2, {requires_grad = true}) * 1)
end)

test.case("a table is one argument, and one output", function()
  local Keyed = nn.class("Keyed")
  function Keyed:forward(batch) return {out = batch.x * 2} end
  local m, seen = Keyed(), nil
  m:register_forward_pre_hook(function(_, args) return {x = args[1].x + 1} end)
  m:register_forward_hook(function(_, args, output) seen = {#args, output.out:item()} end)
  test.equal(m({x = torch.ones(1)}).out:item(), 4.0)
  test.equal(seen, {1, 4.0})
end)
