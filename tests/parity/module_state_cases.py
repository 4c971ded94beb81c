# More cases of test_module.py: names, registration, state dicts, conversion, copies, printing, lazy modules.
from module_cases import case

# --- Names and registration

case("named members", """
local m = nn.Sequential(Tied(), Stats())
return names(m:named_parameters()), names(m:named_parameters{prefix = "x"}), names(m:named_parameters{recurse = false}),
  names(m:named_parameters{remove_duplicate = false}), names(m:named_buffers()), names(m:named_modules()),
  names(m:named_modules{prefix = "p"}), names(m:named_modules{remove_duplicate = false}), names(m:named_children()),
  names(m[0]:named_children()), #m:parameters(), #m:buffers(), #m:modules(), #m:modules(false), #m[0]:children()""", """
m = nn.Sequential(Tied(), Stats())
out = [names(m.named_parameters()), names(m.named_parameters(prefix="x")), names(m.named_parameters(recurse=False)),
  names(m.named_parameters(remove_duplicate=False)), names(m.named_buffers()), names(m.named_modules()),
  names(m.named_modules(prefix="p")), names(m.named_modules(remove_duplicate=False)), names(m.named_children()),
  names(m[0].named_children()), len(list(m.parameters())), len(list(m.buffers())), len(list(m.modules())),
  len(list(m.modules(False))), len(list(m[0].children()))]""")
case("named modules with a memo", """
local m = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
local memo = {[m[0]] = true}
local first = names(m:named_modules(memo))
return first, names(m:named_modules(memo)), names(m:named_modules({}, "p"))""", """
m = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
memo = {m[0]}
first = names(m.named_modules(memo))
out = [first, names(m.named_modules(memo)), names(m.named_modules(set(), "p"))]""")
case("tied buffers", """
local a, b, t = Stats(), Stats(), torch.ones(2)
a.mean, b.mean = t, t
local m = nn.Sequential(a, b)
return names(m:named_buffers()), names(m:named_buffers{remove_duplicate = false}), keys(m:state_dict())""", """
a, b, t = Stats(), Stats(), torch.ones(2)
a.mean = b.mean = t
m = nn.Sequential(a, b)
out = [names(m.named_buffers()), names(m.named_buffers(remove_duplicate=False)), keys(m.state_dict())]""")
case("what cannot be registered", """
local m = Stats()
return err(m.register_parameter, m, 1, nil), err(m.register_parameter, m, "a.b", nil), err(m.register_parameter, m, "", nil),
  err(m.register_parameter, m, "mean", nil), err(m.register_parameter, m, "train", nil),
  err(m.register_parameter, m, "w", torch.ones(1)), err(m.register_parameter, m, "w", 3),
  err(m.register_parameter, m, "w", "text"), err(m.register_buffer, m, 1.5, nil), err(m.register_buffer, m, "a.b", nil),
  err(m.register_buffer, m, "", nil), err(m.register_buffer, m, "weight", torch.ones(1)),
  err(m.register_buffer, m, "w", 3), err(m.register_buffer, m, "w", true), err(m.add_module, m, "x", 3),
  err(m.add_module, m, "x", torch.ones(1)), err(m.add_module, m, 7, nn.ReLU()), err(m.add_module, m, "mean", nn.ReLU()),
  err(m.add_module, m, "a.b", nn.ReLU()), err(m.add_module, m, "", nn.ReLU())""", """
m = Stats()
out = [err(m.register_parameter, 1, None), err(m.register_parameter, "a.b", None), err(m.register_parameter, "", None),
  err(m.register_parameter, "mean", None), err(m.register_parameter, "train", None),
  err(m.register_parameter, "w", torch.ones(1)), err(m.register_parameter, "w", 3),
  err(m.register_parameter, "w", "text"), err(m.register_buffer, 1.5, None), err(m.register_buffer, "a.b", None),
  err(m.register_buffer, "", None), err(m.register_buffer, "weight", torch.ones(1)),
  err(m.register_buffer, "w", 3), err(m.register_buffer, "w", True), err(m.add_module, "x", 3),
  err(m.add_module, "x", torch.ones(1)), err(m.add_module, 7, nn.ReLU()), err(m.add_module, "mean", nn.ReLU()),
  err(m.add_module, "a.b", nn.ReLU()), err(m.add_module, "", nn.ReLU())]""")
case("what cannot be assigned", """
local m = nn.Sequential(nn.ReLU())
m.s = Stats()
local function set(module, name, value) module[name] = value end
return err(set, m.s, "weight", torch.ones(2)), err(set, m.s, "weight", 3), err(set, m.s, "weight", "x"),
  err(set, m.s, "weight", torch.ones(2, {dtype = torch.float64})), err(set, m.s, "weight", {}), err(set, m, "s", 1.5),
  err(set, m, "s", torch.ones(1)), err(set, m, "s", {a = 1}), err(set, m.s, "mean", 3), err(set, m.s, "mean", "x"),
  err(set, m.s, "mean", {1}), err(set, m.s, "fresh", nn.Parameter(torch.ones(1)) * 2)""", """
m = nn.Sequential(nn.ReLU())
m.s = Stats()
out = [err(setattr, m.s, "weight", torch.ones(2)), err(setattr, m.s, "weight", 3), err(setattr, m.s, "weight", "x"),
  err(setattr, m.s, "weight", torch.ones(2, dtype=torch.float64)), err(setattr, m.s, "weight", []), err(setattr, m, "s", 1.5),
  err(setattr, m, "s", torch.ones(1)), err(setattr, m, "s", {"a": 1}), err(setattr, m.s, "mean", 3),
  err(setattr, m.s, "mean", "x"), err(setattr, m.s, "mean", [1]), err(setattr, m.s, "fresh", nn.Parameter(torch.ones(1)) * 2)]""")
