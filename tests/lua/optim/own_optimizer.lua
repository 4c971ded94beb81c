-- Optimizers written in Lua: the example script, hooks, state, what the base class does for them.
local test = require "test"
local torch = require "torch"

local function parameter(...) return torch.tensor({...}, {requires_grad = true}) end

local function plain()
  local Plain = torch.optim.class("Plain", "lr=0.1, decay=nil")
  function Plain:step(closure)
    local loss = closure and torch.enable_grad(closure)
    for _, group in ipairs(self.param_groups) do
      for _, p in ipairs(group.params) do
        if p.grad then
          local state = self.state[p]
          state.count = (state.count or 0) + 1
          p:add_(p.grad, {alpha = -group.lr})
        end
      end
    end
    return loss
  end
  return Plain
end

test.case("the example script trains with an optimizer of its own", function()
  local lines = {}
  local function print(...) lines[#lines + 1] = table.concat({...}, " ") end
  assert(loadfile("scripts/03_own_optimizer.lua", "t", setmetatable({print = print}, {__index = _G})))()
  test.equal(#lines, 3)
  for i = 1, 2 do
    local from, to = lines[i]:match("loss ([%d%.]+) %-> ([%d%.]+)")
    test.truthy(tonumber(to) < 0.2 * tonumber(from), lines[i])
  end
  test.equal(lines[3], "resumed with lr 0 and 4 states")
end)

test.case("groups, closures and zero_grad are the base class's", function()
  local a, b = parameter(1.0), parameter(1.0)
  local opt = plain()({{params = {a}}, {params = b, lr = 0.5}})
  local loss = opt:step(function()
    opt:zero_grad()
    local l = (a + b):sum()
    l:backward()
    return l
  end)
  test.equal(loss:item(), 2.0)
  test.near(a:item(), 0.9, 1e-6)
  test.equal(b:item(), 0.5)
  opt:zero_grad{set_to_none = false}
  test.equal(a.grad:item(), 0.0)
  opt:zero_grad()
  test.equal(a.grad, nil)
  test.equal(tostring(opt), "Plain (\nParameter Group 0\n    decay: None\n    lr: 0.1\n\nParameter Group 1\n    decay: None\n"
    .. "    lr: 0.5\n)")
  test.raises("unknown keyword", plain(), {a}, {rate = 1})
  test.raises("step is not implemented", function() torch.optim.class("Empty", "lr=1")({a}):step() end)
end)

test.case("a state dict brings state and options back", function()
  local a = parameter(1.0)
  local Plain = plain()
  local first = Plain({a}, {lr = 0.25})
  a.grad = torch.tensor{1.0}
  for _ = 1, 3 do first:step() end
  local second = Plain({a})
  second:load_state_dict(first:state_dict())
  test.equal(second.param_groups[1].lr, 0.25)
  test.equal(second.state[a].count, 3)
  second:step()
  test.equal(first.state[a].count, 3)
  test.equal(second:state_dict().state[0], {count = 4})
end)

test.case("hooks run around steps and state dicts, in their order, until they are removed", function()
  for _, make in ipairs {plain(), torch.optim.SGD} do
    local a = parameter(1.0)
    local opt = make({a}, {lr = 0.1})
    local seen = {}
    local function note(what) return function() seen[#seen + 1] = what end end
    local handles = {
      opt:register_step_pre_hook(note "pre"), opt:register_step_post_hook(note "post"),
      torch.optim.Optimizer.register_optimizer_step_pre_hook(note "every pre"),
      torch.optim.Optimizer.register_optimizer_step_post_hook(note "every post"),
    }
    opt:step()
    test.equal(seen, {"every pre", "pre", "post", "every post"})
    for _, handle in ipairs(handles) do handle:remove() end
    opt:step()
    test.equal(#seen, 4)

    opt:register_step_pre_hook(function(_, args) return {function() return args[1] and 1 or 2 end} end)
    test.equal(opt:step(), 2)
    opt:register_state_dict_post_hook(function(_, dict)
      dict.extra = true
      return dict
    end)
    opt:register_state_dict_pre_hook(note "before")
    opt:register_load_state_dict_pre_hook(function(_, dict)
      return {state = dict.state, param_groups = {{lr = 0.75, params = {0}}}}
    end)
    opt:register_load_state_dict_post_hook(note "after")
    local dict = opt:state_dict()
    test.equal(dict.extra, true)
    opt:load_state_dict(dict)
    test.equal(opt.param_groups[1].lr, 0.75)
    test.equal({seen[5], seen[6]}, {"before", "after"})
  end
end)

test.case("named parameters are kept, and all or none have names", function()
  local net = torch.nn.Linear(2, 1)
  local opt = torch.optim.Adam(net:named_parameters())
  test.equal(opt.param_groups[1].param_names, {"weight", "bias"})
  test.equal(opt:state_dict().param_groups[1].param_names, {"weight", "bias"})
  test.raises("cannot add param group without names", opt.add_param_group, opt, {params = {parameter(1.0)}})
  test.raises("Some param names are missing", torch.optim.SGD, {{"a", parameter(1.0)}, parameter(2.0)})
  opt:add_param_group{params = {{"other", parameter(1.0)}}}
  test.equal(#opt.param_groups, 2)
end)

test.case("what has to be given is asked for", function()
  local Needs = torch.optim.class("Needs")
  function Needs:__init(params) torch.optim.Optimizer.__init(self, params, {lr = torch.optim.Optimizer.required}) end
  test.raises("didn't specify a value of required optimization parameter lr", Needs, {parameter(1.0)})
  test.equal(Needs({{params = {parameter(1.0)}, lr = 2}}).param_groups[1].lr, 2)
end)
