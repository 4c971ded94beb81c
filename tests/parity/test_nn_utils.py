# torch.nn.utils against PyTorch's: the same few lines on both sides, and what they give.
import re

import exchange
import pytest
import torch
from torch import nn
from torch.nn.utils import prune  # noqa: F401  (nn.utils does not load it)

# name: Lua statements that return the results, Python statements that leave them in `out`.
CASES = {}


def case(name, lua, python):
    CASES[name] = lua, python


SETUP = ("torch.manual_seed(3)\nlocal m = %s\nlocal x = torch.randn(%s)\n", "torch.manual_seed(3)\nm = %s\nx = torch.randn(%s)\n")
STATE = ("local keys, values = {}, {}\nfor k, v in pairs(m:state_dict()) do keys[#keys + 1] = k values[#values + 1] = v:clone() end\n"
         "keys = table.concat(keys, ' ')\n",
         "keys = ' '.join(m.state_dict())\nvalues = [v.clone() for v in m.state_dict().values()]\n")
STEP = ("local y = m(x)\ny:pow(2):sum():backward()\nlocal grads = {}\n"
        "for _, p in ipairs(m:parameters()) do grads[#grads + 1] = p.grad end\n",
        "y = m(x)\ny.pow(2).sum().backward()\ngrads = [p.grad for p in m.parameters()]\n")


def modules(name, lua, python, shape, then=("", "")):
    """Makes a module, then what `then` does; its text, state, output, gradients, and the state after that."""
    keys, after = (re.sub(r"\b(keys|values)\b(?!\(\))", r"\g<1>2", text) for text in STATE)
    case(name, SETUP[0] % (lua, shape) + STATE[0] + "local text = tostring(m)\n" + STEP[0] + then[0] + "\n" + keys
         + "m:eval()\nreturn text, keys, values, y, grads, keys2, values2, tostring(m), m(x)",
         SETUP[1] % (python, shape) + STATE[1] + "text = repr(m)\n" + STEP[1] + then[1] + "\n" + after
         + "m.eval()\nout = [text, keys, values, y, grads, keys2, values2, repr(m), m(x)]")


P = "nn.utils.parametrizations."
REMOVE = ('nn.utils.parametrize.remove_parametrizations(m, "weight")', 'nn.utils.parametrize.remove_parametrizations(m, "weight")')
for layer, shape in (("nn.Linear(4, 3)", "5, 4"), ("nn.Conv2d(2, 4, 3)", "1, 2, 5, 5"), ("nn.Linear(4, 4)", "5, 4")):
    for kind in ("weight_norm", "spectral_norm"):
        modules(f"{kind} {layer}", f"{P}{kind}({layer})", f"{P}{kind}({layer})", shape)
        modules(f"{kind} removed {layer}", f"{P}{kind}({layer})", f"{P}{kind}({layer})", shape, REMOVE)
modules("weight_norm dim nil", f"{P}weight_norm(nn.Linear(4, 3), 'weight', nil)", f"{P}weight_norm(nn.Linear(4, 3), 'weight', None)", "5, 4")
modules("weight_norm dim 1", f"{P}weight_norm(nn.Linear(4, 3), {{dim = 1}})", f"{P}weight_norm(nn.Linear(4, 3), dim=1)", "5, 4")
modules("spectral_norm options", f"{P}spectral_norm(nn.Linear(4, 3), {{n_power_iterations = 3, dim = 1}})",
        f"{P}spectral_norm(nn.Linear(4, 3), n_power_iterations=3, dim=1)", "5, 4")
modules("spectral_norm bias", f"{P}spectral_norm(nn.Linear(4, 3), 'bias')", f"{P}spectral_norm(nn.Linear(4, 3), 'bias')", "5, 4")
for layer in ("nn.Linear(4, 4)", "nn.Linear(4, 6)", "nn.Linear(6, 4)"):
    shape = f"5, {layer[10]}"
    for which in ("matrix_exp", "cayley", "householder"):
        for trivial in (True, False):
            flag = str(trivial)
            modules(f"orthogonal {which} {layer} {flag}",
                    f"{P}orthogonal({layer}, 'weight', '{which}', {{use_trivialization = {flag.lower()}}})",
                    f"{P}orthogonal({layer}, 'weight', '{which}', use_trivialization={flag})", shape)
modules("orthogonal removed", f"{P}orthogonal(nn.Linear(4, 6))", f"{P}orthogonal(nn.Linear(4, 6))", "5, 4", REMOVE)
modules("orthogonal assigned", f"{P}orthogonal(nn.Linear(4, 4))", f"{P}orthogonal(nn.Linear(4, 4))", "5, 4",
        ("m.weight = torch.eye(4):flip(0)", "m.weight = torch.eye(4).flip(0)"))
modules("weight_norm assigned", f"{P}weight_norm(nn.Linear(4, 4))", f"{P}weight_norm(nn.Linear(4, 4))", "5, 4",
        ("m.weight = torch.eye(4) * 2", "m.weight = torch.eye(4) * 2"))
