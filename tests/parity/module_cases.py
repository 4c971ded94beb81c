# Cases of test_module.py: the same few lines in Lua and in Python. Lua returns the results, Python leaves them in `out`.
CASES = {}


def case(name, lua, python):
    assert name not in CASES, name
    CASES[name] = LUA + lua, PYTHON + python


LUA = """local nn, M = torch.nn, torch.nn.modules.module
local log = {}
local function say(...) log[#log + 1] = table.concat({...}, " ") end
local function err(f, ...)
  local ok, e = pcall(f, ...)
  if ok then return "no error" end
  return type(e) == "string" and e:gsub("^[^\\n]-:%d+: ", "") or e.message
end
local function keys(t) local all = {} for key in pairs(t) do all[#all + 1] = key end return table.concat(all, " ") end
local function names(...) local all = {} for name in ... do all[#all + 1] = name end return table.concat(all, " ") end
local function shapes(list)
  local all = {}
  for i, x in ipairs(list) do
    if torch.is_tensor(x) then all[i] = tostring(x.shape) else all[i] = "None" end
  end
  return table.concat(all, " ")
end
local Add = nn.class("Add")
function Add:__init() self.weight = nn.Parameter(torch.tensor{1., 2.}) end
function Add:forward(x, y) return x * self.weight + (y or 0) end
local Two = nn.class("Two")
function Two:forward(x) return x * 2, x * 3 end
local Kw = nn.class("Kw")
function Kw:forward(x, o) return x * (o and o.by or 1) end
local Stats = nn.class("Stats")
function Stats:__init()
  self.weight = nn.Parameter(torch.ones(2))
  self:register_buffer("mean", torch.zeros(2))
  self:register_buffer("scratch", torch.zeros(3), false)
  self:register_buffer("nothing", nil)
end
function Stats:forward(x) return x * self.weight + self.mean end
local Tied = nn.class("Tied")
function Tied:__init()
  self.a = nn.Linear(2, 2)
  self.b = nn.Linear(2, 2)
  self.b.weight = self.a.weight
  self.again = self.a
end
function Tied:forward(x) return self.b(self.a(x)) end
torch.manual_seed(5)
"""
PYTHON = """M = nn.modules.module
log = []
def say(*words): log.append(" ".join(str(word) for word in words))
def err(f, *args, **kwargs):
    try: f(*args, **kwargs)
    except Exception as e: return str(e.args[0])
    return "no error"
def keys(d): return " ".join(d)
def names(pairs): return " ".join(name for name, _ in pairs)
def shapes(values): return " ".join("None" if x is None else str(x.shape) for x in values)
class Add(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1., 2.]))
    def forward(self, x, y=0): return x * self.weight + y
class Two(nn.Module):
    def forward(self, x): return x * 2, x * 3
class Kw(nn.Module):
    def forward(self, x, by=1): return x * by
class Stats(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("scratch", torch.zeros(3), False)
        self.register_buffer("nothing", None)
    def forward(self, x): return x * self.weight + self.mean
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = nn.Linear(2, 2)
        self.b.weight = self.a.weight
        self.again = self.a
    def forward(self, x): return self.b(self.a(x))
torch.manual_seed(5)
"""

# --- Forward hooks