case("non-leaf parameters", """
local m, p = Stats(), nn.Parameter(torch.ones(1))
return err(m.register_parameter, m, "w", p * 2)""", """
m = Stats()
class Odd(nn.Parameter): pass
p = nn.Parameter(torch.ones(1))
out = [err(m.register_parameter, "w", p * 2)]""")
case("one kind over another", """
local m = Stats()
m.mean = nn.Parameter(torch.ones(2))
local first = {names(m:named_parameters()), names(m:named_buffers())}
local refused = err(function() m.weight = nn.ReLU() end)
m.scratch = nn.ReLU()
local second = {names(m:named_parameters()), names(m:named_children()), names(m:named_buffers())}
m.scratch = nn.Parameter(torch.ones(1))
m.plain = 3
m.plain = nn.Parameter(torch.ones(1))
return first, refused, second, names(m:named_parameters()), names(m:named_children()), keys(m:state_dict())""", """
m = Stats()
m.mean = nn.Parameter(torch.ones(2))
first = [names(m.named_parameters()), names(m.named_buffers())]
refused = err(setattr, m, "weight", nn.ReLU())
m.scratch = nn.ReLU()
second = [names(m.named_parameters()), names(m.named_children()), names(m.named_buffers())]
m.scratch = nn.Parameter(torch.ones(1))
m.plain = 3
m.plain = nn.Parameter(torch.ones(1))
out = [first, refused, second, names(m.named_parameters()), names(m.named_children()), keys(m.state_dict())]""")
case("deleted members", """
local m = Stats()
m.weight, m.mean = nil, nil
m.mean = 3
return names(m:named_parameters()), names(m:named_buffers()), m.mean, keys(m:state_dict())""", """
m = Stats()
del m.weight, m.mean
m.mean = 3
out = [names(m.named_parameters()), names(m.named_buffers()), m.mean, keys(m.state_dict())]""")
case("persistence of buffers", """
local m = Stats()
local first = keys(m:state_dict())
m:register_buffer("scratch", torch.ones(1))
m:register_buffer("mean", torch.ones(2), {persistent = false})
local second = keys(m:state_dict())
m.mean = torch.zeros(2)
m.scratch = nn.Buffer(torch.ones(2), {persistent = false})
m.nothing = torch.ones(1)
return first, second, keys(m:state_dict()), names(m:named_buffers())""", """
m = Stats()
first = keys(m.state_dict())
m.register_buffer("scratch", torch.ones(1))
m.register_buffer("mean", torch.ones(2), persistent=False)
second = keys(m.state_dict())
m.mean = torch.zeros(2)
m.scratch = nn.Buffer(torch.ones(2), persistent=False)
m.nothing = torch.ones(1)
out = [first, second, keys(m.state_dict()), names(m.named_buffers())]""")
case("paths", """
local m = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), Stats())
return tostring(m:get_submodule("0.0")), tostring(m:get_submodule("")) == tostring(m), m:get_parameter("0.0.bias"),
  m:get_buffer("1.mean"), err(m.get_submodule, m, "0.5"), err(m.get_submodule, m, "1.weight"), err(m.get_submodule, m, "9.9"),
  err(m.get_parameter, m, "0.0.none"), err(m.get_parameter, m, "1.mean"), err(m.get_parameter, m, "0.0"),
  err(m.get_buffer, m, "1.weight"), err(m.get_buffer, m, "1.none"), err(m.get_buffer, m, "none"),
  err(m.get_submodule, m, "0..0")""", """
m = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), Stats())
out = [repr(m.get_submodule("0.0")), repr(m.get_submodule("")) == repr(m), m.get_parameter("0.0.bias"),
  m.get_buffer("1.mean"), err(m.get_submodule, "0.5"), err(m.get_submodule, "1.weight"), err(m.get_submodule, "9.9"),
  err(m.get_parameter, "0.0.none"), err(m.get_parameter, "1.mean"), err(m.get_parameter, "0.0"),
  err(m.get_buffer, "1.weight"), err(m.get_buffer, "1.none"), err(m.get_buffer, "none"), err(m.get_submodule, "0..0")]""")
case("set_submodule", """
local m = nn.Sequential(nn.Sequential(nn.ReLU()), Stats())
m:set_submodule("0.0", nn.Tanh())
m:set_submodule("0.1", nn.Sigmoid())
m:set_submodule("head", nn.ReLU(), {strict = false})
return tostring(m), err(m.set_submodule, m, "", nn.ReLU()), err(m.set_submodule, m, "0.0", 3),
  err(m.set_submodule, m, "0.7", nn.ReLU(), true), err(m.set_submodule, m, "1.weight", nn.ReLU()),
  err(m.set_submodule, m, "5.1", nn.ReLU())""", """
m = nn.Sequential(nn.Sequential(nn.ReLU()), Stats())
m.set_submodule("0.0", nn.Tanh())
m.set_submodule("0.1", nn.Sigmoid())
m.set_submodule("head", nn.ReLU(), strict=False)
out = [repr(m), err(m.set_submodule, "", nn.ReLU()), err(m.set_submodule, "0.0", 3),
  err(m.set_submodule, "0.7", nn.ReLU(), True), err(m.set_submodule, "1.weight", nn.ReLU()),
  err(m.set_submodule, "5.1", nn.ReLU())]""")