modules("two parametrizations", f"{P}spectral_norm({P}weight_norm(nn.Linear(4, 4)), 'bias')",
        f"{P}spectral_norm({P}weight_norm(nn.Linear(4, 4)), 'bias')", "5, 4", REMOVE)
modules("one on another", f"{P}spectral_norm({P}orthogonal(nn.Linear(4, 4)))",
        f"{P}spectral_norm({P}orthogonal(nn.Linear(4, 4)))", "5, 4")
modules("copy of a parametrized module", f"nn.Sequential({P}weight_norm(nn.Linear(4, 4))):deepcopy()",
        f"__import__('copy').deepcopy(nn.Sequential({P}weight_norm(nn.Linear(4, 4))))", "5, 4")
modules("parametrized recurrent layer", f"{P}weight_norm(nn.RNNCell(4, 4), 'weight_hh')",
        f"{P}weight_norm(nn.RNNCell(4, 4), 'weight_hh')", "5, 4")
for layer, shape in (("nn.Linear(4, 3)", "5, 4"), ("nn.Conv2d(2, 4, 3)", "1, 2, 5, 5")):
    for kind in ("weight_norm", "spectral_norm"):
        old, remove = f"nn.utils.{kind}({layer})", f"nn.utils.remove_{kind}(m)"
        modules(f"old {kind} {layer}", old, old, shape)
        modules(f"old {kind} removed {layer}", old, old, shape, (remove, remove))

CLIP = ("torch.manual_seed(3)\nlocal m = nn.Linear(4, 3)\nm(torch.randn(5, 4)):pow(2):sum():backward()\n"
        "local total = {lua}\nreturn total, m.weight.grad, m.bias.grad",
        "torch.manual_seed(3)\nm = nn.Linear(4, 3)\nm(torch.randn(5, 4)).pow(2).sum().backward()\n"
        "total = {python}\nout = [total, m.weight.grad, m.bias.grad]")
for foreach in ("nil", "true", "false"):
    python = {"nil": "None", "true": "True", "false": "False"}[foreach]
    for norm in ("2.0", "1", "math.huge", "0.5"):
        theirs = norm.replace("math.huge", "float('inf')")
        case(f"clip_grad_norm_ {norm} {foreach}",
             CLIP[0].format(lua=f"nn.utils.clip_grad_norm_(m:parameters(), 0.7, {norm}, false, {foreach})"),
             CLIP[1].format(python=f"nn.utils.clip_grad_norm_(m.parameters(), 0.7, {theirs}, False, {python})"))
    case(f"clip_grad_value_ {foreach}", CLIP[0].format(lua=f"nn.utils.clip_grad_value_(m:parameters(), 0.3, {foreach})"),
         CLIP[1].format(python=f"nn.utils.clip_grad_value_(m.parameters(), 0.3, {python})"))
    case(f"get_total_norm {foreach}",
         CLIP[0].format(lua=f"nn.utils.get_total_norm({{m.weight.grad, m.bias.grad}}, 3, {{foreach = {foreach}}})"),
         CLIP[1].format(python=f"nn.utils.get_total_norm([m.weight.grad, m.bias.grad], 3, foreach={python})"))
    case(f"clip_grads_with_norm_ {foreach}",
         CLIP[0].format(lua=f"nn.utils.clip_grads_with_norm_(m:parameters(), 1.0, torch.tensor(3.), {foreach})"),
         CLIP[1].format(python=f"nn.utils.clip_grads_with_norm_(m.parameters(), 1.0, torch.tensor(3.), {python})"))
case("parameters_to_vector", "torch.manual_seed(1)\nlocal m = nn.Linear(3, 2)\nlocal v = nn.utils.parameters_to_vector(m:parameters())\n"
     "nn.utils.vector_to_parameters(v * 2, m:parameters())\nreturn v, m.weight, m.bias, v.requires_grad",
     "torch.manual_seed(1)\nm = nn.Linear(3, 2)\nv = nn.utils.parameters_to_vector(m.parameters())\n"
     "nn.utils.vector_to_parameters(v * 2, m.parameters())\nout = [v, m.weight, m.bias, v.requires_grad]")

L = "nn.utils.prune."
for name, then in {
    "identity": ["identity(m, 'weight')"],
    "random": ["random_unstructured(m, 'weight', 0.3)"],
    "count": ["random_unstructured(m, 'weight', 5)"],
    "least": ["l1_unstructured(m, 'weight', 0.45)"],
    "channels": ["random_structured(m, 'weight', 0.5, 1)"],
    "norms": ["ln_structured(m, 'weight', 0.5, 2, 0)"],
    "norms of infinity": ["ln_structured(m, 'weight', 1, INF, -1)"],
    "mask": ["custom_from_mask(m, 'bias', torch.arange(3) > 0)"],
    "twice": ["l1_unstructured(m, 'weight', 0.3)", "ln_structured(m, 'weight', 1, 1, 0)"],
    "three times": ["ln_structured(m, 'weight', 1, 2, 1)", "random_unstructured(m, 'weight', 2)",
                    "random_structured(m, 'weight', 1, 0)"],
    "removed": ["l1_unstructured(m, 'weight', 0.5)", "remove(m, 'weight')"],
    "scores": ["l1_unstructured(m, 'weight', 0.5, torch.arange(12.).view(3, 4))"],
}.items():
    lua = "".join(f"{L}{call}\n" for call in then).replace("INF", "math.huge").replace(").view(3, 4)", "):view(3, 4)").replace(
        "torch.arange(3) > 0", "torch.arange(3):gt(0)")
    python = "".join(f"{L}{call}\n" for call in then).replace("INF", "float('inf')")
    modules(f"prune {name}", "nn.Linear(4, 3)", "nn.Linear(4, 3)", "5, 4", (lua, python + "y2 = m(x)"))
