-- Children that are None, loads into modules without memory, and what backward hooks may not return.
local test = require "test"
local torch = require "torch"

local nn = torch.nn

test.case("a child that is nil keeps its name and place, and is printed as None", function()
  local net = nn.Sequential()
  net.first = nn.ReLU()
  net:register_module("sub", nil)
  net:add_module("last", nn.Tanh())
  test.equal(tostring(net), "Sequential(\n  (first): ReLU()\n  (sub): None\n  (last): Tanh()\n)")
  local names = {}
  for name in net:named_children() do names[#names + 1] = name end
  test.equal({names, #net:children(), net.sub == nil}, {{"first", "last"}, 2, true})
  test.equal(tostring(net:deepcopy()), tostring(net))
  test.raises("cannot assign 'int' as child module 'sub'", function() net.sub = 3 end)
  net.sub = nn.Linear(1, 1)
  names = {}
  for name in net:named_children() do names[#names + 1] = name end
  test.equal(names, {"first", "sub", "last"})
  net.sub = nil
  test.equal(tostring(net), "Sequential(\n  (first): ReLU()\n  (last): Tanh()\n)")
end)

test.case("a module that only has a child that is nil loads and saves nothing of it", function()
  local net = nn.Identity()
  net:add_module("x", nil)
  test.equal({tostring(net), next(net:state_dict()) == nil}, {"Identity(\n  (x): None\n)", true})
  test.equal(#net:load_state_dict({}).missing_keys, 0)
end)

test.case("a load into a module without memory warns of each tensor, and assign takes them", function()
  local net, given = nn.Linear(2, 1, {device = "meta"}), nn.Linear(2, 1):state_dict()
  local told, kept = {}, package.loaded["torch.warn"]
  package.loaded["torch.warn"] = function(text) told[#told + 1] = text end
  net:load_state_dict(given)
  net:load_state_dict(nn.Linear(2, 1, {device = "meta"}):state_dict())
  net:load_state_dict(given, {assign = true})
  package.loaded["torch.warn"] = kept
  test.equal(#told, 2)
  test.equal(told[1], "for weight: copying from a non-meta parameter in the checkpoint to a meta parameter in the current "
    .. "model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to their "
    .. "corresponding key in the module instead of copying them in place?)")
  test.truthy(told[2]:find("for bias: ", 1, true) and torch.equal(net.weight, given.weight))
end)

test.case("a backward hook that gives another size or type is refused at the user's line", function()
  local x = torch.randn(3, 2, {requires_grad = true})
  local function refused(pattern, register, result)
    local net = nn.Linear(2, 2)
    net[register](net, function() return {result} end)
    local failure = test.raises(pattern, function() net(x):sum():backward() end)
    test.truthy(tostring(failure):find("reserved.lua:%d+: hook 'hook' has changed"), tostring(failure))
  end
  refused("hook 'hook' has changed the size of value", "register_full_backward_hook", torch.ones(1))
  refused("hook 'hook' has changed the size of value", "register_full_backward_pre_hook", torch.ones(1))
  refused("hook 'hook' has changed the type of value %(was torch.FloatTensor got torch.DoubleTensor%)",
    "register_full_backward_hook", torch.ones(3, 2, {dtype = torch.float64}))
end)