case("forward hooks run in order", """
local m = nn.ReLU()
m:register_forward_hook(function(_, a, o) say("first", #a, o.shape[1]) end)
m:register_forward_hook(function() say "second" end)
m:register_forward_hook(function() say "prepended" end, {prepend = true})
m:register_forward_pre_hook(function() say "pre" end)
m:register_forward_pre_hook(function() say "pre prepended" end, {prepend = true})
m(torch.ones(2))
return log""", """
m = nn.ReLU()
m.register_forward_hook(lambda _, a, o: say("first", len(a), o.shape[0]))
m.register_forward_hook(lambda *_: say("second"))
m.register_forward_hook(lambda *_: say("prepended"), prepend=True)
m.register_forward_pre_hook(lambda *_: say("pre"))
m.register_forward_pre_hook(lambda *_: say("pre prepended"), prepend=True)
m(torch.ones(2))
out = [log]""")
case("a pre-hook replaces one input", """
local m = Add()
m:register_forward_pre_hook(function(_, args) return args[1] * 10 end)
return m(torch.ones(2))""", """
m = Add()
m.register_forward_pre_hook(lambda _, args: args[0] * 10)
out = [m(torch.ones(2))]""")
case("a pre-hook replaces all inputs, the next sees them", """
local m = Add()
m:register_forward_pre_hook(function(_, args) return {args[1] + 1, args[2] + 2} end)
m:register_forward_pre_hook(function(_, args) return {args[2], args[1]} end)
return m(torch.zeros(2), torch.ones(2))""", """
m = Add()
m.register_forward_pre_hook(lambda _, args: (args[0] + 1, args[1] + 2))
m.register_forward_pre_hook(lambda _, args: (args[1], args[0]))
out = [m(torch.zeros(2), torch.ones(2))]""")
case("a forward hook replaces the output, the next sees it", """
local m = Add()
m:register_forward_hook(function(_, _, o) return o + 1 end)
m:register_forward_hook(function(_, _, o) return o * 10 end)
return m(torch.ones(2))""", """
m = Add()
m.register_forward_hook(lambda m, a, o: o + 1)
m.register_forward_hook(lambda m, a, o: o * 10)
out = [m(torch.ones(2))]""")
case("several outputs", """
local m = Two()
m:register_forward_hook(function(_, _, o) return {o[2], o[1]} end)
local a, b = m(torch.ones(2))
return a, b""", """
m = Two()
m.register_forward_hook(lambda m, a, o: (o[1], o[0]))
a, b = m(torch.ones(2))
out = [a, b]""")
case("hooks with keywords", """
local m = Kw()
m:register_forward_pre_hook(function(_, args, kwargs) return {args[1] + 1}, {by = kwargs.by * 2} end, {with_kwargs = true})
m:register_forward_hook(function(_, args, kwargs, o) say(#args, kwargs.by) return o + kwargs.by end, {with_kwargs = true})
return m(torch.ones(2), {by = 3}), log""", """
m = Kw()
m.register_forward_pre_hook(lambda m, args, kwargs: ((args[0] + 1,), {"by": kwargs["by"] * 2}), with_kwargs=True)
def post(m, args, kwargs, o):
    say(len(args), kwargs["by"])
    return o + kwargs["by"]
m.register_forward_hook(post, with_kwargs=True)
out = [m(torch.ones(2), by=3), log]""")
case("a pre-hook with keywords gets none", """
local m = Kw()
m:register_forward_pre_hook(function(_, args, kwargs) say(#args, keys(kwargs)) end, {with_kwargs = true})
return m(torch.ones(2)), log""", """
m = Kw()
m.register_forward_pre_hook(lambda m, args, kwargs: say(len(args), keys(kwargs)), with_kwargs=True)
out = [m(torch.ones(2)), log]""")
case("a pre-hook with keywords must return both", """
local m = Kw()
m:register_forward_pre_hook(function() return 5 end, {with_kwargs = true})
return err(m, torch.ones(2))""", """
m = Kw()
m.register_forward_pre_hook(lambda m, args, kwargs: 5, with_kwargs=True)
out = [err(m, torch.ones(2))]""")
case("removed hooks do not run", """
local m = Add()
local a = m:register_forward_hook(function(_, _, o) return o + 1 end)
local b = m:register_forward_hook(function(_, _, o) return o + 10 end)
local first = m(torch.ones(2))
a:remove() a:remove()
local second = m(torch.ones(2))
b:remove()
return first, second, m(torch.ones(2))""", """
m = Add()
a = m.register_forward_hook(lambda m, a, o: o + 1)
b = m.register_forward_hook(lambda m, a, o: o + 10)
first = m(torch.ones(2))
a.remove(); a.remove()
second = m(torch.ones(2))
b.remove()
out = [first, second, m(torch.ones(2))]""")
case("a handle is a scope", """
local m = Add()
local inside
do
  local _ <close> = m:register_forward_hook(function(_, _, o) return o * 0 end)
  inside = m(torch.ones(2))
end
return inside, m(torch.ones(2))""", """
m = Add()
with m.register_forward_hook(lambda m, a, o: o * 0):
    inside = m(torch.ones(2))
out = [inside, m(torch.ones(2))]""")
case("hooks that come and go while they run", """
local m, first, third = Add(), nil, nil
first = m:register_forward_hook(function()
  say "first"
  first:remove()
  third:remove()
  m:register_forward_hook(function() say "late" end)
end)
m:register_forward_hook(function() say "second" end)
third = m:register_forward_hook(function() say "third" end)
m(torch.ones(2)) say "again" m(torch.ones(2))
return log""", """
m = Add()
def one(*_):
    say("first")
    first.remove()
    third.remove()
    m.register_forward_hook(lambda *_: say("late"))
first = m.register_forward_hook(one)
m.register_forward_hook(lambda *_: say("second"))
third = m.register_forward_hook(lambda *_: say("third"))
m(torch.ones(2)); say("again"); m(torch.ones(2))
out = [log]""")
FAIL_LUA = """
local Bad = nn.class("Bad")
function Bad:forward() error "no" end
"""
FAIL_PYTHON = """
class Bad(nn.Module):
    def forward(self, x): raise RuntimeError("no")
"""
case("always_call runs after a failure", FAIL_LUA + """
local m = Bad()
m:register_forward_hook(function(_, a, o) say("always", #a, tostring(o == nil)) end, {always_call = true})
m:register_forward_hook(function() say "never" end)
return err(m, torch.ones(2)), log""", FAIL_PYTHON + """
m = Bad()
m.register_forward_hook(lambda m, a, o: say("always", len(a), str(o is None).lower()), always_call=True)
m.register_forward_hook(lambda *_: say("never"))
out = [err(m, torch.ones(2)), log]""")
case("always_call runs once", """
local m = Add()
m:register_forward_hook(function() say "always" end, {always_call = true})
m:register_forward_hook(function() error "second" end)
m:register_forward_hook(function() say "third" end, {always_call = true})
return err(m, torch.ones(2)), log""", """
m = Add()
def bad(*_): raise RuntimeError("second")
m.register_forward_hook(lambda *_: say("always"), always_call=True)
m.register_forward_hook(bad)
m.register_forward_hook(lambda *_: say("third"), always_call=True)
out = [err(m, torch.ones(2)), log]""")
case("always_call that fails itself is silent", FAIL_LUA + """
local m = Bad()
m:register_forward_hook(function() error "hook" end, {always_call = true})
m:register_forward_hook(function() say "next" end, {always_call = true})
return err(m, torch.ones(2)), log""", FAIL_PYTHON + """
m = Bad()
def bad(*_): raise RuntimeError("hook")
m.register_forward_hook(bad, always_call=True)
m.register_forward_hook(lambda *_: say("next"), always_call=True)
out = [err(m, torch.ones(2)), log]""")
case("hooks of all modules run before its own", """
local m = nn.Sequential(nn.ReLU(), nn.Tanh())
m:register_forward_pre_hook(function() say "own pre" end)
m:register_forward_hook(function() say "own" end)
local a = M.register_module_forward_pre_hook(function(mod) say("pre", mod:_get_name()) end)
local b = M.register_module_forward_hook(function(mod, args, o) say("post", mod:_get_name(), #args) end)
m(torch.ones(2)) say "removed" a:remove() b:remove() m(torch.ones(2))
return log""", """
m = nn.Sequential(nn.ReLU(), nn.Tanh())
m.register_forward_pre_hook(lambda *_: say("own pre"))
m.register_forward_hook(lambda *_: say("own"))
a = M.register_module_forward_pre_hook(lambda mod, args: say("pre", mod._get_name()))
b = M.register_module_forward_hook(lambda mod, args, o: say("post", mod._get_name(), len(args)))
m(torch.ones(2)); say("removed"); a.remove(); b.remove(); m(torch.ones(2))
out = [log]""")
case("hooks of all modules replace", """
local a = M.register_module_forward_pre_hook(function(_, args) return args[1] + 1 end)
local b = M.register_module_forward_hook(function(_, _, o) return o * 2 end)
local y = nn.Sequential(nn.ReLU())(torch.zeros(2))
a:remove() b:remove()
return y""", """
a = M.register_module_forward_pre_hook(lambda _, args: args[0] + 1)
b = M.register_module_forward_hook(lambda m, a, o: o * 2)
y = nn.Sequential(nn.ReLU())(torch.zeros(2))
a.remove(); b.remove()
out = [y]""")
case("always_call of all modules", FAIL_LUA + """
local h = M.register_module_forward_hook(function(mod) say(mod:_get_name()) end, {always_call = true})
local m = nn.Sequential(nn.ReLU(), Bad())
local message = err(m, torch.ones(2))
h:remove()
return message, log""", FAIL_PYTHON + """
h = M.register_module_forward_hook(lambda mod, *_: say(mod._get_name()), always_call=True)
m = nn.Sequential(nn.ReLU(), Bad())
message = err(m, torch.ones(2))
h.remove()
out = [message, log]""")

