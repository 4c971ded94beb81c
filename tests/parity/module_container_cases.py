# More cases of test_module.py: containers as lists.
from module_cases import case

LISTS = ("""
local function kinds(list)
  local all = {}
  for name, m in list:named_children() do all[#all + 1] = name .. "=" .. m:_get_name() end
  return table.concat(all, " ")
end
local function four() return nn.Sequential(nn.ReLU(), nn.Tanh(), nn.GELU(), nn.SiLU()) end
local function named() return nn.Sequential{{"a", nn.ReLU()}, {"b", nn.Tanh()}, {"c", nn.GELU()}} end
local function list() return nn.ModuleList{nn.ReLU(), nn.Tanh(), nn.GELU(), nn.SiLU()} end
""", """
from collections import OrderedDict
import operator
def kinds(list): return " ".join(f"{name}={m._get_name()}" for name, m in list.named_children())
def four(): return nn.Sequential(nn.ReLU(), nn.Tanh(), nn.GELU(), nn.SiLU())
def named(): return nn.Sequential(OrderedDict([("a", nn.ReLU()), ("b", nn.Tanh()), ("c", nn.GELU())]))
def list(): return nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.GELU(), nn.SiLU()])
""")


def lists(name, lua, python):
    case(name, LISTS[0] + lua, LISTS[1] + python)


lists("sums of containers", """
local l, s = list(), named()
local n = nn.Sequential(nn.Linear(1, 1))
local function add(a, b) return a + b end
return kinds(s + four()), kinds(s + s), kinds(l + l), kinds(l + s), kinds(l + {nn.Identity()}), #s, #l,
  err(add, s, l), err(add, s, 3), err(add, 3, s), err(add, s, nn.ReLU()), err(add, l, 3), err(add, l, nn.ReLU()),
  err(add, nn.ReLU(), nn.ReLU()), err(add, {}, l), err(add, 2, l), err(add, l, {3}),
  err(add, l, nn.ModuleDict{a = nn.ReLU()}), #(n + n):parameters(), tostring(n + n), keys((n + n):state_dict())""", """
l, s = list(), named()
n = nn.Sequential(nn.Linear(1, 1))
add = operator.add
out = [kinds(s + four()), kinds(s + s), kinds(l + l), kinds(l + s), kinds(l + [nn.Identity()]), len(s), len(l),
  err(add, s, l), err(add, s, 3), err(add, 3, s), err(add, s, nn.ReLU()), err(add, l, 3), err(add, l, nn.ReLU()),
  err(add, nn.ReLU(), nn.ReLU()), err(add, [], l), err(add, 2, l), err(add, l, [3]),
  err(add, l, nn.ModuleDict({"a": nn.ReLU()})), len([*(n + n).parameters()]), str(n + n), keys((n + n).state_dict())]""")
lists("multiples of containers", """
local s = named()
local function mul(a, b) return a * b end
local n = nn.Sequential(nn.Linear(2, 2))
return kinds(s * 2), kinds(2 * s), kinds(s * 1), #s, n:_get_name(), #(n * 3):parameters(),
  (n * 3)(torch.ones(1, 2)), err(mul, s, 0), err(mul, s, -2), err(mul, s, "x"), err(mul, s, 1.5), err(mul, s, s),
  err(mul, list(), 2), err(mul, 2, list()), err(mul, nn.ReLU(), 2), keys((n * 2):state_dict())""", """
s = named()
mul = operator.mul
n = nn.Sequential(nn.Linear(2, 2))
out = [kinds(s * 2), kinds(2 * s), kinds(s * 1), len(s), n._get_name(), len([*(n * 3).parameters()]),
  (n * 3)(torch.ones(1, 2)), err(mul, s, 0), err(mul, s, -2), err(mul, s, "x"), err(mul, s, 1.5), err(mul, s, s),
  err(mul, list(), 2), err(mul, 2, list()), err(mul, nn.ReLU(), 2), keys((n * 2).state_dict())]""")