case("prune together", "torch.manual_seed(3)\nlocal m = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))\nlocal L = nn.utils.prune\n"
     "L.l1_unstructured(m[0], 'weight', 2)\nlocal all = {{m[0], 'weight'}, {m[1], 'weight'}, {m[1], 'bias'}}\n"
     "L.global_unstructured(all, L.L1Unstructured, {amount = 0.4})\n"
     "return m[0].weight, m[1].weight, m[1].bias, L.is_pruned(m), m(torch.ones(1, 4))",
     "torch.manual_seed(3)\nm = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))\nL = nn.utils.prune\n"
     "L.l1_unstructured(m[0], 'weight', 2)\nall = [(m[0], 'weight'), (m[1], 'weight'), (m[1], 'bias')]\n"
     "L.global_unstructured(all, L.L1Unstructured, amount=0.4)\n"
     "out = [m[0].weight, m[1].weight, m[1].bias, L.is_pruned(m), m(torch.ones(1, 4))]")

for conv, bn, shape in (("nn.Conv2d(2, 4, 3)", "nn.BatchNorm2d(4)", "2, 2, 5, 5"),
                        ("nn.Conv2d(2, 4, 3, {bias = false})", "nn.BatchNorm2d(4, {affine = false})", "2, 2, 5, 5"),
                        ("nn.Linear(4, 3)", "nn.BatchNorm1d(3)", "5, 4")):
    kind = "linear" if "Linear" in conv else "conv"
    theirs = [text.replace("{", "").replace("}", "").replace("false", "False") for text in (conv, bn)]
    case(f"fuse {conv} {bn}",
         f"torch.manual_seed(3)\nlocal c, b, x = {conv}, {bn}, torch.randn({shape})\nb(c(x))\nc:eval() b:eval()\n"
         f"local f = nn.utils.fuse_{kind}_bn_eval(c, b)\nreturn f.weight, f.bias, f(x), tostring(f)",
         f"torch.manual_seed(3)\nc, b, x = {theirs[0]}, {theirs[1]}, torch.randn({shape})\nb(c(x))\nc.eval(); b.eval()\n"
         f"f = nn.utils.fuse_{kind}_bn_eval(c, b)\nout = [f.weight, f.bias, f(x), repr(f)]")
case("sequences", "torch.manual_seed(3)\nlocal R = nn.utils.rnn\nlocal s = {torch.randn(2, 3), torch.randn(4, 3), torch.randn(1, 3)}\n"
     "local p = R.pack_sequence(s, false)\nlocal y, n = R.pad_packed_sequence(p, {total_length = 6, padding_value = -1.0})\n"
     "local left = R.pad_sequence(s, {batch_first = true, padding_side = 'left'})\n"
     "return tostring(p), p.data, p.batch_sizes, p.sorted_indices, p.unsorted_indices, y, n, R.unpack_sequence(p), left,"
     "R.unpad_sequence(R.pad_sequence(s), torch.tensor{2, 4, 1}), R.pack_padded_sequence(y, n, {enforce_sorted = false}).data",
     "torch.manual_seed(3)\nR = nn.utils.rnn\ns = [torch.randn(2, 3), torch.randn(4, 3), torch.randn(1, 3)]\n"
     "p = R.pack_sequence(s, False)\ny, n = R.pad_packed_sequence(p, total_length=6, padding_value=-1.0)\n"
     "left = R.pad_sequence(s, batch_first=True, padding_side='left')\n"
     "out = [str(p), p.data, p.batch_sizes, p.sorted_indices, p.unsorted_indices, y, n, R.unpack_sequence(p), left,"
     "R.unpad_sequence(R.pad_sequence(s), torch.tensor([2, 4, 1])), R.pack_padded_sequence(y, n, enforce_sorted=False).data]")


@pytest.fixture(scope="module")
def results(trainhost, tmp_path_factory):
    ours = exchange.Exchange(tmp_path_factory.mktemp("utils"))
    for name, (lua, _) in CASES.items():
        ours.case(name, "local nn = torch.nn\n" + lua)
    return ours.run(trainhost)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_gives_what_pytorch_gives(results, name):
    scope = {"torch": torch, "nn": nn}
    exec(CASES[name][1], scope)
    assert results[name].error is None, results[name].error
    expected, got = scope["out"], results[name].values
    while expected and expected[-1] is None:
        expected.pop()
    while got and got[-1] is None:
        got.pop()
    assert exchange.difference(expected, got) is None