# --- Backward hooks

BACKWARD = ("local x = torch.tensor({1., 2.}, {requires_grad = true})\n", "x = torch.tensor([1., 2.], requires_grad=True)\n")


def backward(name, lua, python):
    case("backward: " + name, BACKWARD[0] + lua, BACKWARD[1] + python)


backward("what a full hook gets", """
local m, got = Add(), nil
m:register_full_backward_hook(function(mod, gi, go) got = {gi[1], go[1]} say(mod:_get_name(), #gi, #go) end)
m(x):sum():backward()
return got, x.grad, m.weight.grad, log""", """
m = Add(); got = []
def hook(mod, gi, go):
    got.extend([gi[0], go[0]])
    say(mod._get_name(), len(gi), len(go))
m.register_full_backward_hook(hook)
m(x).sum().backward()
out = [got, x.grad, m.weight.grad, log]""")
backward("a full hook replaces", """
local m = Add()
m:register_full_backward_hook(function(_, gi) return {gi[1] * 5} end)
m:register_full_backward_hook(function(_, gi) return {gi[1] + 1} end)
m(x):sum():backward()
return x.grad, m.weight.grad""", """
m = Add()
m.register_full_backward_hook(lambda m, gi, go: (gi[0] * 5,))
m.register_full_backward_hook(lambda m, gi, go: (gi[0] + 1,))
m(x).sum().backward()
out = [x.grad, m.weight.grad]""")
backward("prepend and pre-hooks", """
local m = Add()
m:register_full_backward_hook(function() say "one" end)
m:register_full_backward_hook(function() say "two" end, true)
m:register_full_backward_pre_hook(function(_, go) say("pre", #go) return {go[1] * 3} end)
m:register_full_backward_pre_hook(function(_, go) say "pre first" end, {prepend = true})
m(x):sum():backward()
return x.grad, m.weight.grad, log""", """
m = Add()
m.register_full_backward_hook(lambda *_: say("one"))
m.register_full_backward_hook(lambda *_: say("two"), True)
def pre(_, go):
    say("pre", len(go))
    return (go[0] * 3,)
m.register_full_backward_pre_hook(pre)
m.register_full_backward_pre_hook(lambda *_: say("pre first"), prepend=True)
m(x).sum().backward()
out = [x.grad, m.weight.grad, log]""")
backward("no input requires a gradient", """
local m = Add()
m:register_full_backward_hook(function(_, gi, go) say(shapes(gi), "|", shapes(go)) end)
m(torch.ones(2)):sum():backward()
return m.weight.grad, log""", """
m = Add()
m.register_full_backward_hook(lambda m, gi, go: say(shapes(gi), "|", shapes(go)))
m(torch.ones(2)).sum().backward()
out = [m.weight.grad, log]""")
backward("no input requires a gradient, and the hook returns one", """
local m = Add()
m:register_full_backward_hook(function() return {torch.ones(2)} end)
return err(function() m(torch.ones(2)):sum():backward() end)""", """
m = Add()
m.register_full_backward_hook(lambda *_: (torch.ones(2),))
out = [err(lambda: m(torch.ones(2)).sum().backward())]""")
backward("several inputs, one constant, one no tensor", """
local m = nn.class("Three")()
function m.forward(_, a, b, c) return a * b * c end
m:register_full_backward_hook(function(_, gi, go) say(shapes(gi), "|", shapes(go)) end)
m(x, torch.ones(2), 3):sum():backward()
return x.grad, log""", """
class Three(nn.Module):
    def forward(self, a, b, c): return a * b * c
m = Three()
m.register_full_backward_hook(lambda m, gi, go: say(shapes(gi), "|", shapes(go)))
m(x, torch.ones(2), 3).sum().backward()
out = [x.grad, log]""")
backward("several outputs", """
local m = Two()
m:register_full_backward_hook(function(_, gi, go) say(shapes(gi), "|", shapes(go)) end)
local a, b = m(x);
(a + b):sum():backward()
return x.grad, log""", """
m = Two()
m.register_full_backward_hook(lambda m, gi, go: say(shapes(gi), "|", shapes(go)))
a, b = m(x)
(a + b).sum().backward()
out = [x.grad, log]""")
backward("one of several outputs used", """
local m = Two()
m:register_full_backward_hook(function(_, gi, go) say(shapes(gi), "|", shapes(go)) end)
local a = m(x)
a:sum():backward()
return x.grad, log""", """
m = Two()
m.register_full_backward_hook(lambda m, gi, go: say(shapes(gi), "|", shapes(go)))
m(x)[0].sum().backward()
out = [x.grad, log]""")
backward("wrong numbers of gradients", """
local m, n = Add(), Add()
m:register_full_backward_hook(function(_, gi) return {gi[1], gi[1]} end)
n:register_full_backward_pre_hook(function(_, go) return {go[1], go[1]} end)
return err(function() m(x):sum():backward() end), err(function() n(x):sum():backward() end)""", """
m, n = Add(), Add()
m.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
n.register_full_backward_pre_hook(lambda m, go: (go[0], go[0]))
out = [err(lambda: m(x).sum().backward()), err(lambda: n(x).sum().backward())]""")
backward("both kinds do not mix", """
local m, n = Add(), Add()
m:register_full_backward_hook(function() end)
n:register_backward_hook(function() end)
local h = M.register_module_full_backward_hook(function() end)
local third = err(M.register_module_backward_hook, function() end)
h:remove()
return err(m.register_backward_hook, m, function() end), err(n.register_full_backward_hook, n, function() end), third""", """
m, n = Add(), Add()
m.register_full_backward_hook(lambda *_: None)
n.register_backward_hook(lambda *_: None)
h = M.register_module_full_backward_hook(lambda *_: None)
third = err(M.register_module_backward_hook, lambda *_: None)
h.remove()
M._global_is_full_backward_hook = None
out = [err(m.register_backward_hook, lambda *_: None), err(n.register_full_backward_hook, lambda *_: None), third]""")
backward("the old kind", """
local m = nn.ReLU()
m:register_backward_hook(function(_, gi, go) say(#gi, #go) return {gi[1] * 4} end)
m(x):sum():backward()
return x.grad, log""", """
m = nn.ReLU()
def hook(_, gi, go):
    say(len(gi), len(go))
    return (gi[0] * 4,)
m.register_backward_hook(hook)
m(x).sum().backward()
out = [x.grad, log]""")
backward("of all modules before its own", """
local m = nn.Sequential(nn.ReLU(), Add())
m[1]:register_full_backward_hook(function() say "own" end)
m[1]:register_full_backward_pre_hook(function() say "own pre" end)
local a = M.register_module_full_backward_hook(function(mod) say("post", mod:_get_name()) end)
local b = M.register_module_full_backward_pre_hook(function(mod) say("pre", mod:_get_name()) end)
m(x):sum():backward()
a:remove() b:remove()
m(x):sum():backward()
return log, x.grad""", """
m = nn.Sequential(nn.ReLU(), Add())
m[1].register_full_backward_hook(lambda *_: say("own"))
m[1].register_full_backward_pre_hook(lambda *_: say("own pre"))
a = M.register_module_full_backward_hook(lambda mod, *_: say("post", mod._get_name()))
b = M.register_module_full_backward_pre_hook(lambda mod, *_: say("pre", mod._get_name()))
m(x).sum().backward()
a.remove(); b.remove()
M._global_is_full_backward_hook = None
m(x).sum().backward()
out = [log, x.grad]""")
backward("without grad mode no hook runs", """
local m = Add()
m:register_full_backward_hook(function() say "ran" end)
local y
do local _ <close> = torch.no_grad() y = m(x) end
return y, y.requires_grad, log""", """
m = Add()
m.register_full_backward_hook(lambda *_: say("ran"))
with torch.no_grad(): y = m(x)
out = [y, y.requires_grad, log]""")
backward("the node of an output", """
local m = Add()
m:register_full_backward_hook(function() end)
local y = m(x)
return y.grad_fn:name(), x.is_leaf""", """
m = Add()
m.register_full_backward_hook(lambda *_: None)
out = [m(x).grad_fn.name(), x.is_leaf]""")
backward("double backward", """
local m = Add()
m:register_full_backward_hook(function(_, gi) say(shapes(gi)) end)
local y = (m(x) ^ 3):sum()
local g = torch.autograd.grad(y, x, {create_graph = true})[1]
g:sum():backward()
return g, x.grad, log""", """
m = Add()
m.register_full_backward_hook(lambda m, gi, go: say(shapes(gi)))
y = (m(x) ** 3).sum()
g = torch.autograd.grad(y, x, create_graph=True)[0]
g.sum().backward()
out = [g, x.grad, log]""")

