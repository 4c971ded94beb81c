# Forward over reverse (hessian, jvp of grad, vmap of them) and tensors made inside transforms, against PyTorch's own.
import exact
import pytest
import torch
import torch.nn.functional as F
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

SHAPES = {"v": (4,), "u": (4,), "x": (3, 4), "w": (4, 5), "b": (5,), "image": (2, 3, 2, 2), "rows": (2, 3, 4)}


def data():
    torch.manual_seed(0)
    return {name: torch.randn(shape, dtype=torch.float64) for name, shape in SHAPES.items()}


DATA = "torch.manual_seed(0)\n" + "\n".join(
    f"local {name} = torch.randn({{{', '.join(map(str, shape))}}}, {{dtype = torch.float64}})"
    for name, shape in SHAPES.items()) + """
local func = torch.func
local grad, hessian, jacfwd, jacrev, jvp, vjp, vmap = func.grad, func.hessian, func.jacfwd, func.jacrev, func.jvp,
  func.vjp, func.vmap
local labels, pixels = torch.tensor{0, 4, 2}, torch.tensor{{{0, 1}, {2, 0}}, {{1, 1}, {-100, 2}}}
local five = {dtype = torch.float64}
"""
LABELS, PIXELS = torch.tensor([0, 4, 2]), torch.tensor([[[0, 1], [2, 0]], [[1, 1], [-100, 2]]])

