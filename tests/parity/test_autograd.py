# Gradients, Jacobians, transforms, checks and error texts of torch.autograd and torch.func against PyTorch's own.
import exact
import pytest
import torch
from torch import autograd, func, nn
from torch.autograd import functional, gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

DATA = """
torch.manual_seed(0)
local x = torch.randn({4, 3}, {dtype = torch.float64})
local y = torch.randn({4, 3}, {dtype = torch.float64})
local w = torch.randn({3, 5}, {dtype = torch.float64})
local v = torch.randn({3}, {dtype = torch.float64})
local function leaf(t) return t:clone():requires_grad_() end
"""


def data():
    torch.manual_seed(0)
    shapes = {"x": (4, 3), "y": (4, 3), "w": (3, 5), "v": (3,)}
    return {name: torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}


def leaf(t):
    return t.clone().requires_grad_()


# name -> (Lua: a list of tensors, Python: the same)
VALUES = {
    "grad": ("(function() local a, b = leaf(x), leaf(w) return torch.autograd.grad(a:matmul(b):tanh():sum(), {a, b}) end)()",
             lambda d: (lambda a, b: autograd.grad(a.matmul(b).tanh().sum(), [a, b]))(leaf(d["x"]), leaf(d["w"]))),
    "double": ("(function() local a = leaf(x) local g = torch.autograd.grad((a ^ 3):sin():sum(), a, {create_graph = true}) "
               "return torch.autograd.grad((g[1] * y):sum(), a) end)()",
               lambda d: (lambda a: autograd.grad(
                   (autograd.grad((a ** 3).sin().sum(), a, create_graph=True)[0] * d["y"]).sum(), a))(leaf(d["x"]))),
    "batched": ("(function() local a = leaf(v) return torch.autograd.grad(a:exp() * a, a, {grad_outputs = x, "
                "is_grads_batched = true}) end)()",
                lambda d: (lambda a: autograd.grad(a.exp() * a, a, d["x"], is_grads_batched=True))(leaf(d["v"]))),
    "func.grad": ("torch.func.grad(function(a, b) return (a * b):cos():sum() end, {0, 1})(x, y)",
                  lambda d: func.grad(lambda a, b: (a * b).cos().sum(), (0, 1))(d["x"], d["y"])),
    "jacrev": ("{torch.func.jacrev(function(a) return a:matmul(w):tanh() end)(x)}",
               lambda d: [func.jacrev(lambda a: a.matmul(d["w"]).tanh())(d["x"])]),
    "jacfwd": ("{torch.func.jacfwd(function(a) return a:matmul(w):tanh() end)(x)}",
               lambda d: [func.jacfwd(lambda a: a.matmul(d["w"]).tanh())(d["x"])]),
    "jacrev of two": ("(function() local j = torch.func.jacrev(function(a, b) return a * b end, {0, 1})(v, v + 1) return j end)()",
                      lambda d: func.jacrev(lambda a, b: a * b, (0, 1))(d["v"], d["v"] + 1)),
    "hessian": ("{torch.func.hessian(function(a) return (a ^ 3):prod() end)(v)}",
                lambda d: [func.hessian(lambda a: (a ** 3).prod())(d["v"])]),
    "jvp": ("{torch.func.jvp(function(a, b) return a:sin() * b end, {x, y}, {y, x})}",
            lambda d: func.jvp(lambda a, b: a.sin() * b, (d["x"], d["y"]), (d["y"], d["x"]))),
    "vjp": ("(function() local out, f = torch.func.vjp(function(a, b) return a:sin() * b end, x, y) return {out, f(y)} end)()",
            lambda d: (lambda out, f: (out, *f(d["y"])))(*func.vjp(lambda a, b: a.sin() * b, d["x"], d["y"]))),
    "vmap in and out": ("{torch.vmap(function(a, b) return a:outer(b) end, {1, torch.None}, 2)(x, v)}",
                        lambda d: [torch.vmap(lambda a, b: a.outer(b), (1, None), 2)(d["x"], d["v"])]),
    "vmap of softmax": ("{torch.vmap(function(a) return a:softmax(0) end, 1, 1)(x)}",
                        lambda d: [torch.vmap(lambda a: a.softmax(0), 1, 1)(d["x"])]),
    "vmap nested": ("{torch.vmap(torch.vmap(function(a, b) return a * b end, {torch.None, 0}), {0, torch.None})(v, v)}",
                    lambda d: [torch.vmap(torch.vmap(lambda a, b: a * b, (None, 0)), (0, None))(d["v"], d["v"])]),
    "vmap in chunks": ("{torch.vmap(function(a) return a:cumsum(0) end, {chunk_size = 3})(x)}",
                       lambda d: [torch.vmap(lambda a: a.cumsum(0), chunk_size=3)(d["x"])]),
    "jacobian": ("torch.autograd.functional.jacobian(function(a, b) return (a * b):exp() end, {v, v * 2})",
                 lambda d: functional.jacobian(lambda a, b: (a * b).exp(), (d["v"], d["v"] * 2))),
    "jacobian vectorized": ("{torch.autograd.functional.jacobian(function(a) return a:matmul(w) end, x, {vectorize = true})}",
                            lambda d: [functional.jacobian(lambda a: a.matmul(d["w"]), d["x"], vectorize=True)]),
    "functional.hessian": ("(function() local h = torch.autograd.functional.hessian(function(a, b) return (a * a * b):sum() "
                           "end, {v, v + 1}) return {h[1][1], h[1][2], h[2][1], h[2][2]} end)()",
                           lambda d: [t for row in functional.hessian(lambda a, b: (a * a * b).sum(), (d["v"], d["v"] + 1))
                                      for t in row]),
    "hvp": ("{torch.autograd.functional.hvp(function(a) return (a ^ 3):sum() end, v, v + 1)}",
            lambda d: functional.hvp(lambda a: (a ** 3).sum(), d["v"], d["v"] + 1)),
    "vhp": ("{torch.autograd.functional.vhp(function(a) return (a ^ 3):sum() end, v, v + 1)}",
            lambda d: functional.vhp(lambda a: (a ** 3).sum(), d["v"], d["v"] + 1)),
    "functional.jvp": ("{torch.autograd.functional.jvp(function(a) return a:exp() end, v, v + 1)}",
                       lambda d: functional.jvp(lambda a: a.exp(), d["v"], d["v"] + 1)),
    "functional.vjp": ("{torch.autograd.functional.vjp(function(a) return a:exp() end, v, v + 1)}",
                       lambda d: functional.vjp(lambda a: a.exp(), d["v"], d["v"] + 1)),
}