case("apply, train and eval", """
local m = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.ReLU()))
m:apply(function(each) say(each:_get_name()) end)
m:eval()
m[1]:train()
local modes = {}
for _, each in ipairs(m:modules()) do modes[#modes + 1] = each.training end
return log, modes, err(m.train, m, 1), err(m.train, m, "x"), m:train().training""", """
m = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.ReLU()))
m.apply(lambda each: say(each._get_name()))
m.eval()
m[1].train()
out = [log, [each.training for each in m.modules()], err(m.train, 1), err(m.train, "x"), m.train().training]""")
case("no forward", """
return err(nn.class("Empty")(), 1), err(nn.ModuleList{nn.ReLU()}, 1)""", """
class Empty(nn.Module): pass
out = [err(Empty(), 1), err(nn.ModuleList([nn.ReLU()]), 1)]""")

# --- Printing

case("print", """
local Extra = nn.class("Extra")
function Extra:__init(text) self.text = text self.child = nn.ReLU() end
function Extra:extra_repr() return self.text end
local Leaf = nn.class("Leaf")
function Leaf:extra_repr() return "a\\n\\nb" end
return tostring(nn.Sequential(Extra(""), Extra("one=1"), Extra("one\\ntwo"), Leaf(), nn.Sequential())),
  tostring(nn.ModuleList{nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)}),
  tostring(nn.ModuleList{nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Sequential(nn.ReLU(), nn.Tanh())}),
  tostring(nn.Sequential(nn.ModuleList{}, nn.ModuleList{nn.ReLU(), nn.ReLU()}, nn.ModuleDict{a = nn.ReLU()})),
  tostring(nn.Transformer(4, 2, 2, 1, 8)), tostring(Tied())""", """
class Extra(nn.Module):
    def __init__(self, text):
        super().__init__()
        self.text = text
        self.child = nn.ReLU()
    def extra_repr(self): return self.text
class Leaf(nn.Module):
    def extra_repr(self): return "a\\n\\nb"
out = [repr(nn.Sequential(Extra(""), Extra("one=1"), Extra("one\\ntwo"), Leaf(), nn.Sequential())),
  repr(nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)])),
  repr(nn.ModuleList([nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Sequential(nn.ReLU(), nn.Tanh())])),
  repr(nn.Sequential(nn.ModuleList(), nn.ModuleList([nn.ReLU(), nn.ReLU()]), nn.ModuleDict({"a": nn.ReLU()}))),
  repr(nn.Transformer(4, 2, 2, 1, 8)), repr(Tied())]""")

# --- State dicts

case("state_dict", """
local m = nn.Sequential(Tied(), Stats(), nn.BatchNorm1d(2))
local state = m:state_dict()
local meta = {}
for path, each in pairs(state._metadata) do meta[#meta + 1] = path .. "=" .. each.version end
local into = {}
local same = m:state_dict{destination = into, prefix = "net."}
local kept = m:state_dict{keep_vars = true, prefix = "k."}
return keys(state), meta, same == into, into["net.1.mean"], keys(kept), kept["k.1.weight"].requires_grad,
  state["1.weight"].requires_grad, kept["k.2.running_mean"].requires_grad""", """
m = nn.Sequential(Tied(), Stats(), nn.BatchNorm1d(2))
state = m.state_dict()
into = {}
same = m.state_dict(destination=into, prefix="net.")
kept = m.state_dict(keep_vars=True, prefix="k.")
out = [keys(state), [f"{path}={each['version']}" for path, each in state._metadata.items()], same is into, into["net.1.mean"],
  keys(kept), kept["k.1.weight"].requires_grad, state["1.weight"].requires_grad, kept["k.2.running_mean"].requires_grad]""")
case("load_state_dict errors", """
local m = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3)))
local function with(change)
  local state = m:state_dict()
  change(state)
  return err(m.load_state_dict, m, state)
end
return with(function(s) s["0.weight"] = nil s["1.0.running_var"] = nil end), with(function(s) s.x = torch.ones(1) s["0.y.z"] = torch.ones(1) end),
  with(function(s) s["0.weight"] = torch.ones(2, 2) s["1.0.bias"] = torch.ones(4) end),
  with(function(s) s["0.bias"] = nil s["2.bias"] = torch.ones(1) s["0.weight"] = torch.ones(1) end),
  with(function(s) s["0.weight"] = 3 end), with(function(s) s["0.weight"] = "x" s["0.bias"] = {1} end),
  with(function(s) s["1.0.num_batches_tracked"] = torch.tensor{5} end), err(m.load_state_dict, m, 3),
  err(m.load_state_dict, m, torch.ones(1)), err(m.load_state_dict, m, {})""", """
m = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3)))
def attempt(drop, add):
    state = m.state_dict()
    for key in drop: del state[key]
    state.update(add)
    return err(m.load_state_dict, state)
out = [attempt(["0.weight", "1.0.running_var"], {}), attempt([], {"x": torch.ones(1), "0.y.z": torch.ones(1)}),
  attempt([], {"0.weight": torch.ones(2, 2), "1.0.bias": torch.ones(4)}),
  attempt(["0.bias"], {"2.bias": torch.ones(1), "0.weight": torch.ones(1)}),
  attempt([], {"0.weight": 3}), attempt([], {"0.weight": "x", "0.bias": [1]}),
  attempt([], {"1.0.num_batches_tracked": torch.tensor([5])}), err(m.load_state_dict, 3),
  err(m.load_state_dict, torch.ones(1)), err(m.load_state_dict, {})]""")