# A number of one tensor, whose Hessian is taken: name -> (input, Lua, Python).
NUMBERS = {
    "softmax": ("v", "(a:softmax(0) * u):sum()", lambda a, d: (a.softmax(0) * d["u"]).sum()),
    "log_softmax": ("x", "(a:log_softmax(1) * x):sum()", lambda a, d: (a.log_softmax(1) * d["x"]).sum()),
    "softmax along 0": ("x", "a:softmax(0):pow(3):sum()", lambda a, d: a.softmax(0).pow(3).sum()),
    "cross_entropy": ("x", "F.cross_entropy(a, torch.tensor{0, 3, 1})",
                      lambda a, d: F.cross_entropy(a, torch.tensor([0, 3, 1]))),
    "cross_entropy, weighted": (
        "x", "F.cross_entropy(a, torch.tensor{0, 3, -100}, {weight = u:abs(), label_smoothing = 0.1})",
        lambda a, d: F.cross_entropy(a, torch.tensor([0, 3, -100]), weight=d["u"].abs(), label_smoothing=0.1)),
    "cross_entropy, a sum": ("x", "F.cross_entropy(a, torch.tensor{0, 3, 1}, {reduction = 'sum'})",
                             lambda a, d: F.cross_entropy(a, torch.tensor([0, 3, 1]), reduction="sum")),
    "cross_entropy, each": ("x", "F.cross_entropy(a, torch.tensor{0, 3, 1}, {reduction = 'none'}):pow(2):sum()",
                            lambda a, d: F.cross_entropy(a, torch.tensor([0, 3, 1]), reduction="none").pow(2).sum()),
    "cross_entropy of one": ("v", "F.cross_entropy(a, torch.tensor(2))",
                             lambda a, d: F.cross_entropy(a, torch.tensor(2))),
    "cross_entropy of images": ("image", "F.cross_entropy(a, pixels)", lambda a, d: F.cross_entropy(a, PIXELS)),
    "cross_entropy of probabilities": ("v", "F.cross_entropy(a, u:softmax(0))",
                                       lambda a, d: F.cross_entropy(a, d["u"].softmax(0))),
    "nll_loss": ("x", "F.nll_loss(a:sigmoid():log(), torch.tensor{0, 3, 1})",
                 lambda a, d: F.nll_loss(a.sigmoid().log(), torch.tensor([0, 3, 1]))),
    "layer_norm": ("x", "(F.layer_norm(a, {4}) * x):pow(2):sum()",
                   lambda a, d: (F.layer_norm(a, (4,)) * d["x"]).pow(2).sum()),
    "layer_norm of all": ("x", "F.layer_norm(a, {3, 4}, x, x * 2):pow(3):sum()",
                          lambda a, d: F.layer_norm(a, (3, 4), d["x"], d["x"] * 2).pow(3).sum()),
    "layer_norm, by the weight": ("v", "F.layer_norm(x * a, {4}, a, a * 2):pow(3):sum()",
                                  lambda a, d: F.layer_norm(d["x"] * a, (4,), a, a * 2).pow(3).sum()),
    "batch_norm": ("x", "F.batch_norm(a, nil, nil, {training = true}):pow(3):sum()",
                   lambda a, d: F.batch_norm(a, None, None, training=True).pow(3).sum()),
    "batch_norm of images": (
        "image", "F.batch_norm(a, nil, nil, u[{torch.slice(3)}], v[{torch.slice(3)}], true):pow(3):sum()",
        lambda a, d: F.batch_norm(a, None, None, d["u"][:3], d["v"][:3], True).pow(3).sum()),
    "batch_norm, by the weight": ("v", "F.batch_norm(x * a, nil, nil, a, a, true):pow(3):sum()",
                                  lambda a, d: F.batch_norm(d["x"] * a, None, None, a, a, True).pow(3).sum()),
    "batch_norm in evaluation": ("x", "F.batch_norm(a, u, u:abs(), v):pow(3):sum()",
                                 lambda a, d: F.batch_norm(a, d["u"], d["u"].abs(), d["v"]).pow(3).sum()),
    "group_norm": ("image", "F.group_norm(a, 3):pow(3):sum()", lambda a, d: F.group_norm(a, 3).pow(3).sum()),
    "instance_norm": ("image", "F.instance_norm(a):pow(3):sum()", lambda a, d: F.instance_norm(a).pow(3).sum()),
    "logsigmoid": ("v", "F.logsigmoid(a):pow(2):sum()", lambda a, d: F.logsigmoid(a).pow(2).sum()),
    "trace": ("x", "torch.trace(a:mm(a:t())) ^ 2", lambda a, d: torch.trace(a.mm(a.t())) ** 2),
    "norm": ("v", "a:norm()", lambda a, d: a.norm()),
    "norm of order 3": ("x", "torch.norm(a, 3)", lambda a, d: torch.norm(a, 3)),
    "attention": ("rows", "F.scaled_dot_product_attention(a, a * 2, a:sin()):pow(2):sum()",
                  lambda a, d: F.scaled_dot_product_attention(a, a * 2, a.sin()).pow(2).sum()),
    "attention, causal": ("rows", "F.scaled_dot_product_attention(a, a, a, {is_causal = true}):pow(2):sum()",
                          lambda a, d: F.scaled_dot_product_attention(a, a, a, is_causal=True).pow(2).sum()),
    "a classifier": ("w", "F.cross_entropy(F.layer_norm(x:matmul(a) + b, {5}):gelu(), labels)",
                     lambda a, d: F.cross_entropy(F.gelu(F.layer_norm(d["x"].matmul(a) + d["b"], (5,))), LABELS)),
    "a normalized classifier": ("w", "F.cross_entropy(F.batch_norm(x:matmul(a):tanh(), nil, nil, b, b, true), labels)",
                                lambda a, d: F.cross_entropy(
                                    F.batch_norm(d["x"].matmul(a).tanh(), None, None, d["b"], d["b"], True), LABELS)),
}