class PyCube(autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a):
        return a ** 3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, grad):
        return grad * 3 * ctx.saved_tensors[0] ** 2


CUBE = """
local Cube = torch.autograd.Function("Cube")
Cube.generate_vmap_rule = true
function Cube.forward(a) return a ^ 3 end
function Cube.setup_context(ctx, inputs) ctx:save_for_backward(inputs[1]) end
function Cube.backward(ctx, grad) return grad * 3 * ctx.saved_tensors[1] ^ 2 end
"""
VALUES |= {
    "Function": ("(function() local a = leaf(x) Cube.apply(a):sum():backward() return {a.grad} end)()",
                 lambda d: (lambda a: (PyCube.apply(a).sum().backward(), [a.grad])[1])(leaf(d["x"]))),
    "Function in jacrev": ("{torch.func.jacrev(Cube.apply)(v)}", lambda d: [func.jacrev(PyCube.apply)(d["v"])]),
    "Function in vmap of grad": ("{torch.vmap(torch.func.grad(function(a) return Cube.apply(a):sum() end))(x)}",
                                 lambda d: [torch.vmap(func.grad(lambda a: PyCube.apply(a).sum()))(d["x"])]),
    "Function in grad of vmap": ("{torch.func.grad(function(a) return torch.vmap(Cube.apply)(a):sum() end)(x)}",
                                 lambda d: [func.grad(lambda a: torch.vmap(PyCube.apply)(a).sum())(d["x"])]),
}