case("load_state_dict not strict", """
local m = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
local state = m:state_dict()
state["0.bias"], state.extra, state["1.y"] = nil, torch.ones(1), torch.ones(2)
state["0.weight"] = torch.zeros(2, 2)
local result = m:load_state_dict(state, {strict = false})
return result.missing_keys, result.unexpected_keys, tostring(result), m[0].weight, tostring(m:load_state_dict(m:state_dict())),
  err(m.load_state_dict, m, {["0.weight"] = torch.ones(3)}, false)""", """
m = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
state = m.state_dict()
del state["0.bias"]
state.update({"extra": torch.ones(1), "1.y": torch.ones(2), "0.weight": torch.zeros(2, 2)})
result = m.load_state_dict(state, strict=False)
out = [result.missing_keys, result.unexpected_keys, repr(result), m[0].weight, repr(m.load_state_dict(m.state_dict())),
  err(m.load_state_dict, {"0.weight": torch.ones(3)}, False)]""")
case("load_state_dict converts", """
local m = nn.Linear(2, 1)
m:load_state_dict{weight = torch.tensor({{1, 2}}), bias = torch.tensor({3.}, {dtype = torch.float64})}
return m.weight, m.bias""", """
m = nn.Linear(2, 1)
m.load_state_dict({"weight": torch.tensor([[1, 2]]), "bias": torch.tensor([3.], dtype=torch.float64)})
out = [m.weight, m.bias]""")
case("load_state_dict assigns", """
local m = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
m[0].bias.requires_grad = false
local state = m:state_dict()
state["0.weight"] = torch.tensor({{1., 2.}}, {dtype = torch.float64})
state["0.bias"] = nn.Parameter(torch.ones(1))
state["1.running_mean"] = torch.ones(1, {dtype = torch.float64})
m:load_state_dict(state, {assign = true})
state["0.weight"]:mul_(10)
local before = m[0].weight
m:load_state_dict(state)
return m[0].weight, m[0].weight.requires_grad, m[0].bias.requires_grad, m[0].bias == state["0.bias"], m[1].running_mean,
  #m:parameters(), names(m:named_buffers())""", """
m = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
m[0].bias.requires_grad = False
state = m.state_dict()
state["0.weight"] = torch.tensor([[1., 2.]], dtype=torch.float64)
state["0.bias"] = nn.Parameter(torch.ones(1))
state["1.running_mean"] = torch.ones(1, dtype=torch.float64)
m.load_state_dict(state, assign=True)
state["0.weight"].mul_(10)
m.load_state_dict(state)
out = [m[0].weight, m[0].weight.requires_grad, m[0].bias.requires_grad, m[0].bias is state["0.bias"], m[1].running_mean,
  len(list(m.parameters())), names(m.named_buffers())]""")