# Any list of tensors: name -> (Lua, Python).
LISTS = {
    "vmap of hessian": ("{vmap(hessian(function(a) return (a:softmax(0) * u):sum() end))(x)}",
                        lambda d: [vmap(hessian(lambda a: (a.softmax(0) * d["u"]).sum()))(d["x"])]),
    "vmap of hessian of cross_entropy": (
        "{vmap(hessian(function(a, t) return F.cross_entropy(a, t) end))(x, torch.tensor{0, 3, 1})}",
        lambda d: [vmap(hessian(F.cross_entropy))(d["x"], torch.tensor([0, 3, 1]))]),
    "vmap of hessian of layer_norm": (
        "{vmap(hessian(function(a) return F.layer_norm(a, {4}, u):pow(3):sum() end))(x)}",
        lambda d: [vmap(hessian(lambda a: F.layer_norm(a, (4,), d["u"]).pow(3).sum()))(d["x"])]),
    "jvp of grad": ("{jvp(grad(function(a) return F.cross_entropy(a, torch.tensor{0, 3, 1}) end), {x}, {x:cos()})}",
                    lambda d: jvp(grad(lambda a: F.cross_entropy(a, torch.tensor([0, 3, 1]))), (d["x"],), (d["x"].cos(),))),
    "jvp of vjp": ("(function() return {jvp(function(a) local _, pull = vjp(function(z) return z:log_softmax(1) end, a) "
                   "return (pull(x)) end, {x}, {x:sin()})} end)()",
                   lambda d: jvp(lambda a: vjp(lambda z: z.log_softmax(1), a)[1](d["x"])[0], (d["x"],), (d["x"].sin(),))),
    "vmap of jvp of grad": (
        "{vmap(function(t) local _, h = jvp(grad(function(a) return F.batch_norm(a, nil, nil, {training = true}):pow(3):sum() "
        "end), {x}, {t}) return h end)(torch.stack{x:sin(), x:cos()})}",
        lambda d: [vmap(lambda t: jvp(grad(lambda a: F.batch_norm(a, None, None, training=True).pow(3).sum()),
                                      (d["x"],), (t,))[1])(torch.stack([d["x"].sin(), d["x"].cos()]))]),
    "jacfwd of jacrev": ("{jacfwd(jacrev(function(a) return a:log_softmax(0) end))(v)}",
                         lambda d: [jacfwd(jacrev(lambda a: a.log_softmax(0)))(d["v"])]),
    "jacfwd of jacfwd": ("{jacfwd(jacfwd(function(a) return F.logsigmoid(a) + a:softmax(0) end))(v)}",
                         lambda d: [jacfwd(jacfwd(lambda a: F.logsigmoid(a) + a.softmax(0)))(d["v"])]),
    "jacfwd": ("{jacfwd(function(a) return F.logsigmoid(a):reshape(2, 2):trace() + a:norm() end)(v)}",
               lambda d: [jacfwd(lambda a: F.logsigmoid(a).reshape(2, 2).trace() + a.norm())(d["v"])]),
    "dual tensors": ("(function() local ad = torch.autograd.forward_ad local _ <close> = ad.dual_level() "
                     "local a = ad.make_dual(x, x:cos()):requires_grad_() "
                     "local g = torch.autograd.grad(F.layer_norm(a, {4}):pow(3):sum(), a, {create_graph = true})[1] "
                     "return {ad.unpack_dual(g)} end)()",
                     lambda d: duals(d)),
    "a list": ("{grad(function(a) return (a * torch.tensor({1, 2, 3, 4.5}, five)):sum() end)(v)}",
               lambda d: [grad(lambda a: (a * torch.tensor([1, 2, 3, 4.5], dtype=torch.float64)).sum())(d["v"])]),
    "a list in vmap of grad": (
        "{vmap(grad(function(a) return (a * torch.tensor({1, 2, 3, 4.5}, five)):pow(2):sum() end))(x)}",
        lambda d: [vmap(grad(lambda a: (a * torch.tensor([1, 2, 3, 4.5], dtype=torch.float64)).pow(2).sum()))(d["x"])]),
    "a list, changed in place": (
        "{grad(function(a) local t = torch.tensor({1, 2, 3, 4.5}, five) t:mul_(a) return t:pow(2):sum() end)(v)}",
        lambda d: [grad(lambda a: torch.tensor([1, 2, 3, 4.5], dtype=torch.float64).mul_(a).pow(2).sum())(d["v"])]),
    "every maker": (
        "{grad(function(a) return (a * torch.asarray{1., 2., 3., 4.} * a:new_tensor{3., 4., 5., 6.} * torch.as_tensor{1, 2, 3, 4} "
        "* torch.tensor(2.0) * torch.frombuffer('abcd', {dtype = torch.uint8})):sum() end)(v)}",
        lambda d: [grad(lambda a: (a * torch.asarray([1., 2., 3., 4.]) * a.new_tensor([3., 4., 5., 6.])
                                   * torch.as_tensor([1, 2, 3, 4]) * torch.tensor(2.0)
                                   * torch.frombuffer(bytearray(b"abcd"), dtype=torch.uint8)).sum())(d["v"])]),
    "numbers of the function": (
        "{grad(function(a) return (torch.tensor{a:sum(), 2.0}:sum() * a:sum()) end)(v)}",
        lambda d: [grad(lambda a: torch.tensor([a.sum().item(), 2.0]).sum() * a.sum())(d["v"])]),
    "a sparse tensor of lists": (
        "{grad(function(a) return torch.sparse_coo_tensor({{0, 1}, {1, 0}}, {2., 3.}, {2, 2}, five):mm(a:reshape(2, 2)):sum() "
        "end)(v)}",
        lambda d: [grad(lambda a: torch.sparse_coo_tensor([[0, 1], [1, 0]], [2., 3.], (2, 2), dtype=torch.float64)
                        .mm(a.reshape(2, 2)).sum())(d["v"])]),
    "lists as index and value": (
        "{grad(function(a) local y = a:clone() y[{{0}}] = 7 y[{{true, false, true, false}}] = torch.tensor({1., 2.}, five) "
        "y['[1]'] = 3 return (y * y):sum() + a[{{0, 3}}]:sum() + a['[1, 1]']:sum() end)(v)}",
        lambda d: [grad(listed)(d["v"])]),
    "index lists in jacfwd and vmap": (
        "{jacfwd(function(a) return a[{{0, 2}}] * a['[1, 3]'] end)(v), vmap(function(a) return a[{{0, 2}}] end)(x)}",
        lambda d: [jacfwd(lambda a: a[[0, 2]] * a[[1, 3]])(d["v"]), vmap(lambda a: a[[0, 2]])(d["x"])]),
}