# name -> (Lua that raises, Python that raises): the texts are equal up to the last line break.
ERRORS = {
    "non-scalar": ("(leaf(x) * 2):backward()", lambda d: (leaf(d["x"]) * 2).backward()),
    "no graph": ("x:sum():backward()", lambda d: d["x"].sum().backward()),
    "unused": ("torch.autograd.grad(leaf(x):sum(), leaf(y))", lambda d: autograd.grad(leaf(d["x"]).sum(), leaf(d["y"]))),
    "no inputs": ("torch.autograd.grad(leaf(x):sum(), {})", lambda d: autograd.grad(leaf(d["x"]).sum(), [])),
    "shape of grad": ("(leaf(x) * 2):backward(v)", lambda d: (leaf(d["x"]) * 2).backward(d["v"])),
    "batched shape": ("torch.autograd.grad(leaf(v) * 2, leaf(v), {grad_outputs = v, is_grads_batched = true})",
                      lambda d: autograd.grad(leaf(d["v"]) * 2, leaf(d["v"]), d["v"], is_grads_batched=True)),
    "in place": ("(function() local a = leaf(x) * 1 local b = a:exp() b:add_(1) b:sum():backward() end)()",
                 lambda d: (lambda a: (lambda b: (b.add_(1), b.sum().backward()))(a.exp()))(leaf(d["x"]) * 1)),
    "twice": ("(function() local b = (leaf(x) ^ 2):sum() b:backward() b:backward() end)()",
              lambda d: (lambda b: (b.backward(), b.backward()))((leaf(d["x"]) ** 2).sum())),
    "hook without grad": ("x:register_hook(print)", lambda d: d["x"].register_hook(print)),
    "post hook on non-leaf": ("(leaf(x) * 1):register_post_accumulate_grad_hook(print)",
                              lambda d: (leaf(d["x"]) * 1).register_post_accumulate_grad_hook(print)),
    "vmap sizes": ("torch.vmap(function(a, b) return a end)(x, v)", lambda d: torch.vmap(lambda a, b: a)(d["x"], d["v"])),
    "vmap of nothing": ("torch.vmap(function(a) return a end, {torch.None})(x)",
                        lambda d: torch.vmap(lambda a: a, (None,))(d["x"])),
    "grad of a vector": ("torch.func.grad(function(a) return a end)(v)", lambda d: func.grad(lambda a: a)(d["v"])),
    "argnum": ("torch.func.grad(function(a) return a:sum() end, 3)(v)",
               lambda d: func.grad(lambda a: a.sum(), 3)(d["v"])),
    "v of hvp": ("torch.autograd.functional.hvp(function(a) return a:sum() end, v)",
                 lambda d: functional.hvp(lambda a: a.sum(), d["v"])),
    "strict jacobian": ("torch.autograd.functional.jacobian(function(a) return x:sum() end, v, {strict = true})",
                        lambda d: functional.jacobian(lambda a: d["x"].sum(), d["v"], strict=True)),
    "gradcheck without inputs": ("torch.autograd.gradcheck(torch.sin, {x})", lambda d: gradcheck(torch.sin, (d["x"],))),
    "no vmap rule": ("(function() local F = torch.autograd.Function('F') function F.forward(a) return a * 1 end "
                     "function F.setup_context() end return torch.vmap(F.apply)(v) end)()",
                     lambda d: torch.vmap(type("F", (autograd.Function,), {
                         "forward": staticmethod(lambda a: a * 1),
                         "setup_context": staticmethod(lambda ctx, inputs, output: None)}).apply)(d["v"])),
}

CHECKS = {  # name -> (Lua function, Python function, inputs, options): gradcheck and gradgradcheck agree
    "matmul": ("function(a, b) return a:matmul(b) end", torch.matmul, ("x", "w"), {}),
    "tanh, fast": ("torch.tanh", torch.tanh, ("x",), {"fast_mode": True}),
    "forward": ("function(a) return a:exp():sum(0) end", lambda a: a.exp().sum(0), ("x",), {"check_forward_ad": True}),
    "batched": ("torch.sigmoid", torch.sigmoid, ("v",), {"check_batched_grad": True}),
    "detached": ("function(a) return a * a:detach() end", lambda a: a * a.detach(), ("v",), {}),
    "rounded": ("function(a) return a:float():double() * 1 end", lambda a: a.float().double() * 1, ("v",), {}),
}