case("load_state_dict of scalars of old files", """
local m = nn.class("One")()
m.scale = nn.Parameter(torch.tensor(2.))
m:load_state_dict{scale = torch.tensor{5.}}
return m.scale, err(m.load_state_dict, m, {scale = torch.ones(2)})""", """
class One(nn.Module): pass
m = One()
m.scale = nn.Parameter(torch.tensor(2.))
m.load_state_dict({"scale": torch.tensor([5.])})
out = [m.scale, err(m.load_state_dict, {"scale": torch.ones(2)})]""")
EXTRA_LUA = """
local Extra = nn.class("Extra")
function Extra:__init() self.count = 3 end
function Extra:get_extra_state() return self.count end
function Extra:set_extra_state(count) self.count = count say("set", count) end
"""
EXTRA_PYTHON = """
class Extra(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 3
    def get_extra_state(self): return self.count
    def set_extra_state(self, count):
        self.count = count
        say("set", count)
"""
case("extra state", EXTRA_LUA + """
local m = nn.Sequential(Extra(), nn.Linear(2, 1))
local state = m:state_dict()
state["0._extra_state"] = 8
m:load_state_dict(state)
local found, plain = m[0].count, nn.Sequential(nn.Identity(), nn.Linear(2, 1))
local refused = err(plain.load_state_dict, plain, state)
state["0._extra_state"] = nil
return keys(m:state_dict()), found, log, refused, err(m.load_state_dict, m, state),
  m:load_state_dict(state, false).missing_keys""", EXTRA_PYTHON + """
m = nn.Sequential(Extra(), nn.Linear(2, 1))
state = m.state_dict()
state["0._extra_state"] = 8
m.load_state_dict(state)
found = m[0].count
refused = err(nn.Sequential(nn.Identity(), nn.Linear(2, 1)).load_state_dict, state)
del state["0._extra_state"]
out = [keys(m.state_dict()), found, log, refused, err(m.load_state_dict, state), m.load_state_dict(state, False).missing_keys]""")
case("state dict hooks", """
local m = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
m:register_state_dict_pre_hook(function(_, prefix, keep) say("pre", prefix, tostring(keep)) end)
m[0]:register_state_dict_pre_hook(function(_, prefix) say("child pre", prefix) end)
m[0]:register_state_dict_post_hook(function(_, state, prefix, meta)
  say("child", prefix, meta.version)
  state[prefix .. "more"] = torch.ones(1)
  meta.version = 7
end)
local h = m:register_state_dict_post_hook(function(_, state, prefix) say("post", prefix, keys(state)) end)
local state = m:state_dict{prefix = "a."}
h:remove()
return keys(m:state_dict()), log, state._metadata["a.0"].version""", """
m = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
m.register_state_dict_pre_hook(lambda _, prefix, keep: say("pre", prefix, str(keep).lower()))
m[0].register_state_dict_pre_hook(lambda _, prefix, keep: say("child pre", prefix))
def child(_, state, prefix, meta):
    say("child", prefix, meta["version"])
    state[prefix + "more"] = torch.ones(1)
    meta["version"] = 7
m[0].register_state_dict_post_hook(child)
def post(_, state, prefix, meta): say("post", prefix, keys(state))
h = m.register_state_dict_post_hook(post)
state = m.state_dict(prefix="a.")
h.remove()
out = [keys(m.state_dict()), log, state._metadata["a.0"]["version"]]""")
case("a state dict post hook returns nothing", """
local m = nn.Linear(2, 1)
m:register_state_dict_post_hook(function() return {} end)
return err(m.state_dict, m)""", """
m = nn.Linear(2, 1)
def hook(*_): return {}
m.register_state_dict_post_hook(hook)
out = [err(m.state_dict)]""")
case("private state dict hooks replace", """
local m = nn.Sequential(nn.Linear(2, 1))
m:_register_state_dict_hook(function(_, state) return {only = state["0.bias"]} end)
m[0]:_register_state_dict_hook(function() return {lost = torch.ones(1)} end)
return keys(m:state_dict())""", """
m = nn.Sequential(nn.Linear(2, 1))
m._register_state_dict_hook(lambda m, state, *_: {"only": state["0.bias"]})
m[0]._register_state_dict_hook(lambda *_: {"lost": torch.ones(1)})
out = [keys(m.state_dict())]""")
case("load hooks", """
local m = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))
m[0]:register_load_state_dict_pre_hook(function(mod, state, prefix, meta, strict, missing, unexpected, errors)
  say("pre", mod:_get_name(), prefix, tostring(meta.version), tostring(strict), #missing, #unexpected, #errors, keys(state))
  state[prefix .. "weight"] = state[prefix .. "old"]
  state[prefix .. "old"] = nil
end)
m:register_load_state_dict_post_hook(function(mod, found)
  say("post", mod:_get_name(), table.concat(found.missing_keys, ","), table.concat(found.unexpected_keys, ","))
  for i = #found.missing_keys, 1, -1 do found.missing_keys[i] = nil end
end)
m[1]:register_load_state_dict_post_hook(function(mod, found) say("child post", m[0].weight:sum():item(), #found.missing_keys) end)
local state = m:state_dict()
state["0.old"] = torch.ones(1, 2)
state["0.weight"], state["1.bias"] = nil, nil
local result = m:load_state_dict(state)
return log, m[0].weight, tostring(result), state["0.old"]""", """
m = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))
def pre(mod, state, prefix, meta, strict, missing, unexpected, errors):
    say("pre", mod._get_name(), prefix, meta.get("version"), str(strict).lower(), len(missing), len(unexpected), len(errors), keys(state))
    state[prefix + "weight"] = state.pop(prefix + "old")
def post(mod, found):
    say("post", mod._get_name(), ",".join(found.missing_keys), ",".join(found.unexpected_keys))
    found.missing_keys.clear()
m[0].register_load_state_dict_pre_hook(pre)
m.register_load_state_dict_post_hook(post)
m[1].register_load_state_dict_post_hook(lambda mod, found: say("child post", m[0].weight.sum().item(), len(found.missing_keys)))
state = m.state_dict()
state["0.old"] = torch.ones(1, 2)
del state["0.weight"], state["1.bias"]
result = m.load_state_dict(state)
out = [log, m[0].weight, repr(result), state["0.old"]]""")
case("a load post hook returns nothing", """
local m = nn.Linear(2, 1)
m:register_load_state_dict_post_hook(function() return 1 end)
return err(m.load_state_dict, m, m:state_dict())""", """
m = nn.Linear(2, 1)
m.register_load_state_dict_post_hook(lambda *_: 1)
out = [err(m.load_state_dict, m.state_dict())]""")
case("a class loads its own way", """
local Old = nn.class("Old")
Old._version = 3
function Old:__init() self.fc = nn.Linear(2, 1) self.w = nn.Parameter(torch.zeros(1)) end
function Old:_load_from_state_dict(state, prefix, meta, ...)
  say("version", tostring(meta.version))
  if state[prefix .. "v"] then state[prefix .. "w"], state[prefix .. "v"] = state[prefix .. "v"], nil end
  nn.Module._load_from_state_dict(self, state, prefix, meta, ...)
  say("w", self.w:item())
end
function Old:_save_to_state_dict(destination, prefix, keep)
  nn.Module._save_to_state_dict(self, destination, prefix, keep)
  destination[prefix .. "note"] = torch.ones(1)
end
local m = Old()
local state = m:state_dict()
local all = keys(state)
state.v, state.w, state.note = torch.tensor{4.}, nil, nil
return all, tostring(m:load_state_dict(state)), log, m.w""", """
class Old(nn.Module):
    _version = 3
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.w = nn.Parameter(torch.zeros(1))
    def _load_from_state_dict(self, state, prefix, meta, *rest):
        say("version", meta.get("version"))
        if prefix + "v" in state: state[prefix + "w"] = state.pop(prefix + "v")
        super()._load_from_state_dict(state, prefix, meta, *rest)
        say("w", self.w.item())
    def _save_to_state_dict(self, destination, prefix, keep):
        super()._save_to_state_dict(destination, prefix, keep)
        destination[prefix + "note"] = torch.ones(1)
m = Old()
state = m.state_dict()
all = keys(state)
state["v"] = torch.tensor([4.])
del state["w"], state["note"]
out = [all, repr(m.load_state_dict(state)), log, m.w]""")
case("batch normalization of old files", """
local m = nn.Sequential(nn.BatchNorm1d(2))
local state = m:state_dict()
local plain = {}
for key, value in pairs(state) do if not key:find("tracked") then plain[key] = value end end
state["0.num_batches_tracked"] = nil
local now = err(m.load_state_dict, m, state)
state._metadata["0"].version = 1
return now, tostring(m:load_state_dict(state)), tostring(m:load_state_dict(plain)), m[0].num_batches_tracked""", """
m = nn.Sequential(nn.BatchNorm1d(2))
state = m.state_dict()
plain = {key: value for key, value in state.items() if "tracked" not in key}
del state["0.num_batches_tracked"]
now = err(m.load_state_dict, state)
state._metadata["0"]["version"] = 1
out = [now, repr(m.load_state_dict(state)), repr(m.load_state_dict(plain)), m[0].num_batches_tracked]""")
case("instance normalization of old files", """
local m = nn.Sequential(nn.InstanceNorm1d(2))
return err(m.load_state_dict, m, {["0.running_mean"] = torch.ones(2), ["0.running_var"] = torch.ones(2)})""", """
m = nn.Sequential(nn.InstanceNorm1d(2))
out = [err(m.load_state_dict, {"0.running_mean": torch.ones(2), "0.running_var": torch.ones(2)})]""")
case("weight_norm of old files", """
local old = nn.utils.weight_norm(nn.Linear(3, 2))
local new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
return tostring(new:load_state_dict(old:state_dict())), new.weight, old.weight, keys(new:state_dict())""", """
old = nn.utils.weight_norm(nn.Linear(3, 2))
new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
out = [repr(new.load_state_dict(old.state_dict())), new.weight, old.weight, keys(new.state_dict())]""")
case("spectral_norm of old files", """
local m = nn.utils.spectral_norm(nn.Linear(3, 2))
m(torch.ones(1, 3)) m(torch.ones(1, 3))
local state = m:state_dict()
local version = state._metadata[""].spectral_norm["weight.version"]
local old = {bias = state.bias, weight_orig = state.weight_orig, weight_u = state.weight_u, weight = m.weight:detach()}
local other = nn.utils.spectral_norm(nn.Linear(3, 2))
local loaded = tostring(other:load_state_dict(old))
local plain = {}
for key, value in pairs(state) do plain[key] = value end
old.weight = nil
return version, loaded, keys(state), other:eval()(torch.ones(1, 3)), tostring(other:load_state_dict(plain)),
  err(other.load_state_dict, other, old)""", """
m = nn.utils.spectral_norm(nn.Linear(3, 2))
m(torch.ones(1, 3)); m(torch.ones(1, 3))
state = m.state_dict()
version = state._metadata[""]["spectral_norm"]["weight.version"]
old = {"bias": state["bias"], "weight_orig": state["weight_orig"], "weight_u": state["weight_u"], "weight": m.weight.detach()}
other = nn.utils.spectral_norm(nn.Linear(3, 2))
loaded = repr(other.load_state_dict({key: old[key] for key in sorted(old)}))
plain = dict(state)
del old["weight"]
out = [version, loaded, keys(state), other.eval()(torch.ones(1, 3)), repr(other.load_state_dict(plain)), err(other.load_state_dict, old)]""")