lists("slices of containers", """
local s, n, l = four(), named(), list()
local p = nn.ParameterList{torch.ones(1), torch.ones(2), torch.ones(3), 7}
local function sizes(list)
  local all = {}
  for _, x in list:iter() do all[#all + 1] = torch.is_tensor(x) and x:numel() or x end
  return all
end
return kinds(s["1:3"]), kinds(s[":2"]), kinds(s["-2:"]), kinds(s["::2"]), kinds(s["::-1"]), kinds(s["3:0:-2"]),
  kinds(s["5:"]), kinds(s["2:1"]), kinds(n["1:"]), kinds(n["::-1"]), n["1:"]:_get_name(),
  kinds(s[torch.slice(1, 3)]), kinds(s[torch.slice(nil, -1)]), kinds(l["1:3"]), kinds(l["::-1"]), kinds(l[":-9:-1"]),
  l["1:"]:_get_name(), sizes(p["1:"]), sizes(p["::-1"]), p["1:"]:_get_name(), keys(p["1:3"]:state_dict()),
  err(function() return s["::0"] end), rawequal(s["1:"][0], s[1])""", """
s, n, l = four(), named(), list()
p = nn.ParameterList([torch.ones(1), torch.ones(2), torch.ones(3), 7])
def sizes(list): return [x.numel() if torch.is_tensor(x) else x for x in list]
out = [kinds(s[1:3]), kinds(s[:2]), kinds(s[-2:]), kinds(s[::2]), kinds(s[::-1]), kinds(s[3:0:-2]),
  kinds(s[5:]), kinds(s[2:1]), kinds(n[1:]), kinds(n[::-1]), n[1:]._get_name(),
  kinds(s[slice(1, 3)]), kinds(s[slice(None, -1)]), kinds(l[1:3]), kinds(l[::-1]), kinds(l[:-9:-1]),
  l[1:]._get_name(), sizes(p[1:]), sizes(p[::-1]), p[1:]._get_name(), keys(p[1:3].state_dict()),
  err(lambda: s[::0]), s[1:][0] is s[1]]""")
lists("containers that grow and shrink", """
local function each(make)
  local c = make()
  local log = {kinds(c)}
  local function note() log[#log + 1] = kinds(c) end
  log[#log + 1] = c:pop(-1):_get_name() note()
  log[#log + 1] = kinds(c:pop("0:2")) note()
  c:append(nn.Identity()) note()
  c:extend{nn.CELU(), nn.ELU()} note()
  c:extend(nn.Sequential(nn.SELU())) note()
  c:insert(1, nn.Mish()) note()
  c:insert(#c, nn.Flatten()) note()
  c[torch.slice(1, nil, 2)] = nil note()
  c[0] = nil note()
  c[0] = nn.GLU() note()
  return log
end
local n = named()
n[1] = nil
local keep = kinds(n)
n:append(nn.ReLU())
return each(four), each(list), keep, kinds(n), err(four().insert, four(), 9, nn.ReLU()),
  err(four().insert, four(), 0, 3), err(four().extend, four(), 3), err(list().extend, list(), 3),
  err(list().append, list(), 3), err(list().extend, list(), {"x"}), err(list().extend, list(), nn.ReLU())""", """
def each(make):
    c = make()
    log = [kinds(c)]
    def note(): log.append(kinds(c))
    log.append(c.pop(-1)._get_name()); note()
    log.append(kinds(c.pop(slice(0, 2)))); note()
    c.append(nn.Identity()); note()
    c.extend([nn.CELU(), nn.ELU()]); note()
    c.extend(nn.Sequential(nn.SELU())); note()
    c.insert(1, nn.Mish()); note()
    c.insert(len(c), nn.Flatten()); note()
    del c[1::2]; note()
    del c[0]; note()
    c[0] = nn.GLU(); note()
    return log
n = named()
del n[1]
keep = kinds(n)
n.append(nn.ReLU())
out = [each(four), each(list), keep, kinds(n), err(four().insert, 9, nn.ReLU()),
  err(four().insert, 0, 3), err(four().extend, 3), err(list().extend, 3),
  err(list().append, 3), err(list().extend, ["x"]), err(list().extend, nn.ReLU())]""")
lists("dicts of parameters united", """
local a = nn.ParameterDict{{"x", torch.ones(1)}, {"y", torch.ones(2)}}
local b = nn.ParameterDict{{"y", torch.ones(3)}, {"w", torch.ones(4)}}
local both = a | b
return names(both:named_parameters()), both.y:numel(), a.y:numel(), #a, names((b | a):named_parameters())""", """
a = nn.ParameterDict([("x", torch.ones(1)), ("y", torch.ones(2))])
b = nn.ParameterDict([("y", torch.ones(3)), ("w", torch.ones(4))])
both = a | b
out = [names(both.named_parameters()), both["y"].numel(), a["y"].numel(), len(a), names((b | a).named_parameters())]""")