# --- Registration hooks

case("registration hooks", """
local a = M.register_module_parameter_registration_hook(function(m, name, p) say("p", m:_get_name(), name) end)
local b = M.register_module_buffer_registration_hook(function(m, name, v) say("b", name, tostring(v == nil)) end)
local c = M.register_module_module_registration_hook(function(m, name, v) say("m", m:_get_name(), name, v:_get_name()) end)
local s = nn.Sequential(nn.BatchNorm1d(2), nn.ReLU())
a:remove() b:remove() c:remove()
nn.Linear(2, 2)
return log""", """
a = M.register_module_parameter_registration_hook(lambda m, name, p: say("p", m._get_name(), name))
b = M.register_module_buffer_registration_hook(lambda m, name, v: say("b", name, str(v is None).lower()))
c = M.register_module_module_registration_hook(lambda m, name, v: say("m", m._get_name(), name, v._get_name()))
s = nn.Sequential(nn.BatchNorm1d(2), nn.ReLU())
a.remove(); b.remove(); c.remove()
nn.Linear(2, 2)
out = [log]""")
case("registration hooks replace", """
local a = M.register_module_parameter_registration_hook(function(_, _, p) return nn.Parameter(torch.zeros(3)) end)
local b = M.register_module_buffer_registration_hook(function(_, _, v) return torch.ones(4) end)
local c = M.register_module_module_registration_hook(function() return nn.Tanh() end)
local m = nn.Identity()
m.p = nn.Parameter(torch.ones(1))
m:register_buffer("b", torch.zeros(1))
m.c = nn.ReLU()
a:remove() b:remove() c:remove()
return m.p, m.b, tostring(m)""", """
a = M.register_module_parameter_registration_hook(lambda m, n, p: nn.Parameter(torch.zeros(3)))
b = M.register_module_buffer_registration_hook(lambda m, n, v: torch.ones(4))
c = M.register_module_module_registration_hook(lambda *_: nn.Tanh())
m = nn.Identity()
m.p = nn.Parameter(torch.ones(1))
m.register_buffer("b", torch.zeros(1))
m.c = nn.ReLU()
a.remove(); b.remove(); c.remove()
out = [m.p, m.b, repr(m)]""")