# --- Conversion

case("conversions", """
local m = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))
local function types() local all = {} for _, p in pairs(m:state_dict()) do all[#all + 1] = tostring(p.dtype) end return table.concat(all, " ") end
local seen = {}
local function note(x) seen[#seen + 1] = types() return x end
note(m:double()) note(m:half()) note(m:bfloat16()) note(m:float()) note(m:to(torch.float64)) note(m:to("cpu", torch.float32))
note(m:to(torch.ones(1, {dtype = torch.float64}))) note(m:type(torch.float32)) note(m:type("torch.DoubleTensor"))
m:to{memory_format = torch.channels_last}
local last = m[0].weight:is_contiguous{memory_format = torch.channels_last}
return seen, last, err(m.to, m, torch.int64), m:float().training""", """
m = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))
seen = []
def note(_): seen.append(" ".join(str(p.dtype) for p in m.state_dict().values()))
note(m.double()); note(m.half()); note(m.bfloat16()); note(m.float()); note(m.to(torch.float64)); note(m.to("cpu", torch.float32))
note(m.to(torch.ones(1, dtype=torch.float64))); note(m.type(torch.float32)); note(m.type("torch.DoubleTensor"))
m.to(memory_format=torch.channels_last)
out = [seen, m[0].weight.is_contiguous(memory_format=torch.channels_last), err(m.to, torch.int64), m.float().training]""")
case("conversion of gradients and ties", """
local m = Tied()
m(torch.ones(1, 2)):sum():backward()
local p = m.a.weight
m:double()
return m.a.weight == m.b.weight, m.a.weight == p, p.grad, p.dtype, p.grad.dtype, p.is_leaf, #m:parameters()""", """
m = Tied()
m(torch.ones(1, 2)).sum().backward()
p = m.a.weight
m.double()
out = [m.a.weight is m.b.weight, m.a.weight is p, p.grad, str(p.dtype), str(p.grad.dtype), p.is_leaf, len(list(m.parameters()))]""")
case("complex modules", """
local m = nn.Linear(2, 1)
m:to(torch.complex64)
local first = tostring(m.weight.dtype)
m:double()
return first, tostring(m.weight.dtype)""", """
m = nn.Linear(2, 1)
m.to(torch.complex64)
first = str(m.weight.dtype)
m.double()
out = [first, str(m.weight.dtype)]""")
case("to_empty and meta", """
local m = nn.Sequential(nn.Linear(2, 1, {device = "meta"}), nn.BatchNorm1d(1, {device = "meta"}))
local refused = err(m.to, m, "cpu")
m:to_empty{device = "cpu"}
return refused, m[0].weight.device.type, m[1].running_mean.device.type, #m:parameters(),
  m:to("meta")[0].weight.device.type, err(m.to_empty, m, {recurse = true}) ~= 'no error'""", """
m = nn.Sequential(nn.Linear(2, 1, device="meta"), nn.BatchNorm1d(1, device="meta"))
refused = err(m.to, "cpu")
m.to_empty(device="cpu")
out = [refused, m[0].weight.device.type, m[1].running_mean.device.type, len(list(m.parameters())),
  m.to("meta")[0].weight.device.type, err(m.to_empty, recurse=True) != "no error"]""")