def listed(a):
    y = a.clone()
    y[[0]] = 7
    y[[True, False, True, False]] = torch.tensor([1., 2.], dtype=torch.float64)
    y[[1]] = 3
    return (y * y).sum() + a[[0, 3]].sum() + a[[1, 1]].sum()


def duals(d):
    ad = torch.autograd.forward_ad
    with ad.dual_level():
        a = ad.make_dual(d["x"], d["x"].cos()).requires_grad_()
        g, = torch.autograd.grad(F.layer_norm(a, (4,)).pow(3).sum(), a, create_graph=True)
        return [t.clone() for t in ad.unpack_dual(g)]


@pytest.fixture(scope="module")
def ours(trainhost):
    lines = [exact.LUA, DATA]
    for name, (given, lua, _) in NUMBERS.items():
        lines.append(f'do local function f(a) return {lua} end dump("{name}", hessian(f)({given})) '
                     f'dump("{name}/fwd", jacfwd(f)({given})) end')
    for name, (lua, _) in LISTS.items():
        lines.append(f'do local results = {lua} for i, t in ipairs(results) do dump("{name}/" .. i, t) end end')
    return exact.read(trainhost.lua("\n".join(lines)))


def same(ours, theirs):
    torch.testing.assert_close(ours, theirs.detach().double(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", NUMBERS)
def test_hessian(ours, name):
    given, _, f = NUMBERS[name]
    d = data()
    same(ours[name], hessian(lambda a: f(a, d))(d[given]))
    same(ours[f"{name}/fwd"], jacfwd(lambda a: f(a, d))(d[given]))


@pytest.mark.parametrize("name", LISTS)
def test_lists(ours, name):
    theirs = list(LISTS[name][1](data()))
    assert f"{name}/{len(theirs) + 1}" not in ours
    for i, tensor in enumerate(theirs):
        same(ours[f"{name}/{i + 1}"], tensor)