@pytest.fixture(scope="module")
def ours(trainhost):
    lines = [exact.LUA, DATA, CUBE]
    for name, (lua, _) in VALUES.items():
        lines.append(f'do local results = {lua} for i, t in ipairs(results) do dump("{name}/" .. i, t) end end')
    for name, (lua, _) in ERRORS.items():
        lines.append(f'do local ok, e = pcall(function() return {lua} end) say("{name}", ok and "no error" or e.message) end')
    for name, (lua, _, inputs, options) in CHECKS.items():
        given = "{" + ", ".join(f"leaf({i})" for i in inputs) + "}"
        fields = ", ".join(f"{k} = {exact.lua_value(v)}" for k, v in options.items())
        for check in ("gradcheck", "gradgradcheck"):
            kept = fields if check == "gradcheck" else fields.replace("check_forward_ad = true", "check_fwd_over_rev = true")
            lines.append(f'say("{name}/{check}", torch.autograd.{check}({lua}, {given}, '
                         f'{{raise_exception = false, {kept}}}))')
    return exact.read(trainhost.lua("\n".join(lines)))


@pytest.mark.parametrize("name", VALUES)
def test_values(ours, name):
    theirs = list(VALUES[name][1](data()))
    assert f"{name}/{len(theirs) + 1}" not in ours
    for i, tensor in enumerate(theirs):
        exact.same_bits(ours[f"{name}/{i + 1}"], tensor)


@pytest.mark.parametrize("name", ERRORS)
def test_error_texts(ours, name):
    with pytest.raises(Exception) as raised:
        ERRORS[name][1](data())
    theirs = str(raised.value)
    mine = ours[name].split(": ", 1)[1] if ours[name].startswith(("Tensor.", "torch.")) else ours[name]
    theirs = theirs.replace("<lambda>", "f")
    assert mine.split("\n")[0] == theirs.split("\n")[0]


@pytest.mark.parametrize("name", CHECKS)
def test_gradcheck(ours, name):
    _, f, inputs, options = CHECKS[name]
    d = data()
    given = [leaf(d[i]) for i in inputs]
    second = {("check_fwd_over_rev" if k == "check_forward_ad" else k): v for k, v in options.items()}
    assert ours[f"{name}/gradcheck"] == str(gradcheck(f, given, raise_exception=False, **options)).lower()
    assert ours[f"{name}/gradgradcheck"] == str(gradgradcheck(f, given, raise_exception=False, **second)).lower()


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint_with_dropout(trainhost, use_reentrant):
    lua = exact.LUA + f"""
      torch.manual_seed(3)
      local net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
      local x = torch.randn({{8, 6}}, {{requires_grad = true}})
      torch.utils.checkpoint.checkpoint(net, x, {{use_reentrant = {str(use_reentrant).lower()}}}):pow(2):sum():backward()
      dump("x", x.grad)
      for i, p in ipairs(net:parameters()) do dump("p" .. i, p.grad) end
      dump("after", torch.rand(2))
    """
    ours = exact.read(trainhost.lua(lua))
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4))
    x = torch.randn(8, 6, requires_grad=True)
    checkpoint(net, x, use_reentrant=use_reentrant).pow(2).sum().backward()
    exact.same_bits(ours["x"], x.grad)
    for i, p in enumerate(net.parameters()):
        exact.same_bits(ours[f"p{i + 1}"], p.grad)
    exact.same_bits(ours["after"], torch.rand(2))


def test_per_sample_gradients(trainhost):
    lua = exact.LUA + """
      torch.manual_seed(5)
      local net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
      local x, y = torch.randn(5, 4), torch.randint(3, {5})
      local params = {}
      for name, p in net:named_parameters() do params[name] = p:detach() end
      local function loss(p, a, b)
        return F.cross_entropy(torch.func.functional_call(net, p, a:unsqueeze(0)), b:unsqueeze(0))
      end
      for name, g in pairs(torch.vmap(torch.func.grad(loss), {torch.None, 0, 0})(params, x, y)) do dump(name, g) end
    """
    ours = exact.read(trainhost.lua(lua))
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    x, y = torch.randn(5, 4), torch.randint(3, (5,))
    params = {name: p.detach() for name, p in net.named_parameters()}

    def loss(p, a, b):
        return nn.functional.cross_entropy(func.functional_call(net, p, (a.unsqueeze(0),)), b.unsqueeze(0))

    theirs = torch.vmap(func.grad(loss), (None, 0, 0))(params, x, y)
    assert sorted(theirs) == sorted(ours)
    for name, grad in theirs.items():
        exact.same_bits(ours[name], grad)