case("_apply", """
local m = Stats()
m:_apply(function(t) return t + 1 end)
local Own = nn.class("Own", nn.Linear)
function Own:_apply(fn, ...) say "own" return nn.Linear._apply(self, fn, ...) end
nn.Sequential(Own(1, 1)):double()
return m.weight, m.mean, m.scratch, m.weight.requires_grad, log""", """
m = Stats()
m._apply(lambda t: t + 1)
class Own(nn.Linear):
    def _apply(self, fn, *rest):
        say("own")
        return super()._apply(fn, *rest)
nn.Sequential(Own(1, 1)).double()
out = [m.weight, m.mean, m.scratch, m.weight.requires_grad, log]""")
case("zero_grad and requires_grad_", """
local m = Tied()
m(torch.ones(1, 2)):sum():backward()
m:zero_grad{set_to_none = false}
local zero = m.a.weight.grad
m:zero_grad()
m:requires_grad_(false)
return zero, m.a.weight.grad == nil, m.b.bias.requires_grad, m:requires_grad_().b.bias.requires_grad""", """
m = Tied()
m(torch.ones(1, 2)).sum().backward()
m.zero_grad(set_to_none=False)
zero = m.a.weight.grad
m.zero_grad()
m.requires_grad_(False)
out = [zero, m.a.weight.grad is None, m.b.bias.requires_grad, m.requires_grad_().b.bias.requires_grad]""")

# --- Copies

case("deepcopy", """
local m = nn.Sequential(Tied(), Stats())
m:eval()
m[0].list = {m[0].a, 3}
m[0].a:register_forward_hook(function(_, _, o) say "hook" return o * 0 end)
m(torch.ones(1, 2)):sum():backward()
local c = m:deepcopy()
m[0].a.weight:detach():zero_()
local y = c(torch.ones(1, 2))
return names(c:named_parameters()), c[0].a.weight == c[0].b.weight, c[0].again == c[0].a, c[0].list[1] == c[0].a, c.training,
  c[0].a.weight, c[0].a.weight.grad == nil, keys(c:state_dict()), y, #log, tostring(c) == tostring(m)""", """
import copy
m = nn.Sequential(Tied(), Stats())
m.eval()
m[0].list = [m[0].a, 3]
def hook(m, a, o):
    say("hook")
    return o * 0
m[0].a.register_forward_hook(hook)
m(torch.ones(1, 2)).sum().backward()
c = copy.deepcopy(m)
m[0].a.weight.detach().zero_()
y = c(torch.ones(1, 2))
out = [names(c.named_parameters()), c[0].a.weight is c[0].b.weight, c[0].again is c[0].a, c[0].list[0] is c[0].a, c.training,
  c[0].a.weight, c[0].a.weight.grad is None, keys(c.state_dict()), y, len(log), repr(c) == repr(m)]""")
case("hooks of a copy are its own", """
local m = nn.ReLU()
local h = m:register_forward_hook(function() say "hook" end)
local c = m:deepcopy()
h:remove()
m(torch.ones(1)) say "copy" c(torch.ones(1))
return log""", """
import copy
m = nn.ReLU()
h = m.register_forward_hook(lambda *_: say("hook"))
c = copy.deepcopy(m)
h.remove()
m(torch.ones(1)); say("copy"); c(torch.ones(1))
out = [log]""")
case("tied weights train and load as one", """
local m = Tied()
local opt = torch.optim.SGD(m:parameters(), {lr = 0.1})
m(torch.ones(1, 2)):sum():backward()
opt:step()
local other = Tied()
other:load_state_dict(m:state_dict())
return #m:parameters(), m.b.weight, other.a.weight == other.b.weight, other.b.weight, keys(m:state_dict())""", """
m = Tied()
opt = torch.optim.SGD(m.parameters(), lr=0.1)
m(torch.ones(1, 2)).sum().backward()
opt.step()
other = Tied()
other.load_state_dict(m.state_dict())
out = [len(list(m.parameters())), m.b.weight, other.a.weight is other.b.weight, other.b.weight, keys(m.state_dict())]""")

# --- Lazy modules

case("uninitialized parameters", """
local m = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d())
local p = m[0].weight
local text = {tostring(p), tostring(m[1].running_mean), tostring(m)}
local shape, use = err(function() return p.shape end), err(function() return p + 1 end)
local share = err(m.share_memory, m)
local plain = nn.Linear(3, 2)
local load = err(plain.load_state_dict, plain, m[0]:state_dict())
m:double()
local y = m(torch.arange(6, {dtype = torch.float64}):reshape(2, 3))
return text, shape, use:gsub("^.-This", "This"):sub(1, 60), share, load, y, tostring(m), tostring(p.shape), p == m[0].weight""", """
m = nn.Sequential(nn.LazyLinear(2), nn.LazyBatchNorm1d())
p = m[0].weight
text = [repr(p), repr(m[1].running_mean), repr(m)]
shape, use = err(lambda: p.shape), err(lambda: p + 1)
share = err(m.share_memory)
load = err(nn.Linear(3, 2).load_state_dict, m[0].state_dict())
m.double()
y = m(torch.arange(6, dtype=torch.float64).reshape(2, 3))
out = [text, shape, use[use.index("This"):][:60], share, load, y, repr(m), str(p.shape), p is m[0].weight]""")
case("lazy modules load and copy", """
local from, to = nn.Sequential(nn.LazyLinear(2)), nn.Sequential(nn.LazyLinear(2))
from(torch.ones(1, 3))
local lazy = tostring(to:load_state_dict(nn.Sequential(nn.LazyLinear(2)):state_dict()))
to:load_state_dict(from:state_dict())
local text = tostring(to)
local copy = nn.LazyLinear(4):deepcopy()
copy(torch.ones(1, 5))
return lazy, text, to(torch.ones(1, 3)), tostring(to), tostring(copy)""", """
import copy as c
from_, to = nn.Sequential(nn.LazyLinear(2)), nn.Sequential(nn.LazyLinear(2))
from_(torch.ones(1, 3))
lazy = repr(to.load_state_dict(nn.Sequential(nn.LazyLinear(2)).state_dict()))
to.load_state_dict(from_.state_dict())
text = repr(to)
copy = c.deepcopy(nn.LazyLinear(4))
copy(torch.ones(1, 5))
out = [lazy, text, to(torch.ones(1, 3)), repr(to), repr(copy)]""")
case("a lazy module of one's own", """
local Mixin = nn.modules.lazy.LazyModuleMixin
local Scale = nn.class("Scale")
function Scale:forward(x) return x * self.by end
local LazyScale = nn.class("LazyScale", Scale, Mixin)
LazyScale.cls_to_become = Scale
function LazyScale:__init()
  Mixin.__init(self)
  self.by = nn.UninitializedParameter()
end
function LazyScale:initialize_parameters(x)
  if self:has_uninitialized_params() then
    self.by:materialize{x:size(-1)}
    nn.init.constant_(self.by, 2)
  end
end
local Never = nn.class("Never", Mixin)
function Never:__init() Mixin.__init(self) self.p = nn.UninitializedParameter() end
local Half = nn.class("Half", Never)
function Half:initialize_parameters() end
local m = LazyScale()
local before = {tostring(m), m:has_uninitialized_params()}
m:register_forward_pre_hook(function(mod) say(mod:_get_name()) end)
return before, m(torch.ones(2, 3)), tostring(m), m:is_instance(Scale), log, err(Never(), torch.ones(1)), err(Half(), torch.ones(1))""", """
Mixin = nn.modules.lazy.LazyModuleMixin
class Scale(nn.Module):
    def forward(self, x): return x * self.by
class LazyScale(Mixin, Scale):
    cls_to_become = Scale
    def __init__(self):
        super().__init__()
        self.by = nn.UninitializedParameter()
    def initialize_parameters(self, x):
        if self.has_uninitialized_params():
            self.by.materialize((x.size(-1),))
            nn.init.constant_(self.by, 2)
class Never(Mixin, nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.UninitializedParameter()
class Half(Never):
    def initialize_parameters(self, x): pass
m = LazyScale()
before = [repr(m), m.has_uninitialized_params()]
m.register_forward_pre_hook(lambda mod, args: say(mod._get_name()))
out = [before, m(torch.ones(2, 3)), repr(m), isinstance(m, Scale), log, err(Never(), torch.ones(1)), err(Half(), torch.ones(1))]""")
case("all_weights", """
local m = nn.LSTM(2, 3, 2)
local shown = {}
for i, of in ipairs(m.all_weights) do shown[i] = shapes(of) end
return shown""", """
m = nn.LSTM(2, 3, 2)
out = [[shapes(of) for of in m.all_weights]]""")
