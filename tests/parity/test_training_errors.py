# What a training is told when it is set up wrongly: optimizers, schedulers, GradScaler, nn.utils, hooks. Each with the
# text of PyTorch's own error.
import re

import pytest
import torch
import torch.nn.utils.prune
from exchange import Exchange
from messages import plain
from torch import nn

SETUP = """
nn, F, s = torch.nn, torch.nn.functional, torch.optim.lr_scheduler
p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
o = torch.optim.SGD([p], lr=0.1, momentum=0.9)
o2 = torch.optim.SGD([dict(params=[p]), dict(params=[q])], lr=0.1)
other = torch.optim.SGD([q], lr=0.1)
sparse = nn.Parameter(torch.ones(4, 2))
sparse.grad = torch.sparse_coo_tensor(torch.tensor([[1]]), torch.ones(1, 2), (4, 2))
net = nn.Linear(2, 3)
x = torch.ones(1, 2, requires_grad=True)
class Keyed(dict): pass
"""
LUA = """
local nn, F, s = torch.nn, torch.nn.functional, torch.optim.lr_scheduler
local p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
local o = torch.optim.SGD({p}, {lr = 0.1, momentum = 0.9})
local o2 = torch.optim.SGD({{params = {p}}, {params = {q}}}, {lr = 0.1})
local other = torch.optim.SGD({q}, {lr = 0.1})
local sparse = nn.Parameter(torch.ones(4, 2))
sparse.grad = torch.sparse_coo_tensor(torch.tensor({{1}}), torch.ones(1, 2), {4, 2})
local net = nn.Linear(2, 3)
local x = torch.ones(1, 2, {requires_grad = true})
"""

# Bad hyperparameters: an optimizer, its keywords in Python and in Lua.
BAD = {"lr": [-0.1, -1, float("nan"), "torch.ones(2)", "torch.tensor(-0.5)"]}
RANGES = {
    "Adadelta": {"rho": [-0.1, 1.5], "eps": [-1e-8], "weight_decay": [-1]},
    "Adafactor": {"beta2_decay": [0.5], "d": [0.5], "weight_decay": [-0.5], "eps": [(-1.0, 0.001), (None, -0.5)]},
    "Adagrad": {"lr_decay": [-1], "weight_decay": [-0.25], "initial_accumulator_value": [-2.0], "eps": [-1.0]},
    "Adam": {"betas": [(1.0, 0.9), (-0.1, 0.9), (0.9, 1.0), (0.9, -1), ("torch.tensor(0.9)", 0.99)], "eps": [-1.0], "weight_decay": [-1.5]},
    "AdamW": {"betas": [(1.0, 0.9), (0.9, 2)], "eps": [-1e-20], "weight_decay": [-1]},
    "SparseAdam": {"betas": [(1.0, 0.9), (0.9, 1.0)], "eps": [0.0, -1.0], "lr": [0.0, 0]},
    "Adamax": {"betas": [(1.0, 0.9), (0.9, 1.0)], "eps": [-1.0], "weight_decay": [-1]},
    "ASGD": {"weight_decay": [-1]},
    "LBFGS": {},
    "Muon": {"momentum": [-0.1], "weight_decay": [-1], "adjust_lr_fn": ["'other'"]},
    "NAdam": {"betas": [(1.0, 0.9), (0.9, 1.0)], "eps": [-1.0], "weight_decay": [-1], "momentum_decay": [-0.5]},
    "RAdam": {"betas": [(1.0, 0.9), (0.9, 1.0)], "eps": [-1.0], "weight_decay": [-1]},
    "RMSprop": {"momentum": [-0.5], "alpha": [-1.0], "eps": [-1.0], "weight_decay": [-1]},
    "Rprop": {"etas": [(0.0, 1.2), (0.5, 0.9), (1.1, 1.2)]},
    "SGD": {"momentum": [-0.5], "weight_decay": [-1]},
}
# More than one option at once, and what the groups say.
TOGETHER = [
    ("SGD", "nesterov=True"), ("SGD", "nesterov=True, momentum=0.9, dampening=0.1"),
    ("SGD", "foreach=True, fused=True"), ("SGD", "fused=True, differentiable=True"),
    ("Adam", "foreach=True, fused=True"), ("Adam", "fused=True, differentiable=True"),
    ("AdamW", "foreach=True, fused=True"), ("AdamW", "fused=True, differentiable=True"),
    ("Adagrad", "foreach=True, fused=True"), ("Adagrad", "fused=True, differentiable=True"),
    ("Adam", "lr=torch.tensor(0.1), foreach=True"), ("AdamW", "lr=torch.tensor(0.1), foreach=True"),
    ("Adam", "betas=(torch.tensor(0.9), torch.tensor(0.99)), foreach=True"),
]


def written(value):
    """A value of the tables above as Python's source: text is source already."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return "(" + ", ".join(map(written, value)) + ")"
    return "float('nan')" if value != value else repr(value)


def lua(source):
    """Keywords of Python's as those of Lua."""
    for python, ours in (("float('nan')", "0/0"), ("(None,", "(nil,"), ("True", "true"), ("False", "false"), ("=", " = ")):
        source = source.replace(python, ours)
    for name in ("betas", "eps", "etas"):
        at = source.find(f"{name} = (")
        if at >= 0:
            end, depth = at + len(name) + 3, 0
            for end in range(at + len(name) + 3, len(source)):
                depth += (source[end] == "(") - (source[end] == ")")
                if depth == 0:
                    break
            source = source[:at + len(name) + 3] + "{" + source[at + len(name) + 4:end] + "}" + source[end + 1:]
    return source.replace("[", "{").replace("]", "}")


def optimizers():
    for name, ranges in RANGES.items():
        params = "nn.Parameter(torch.ones(2, 2))" if name == "Muon" else "p"
        for key, values in {**BAD, **{k: v for k, v in ranges.items()}}.items():
            for value in (BAD["lr"] + ranges["lr"] if key == "lr" and "lr" in ranges else values):
                if name == "SGD" and value != value:
                    continue  # Python takes it
                source = f"{key}={written(value)}"
                yield (f"{name} {source}", f"torch.optim.{name}([{params}], {source})",
                       f"torch.optim.{name}({{{params}}}, {{{lua(source)}}})")
    for name, source in TOGETHER:
        yield (f"{name} {source}", f"torch.optim.{name}([p], {source})", f"torch.optim.{name}({{p}}, {{{lua(source)}}})")


CASES = [*optimizers()]


def case(name, python, ours):
    CASES.append((name, python, ours))


def both(source, ours=None):
    """Alike in both languages, but for keywords in a table at the end."""
    case(source, source, ours or source)


# --- optimizers: parameters and groups
case("no parameters", "torch.optim.SGD([], lr=0.1)", "torch.optim.SGD({}, {lr = 0.1})")
case("a tensor alone", "torch.optim.SGD(p, lr=0.1)", "torch.optim.SGD(p, {lr = 0.1})")
case("two groups, one parameter", "torch.optim.SGD([dict(params=[p]), dict(params=[p])], lr=0.1)",
     "torch.optim.SGD({{params = {p}}, {params = {p}}}, {lr = 0.1})")
case("a number among them", "torch.optim.SGD([p, 3], lr=0.1)", "torch.optim.SGD({p, 3}, {lr = 0.1})")
case("no leaf", "torch.optim.SGD([p * 2], lr=0.1)", "torch.optim.SGD({p * 2}, {lr = 0.1})")
case("some names", "torch.optim.SGD([('a', p), q], lr=0.1)", "torch.optim.SGD({{'a', p}, q}, {lr = 0.1})")
case("names in one group", "torch.optim.SGD([('a', p)], lr=0.1).add_param_group(dict(params=[q]))",
     "torch.optim.SGD({{'a', p}}, {lr = 0.1}):add_param_group{params = {q}}")
case("a name comes late", "o.add_param_group(dict(params=[('b', q)]))", "o:add_param_group{params = {{'b', q}}}")
case("a group that is none", "o.add_param_group(3)", "o:add_param_group(3)")
case("Muon of a vector", "torch.optim.Muon([p])", "torch.optim.Muon{p}")
case("LBFGS of groups", "torch.optim.LBFGS([dict(params=[p]), dict(params=[q])])",
     "torch.optim.LBFGS{{params = {p}}, {params = {q}}}")
case("LBFGS search", "torch.optim.LBFGS([p], line_search_fn='other').step(lambda: [l.backward() or l for l in [(p * p).sum()]][0])",
     "torch.optim.LBFGS({p}, {line_search_fn = 'other'}):step(function() local l = (p * p):sum() l:backward() return l end)")
case("SparseAdam of sparse", "torch.optim.SparseAdam([torch.sparse_coo_tensor(torch.tensor([[0]]), torch.ones(1), (2,))])",
     "torch.optim.SparseAdam{torch.sparse_coo_tensor(torch.tensor{{0}}, torch.ones(1), {2})}")
case("SparseAdam of complex", "torch.optim.SparseAdam([p, torch.ones(2, dtype=torch.complex64)])",
     "torch.optim.SparseAdam{p, torch.ones(2, {dtype = torch.complex64})}")
for name in ("Adam", "AdamW", "RMSprop", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD", "Adadelta"):
    case(f"{name} of a sparse gradient", f"torch.optim.{name}([sparse]).step()", f"torch.optim.{name}({{sparse}}):step()")
case("SparseAdam of a dense gradient", "(setattr(p, 'grad', torch.ones(2)), torch.optim.SparseAdam([p]).step())",
     "(function() p.grad = torch.ones(2) torch.optim.SparseAdam({p}):step() end)()")
case("Adagrad decays sparse", "torch.optim.Adagrad([sparse], weight_decay=0.1).step()",
     "torch.optim.Adagrad({sparse}, {weight_decay = 0.1}):step()")
case("other groups", "o.load_state_dict(o2.state_dict())", "o:load_state_dict(o2:state_dict())")
case("a group of another size", "o.load_state_dict(torch.optim.SGD([p, q], lr=0.1).state_dict())",
     "o:load_state_dict(torch.optim.SGD({p, q}, {lr = 0.1}):state_dict())")

# --- schedulers
for name, arguments in (("StepLR", "3"), ("MultiStepLR", "{3}"), ("ExponentialLR", "0.9"),
                        ("CosineAnnealingLR", "3"), ("CosineAnnealingWarmRestarts", "3"), ("ReduceLROnPlateau", "'min'"),
                        ("CyclicLR", "0.1, 0.2")):
    case(f"{name} of a model", f"s.{name}(3, {arguments.replace('{', '[').replace('}', ']')})", f"s.{name}(3, {arguments})")
for name in ("ConstantLR", "LinearLR", "PolynomialLR"):
    case(f"{name} of a model", f"s.{name}(3)", f"s.{name}(3)")
case("OneCycleLR of a model", "s.OneCycleLR(3, 0.1, total_steps=3)", "s.OneCycleLR(3, 0.1, {total_steps = 3})")
case("resumed", "s.StepLR(o, 3, last_epoch=2)", "s.StepLR(o, 3, {last_epoch = 2})")
case("lambdas", "s.LambdaLR(o2, [abs])", "s.LambdaLR(o2, {math.abs})")
case("multiplicative lambdas", "s.MultiplicativeLR(o2, [abs])", "s.MultiplicativeLR(o2, {math.abs})")
for bad in (-0.1, 1.1):
    both(f"s.ConstantLR(o, {bad})")
for bad in (0, -0.5, 1.5):
    both(f"s.LinearLR(o, {bad})")
for bad in (-0.5, 1.5):
    both(f"s.LinearLR(o, 0.5, {bad})")
case("no schedulers", "s.SequentialLR(o, [], [])", "s.SequentialLR(o, {}, {})")
case("no milestones", "s.SequentialLR(o, [s.StepLR(o, 1), s.StepLR(o, 2)], [])", "s.SequentialLR(o, {s.StepLR(o, 1), s.StepLR(o, 2)}, {})")
case("a plateau in a sequence", "s.SequentialLR(o, [s.StepLR(o, 1), s.ReduceLROnPlateau(o)], [1])",
     "s.SequentialLR(o, {s.StepLR(o, 1), s.ReduceLROnPlateau(o)}, {1})")
case("no scheduler in a sequence", "s.SequentialLR(o, [s.StepLR(o, 1), 3], [1])", "s.SequentialLR(o, {s.StepLR(o, 1), 3}, {1})")
case("another optimizer in a sequence", "s.SequentialLR(o, [s.StepLR(o, 1), s.StepLR(other, 1)], [1])",
     "s.SequentialLR(o, {s.StepLR(o, 1), s.StepLR(other, 1)}, {1})")
case("an empty chain", "s.ChainedScheduler([])", "s.ChainedScheduler({})")
case("a plateau in a chain", "s.ChainedScheduler([s.StepLR(o, 1), s.ReduceLROnPlateau(o)])",
     "s.ChainedScheduler({s.StepLR(o, 1), s.ReduceLROnPlateau(o)})")
case("no scheduler in a chain", "s.ChainedScheduler([s.StepLR(o, 1), 3])", "s.ChainedScheduler({s.StepLR(o, 1), 3})")
case("another optimizer in a chain", "s.ChainedScheduler([s.StepLR(o, 1), s.StepLR(other, 1)])",
     "s.ChainedScheduler({s.StepLR(o, 1), s.StepLR(other, 1)})")
for bad in ("factor=1.0", "factor=2.5", "min_lr=[0.1, 0.2]", "mode='best'", "threshold_mode='some'"):
    case(f"plateau {bad}", f"s.ReduceLROnPlateau(o, {bad})", f"s.ReduceLROnPlateau(o, {{{lua(bad)}}})")
case("plateau and a group more", """
pl = s.ReduceLROnPlateau(o2, patience=0, min_lr=[0.0, 0.0])
o2.add_param_group(dict(params=[torch.ones(1, requires_grad=True)]))
pl.step(1.0); pl.step(2.0)""", """(function()
  local pl = s.ReduceLROnPlateau(o2, {patience = 0, min_lr = {0.0, 0.0}})
  o2:add_param_group{params = {torch.ones(1, {requires_grad = true})}}
  pl:step(1.0) pl:step(2.0)
end)()""")
case("cyclic mode", "s.CyclicLR(o, 0.1, 0.2, mode='other')", "s.CyclicLR(o, 0.1, 0.2, {mode = 'other'})")
case("cyclic momentum", "s.CyclicLR(torch.optim.Adadelta([p]), 0.1, 0.2)", "s.CyclicLR(torch.optim.Adadelta{p}, 0.1, 0.2)")
case("cyclic groups", "s.CyclicLR(o, [0.1, 0.2], 0.2)", "s.CyclicLR(o, {0.1, 0.2}, 0.2)")
case("cyclic most", "s.CyclicLR(o, 0.1, [0.2, 0.3])", "s.CyclicLR(o, 0.1, {0.2, 0.3})")
case("cyclic momenta", "s.CyclicLR(o, 0.1, 0.2, base_momentum=[0.2, 0.3])", "s.CyclicLR(o, 0.1, 0.2, {base_momentum = {0.2, 0.3}})")
for bad in ("0", "-1", "1.5", "3, T_mult=0", "3, T_mult=1.5"):
    head, _, rest = bad.partition(", ")
    case(f"restarts {bad}", f"s.CosineAnnealingWarmRestarts(o, {bad})",
         f"s.CosineAnnealingWarmRestarts(o, {head}{', {' + lua(rest) + '}' if rest else ''})")
case("restarts at -1", "s.CosineAnnealingWarmRestarts(o, 3).step(-1)", "s.CosineAnnealingWarmRestarts(o, 3):step(-1)")
for bad in ("", "total_steps=0", "total_steps=-5", "total_steps=2.5", "epochs=3", "epochs=0, steps_per_epoch=3", "epochs=1.5, steps_per_epoch=3",
            "epochs=3, steps_per_epoch=-1", "total_steps=5, pct_start=1.5", "total_steps=5, pct_start=-0.5",
            "total_steps=5, pct_start=1", "total_steps=5, anneal_strategy='step'", "total_steps=5, max_momentum=[0.1, 0.2]"):
    case(f"one cycle {bad}", f"s.OneCycleLR(o, 0.1, {bad})", f"s.OneCycleLR(o, 0.1, {{{lua(bad)}}})")
case("one cycle groups", "s.OneCycleLR(o, [0.1, 0.2], total_steps=5)", "s.OneCycleLR(o, {0.1, 0.2}, {total_steps = 5})")
case("one cycle momentum", "s.OneCycleLR(torch.optim.Adadelta([p]), 0.1, total_steps=5)",
     "s.OneCycleLR(torch.optim.Adadelta{p}, 0.1, {total_steps = 5})")
case("one cycle too long", "[c.step() for c in [s.OneCycleLR(o, 0.1, total_steps=3)] for _ in range(5)]",
     "(function() local c = s.OneCycleLR(o, 0.1, {total_steps = 3}) for _ = 1, 5 do c:step() end end)()")
for bad in ("anneal_strategy='step'", "anneal_epochs=-1", "anneal_epochs=1.5"):
    case(f"SWALR {bad}", f"torch.optim.swa_utils.SWALR(o, 0.1, {bad})", f"torch.optim.swa_utils.SWALR(o, 0.1, {{{lua(bad)}}})")
case("SWALR groups", "torch.optim.swa_utils.SWALR(o, [0.1, 0.2])", "torch.optim.swa_utils.SWALR(o, {0.1, 0.2})")

# --- GradScaler
SCALER = "g = torch.amp.GradScaler('cpu'); p.grad = None; "
LUA_SCALER = "(function() local g = torch.amp.GradScaler('cpu') p.grad = nil "


def scaler(name, *calls):
    python = "; ".join(calls)
    ours = " ".join(calls).replace("g.", "g:").replace("o.", "o:").replace(".sum()", ":sum()").replace(".backward()", ":backward()")
    case(f"scaler {name}", SCALER + python, LUA_SCALER + ours + " end)()")


BACKWARD = "g.scale((p * p).sum()).backward()"
scaler("unscale twice", BACKWARD, "g.unscale_(o)", "g.unscale_(o)")
scaler("step twice", BACKWARD, "g.step(o)", "g.step(o)")
scaler("unscale after step", BACKWARD, "g.step(o)", "g.unscale_(o)")
scaler("update without scale", "g.update()")
scaler("step without scale", "g.step(o)")
scaler("unscale without scale", "g.unscale_(o)")
scaler("update without step", BACKWARD, "g.update()")
scaler("step without gradients", "g.scale(p)", "g.step(o)")
scaler("update twice", BACKWARD, "g.step(o)", "g.update()", "g.update()")
case("scaler growth", "torch.amp.GradScaler('cpu', growth_factor=1.0)", "torch.amp.GradScaler('cpu', {growth_factor = 1.0})")
case("scaler backoff", "torch.amp.GradScaler('cpu', backoff_factor=1.0)", "torch.amp.GradScaler('cpu', {backoff_factor = 1.0})")
case("scaler closure", SCALER + BACKWARD + "; g.step(o, closure=lambda: 1)", LUA_SCALER + "g:scale((p * p):sum()):backward() g:step(o, function() end) end)()")
case("scaler of a number", SCALER + "g.scale(3)", LUA_SCALER + "g:scale(3) end)()")
case("scaler update of two", SCALER + BACKWARD + "; g.update(torch.ones(2))",
     LUA_SCALER + "g:scale((p * p):sum()):backward() g:update(torch.ones(2)) end)()")
case("scaler nothing saved", "torch.amp.GradScaler('cpu').load_state_dict(dict())", "torch.amp.GradScaler('cpu'):load_state_dict{}")
case("scaler of half", SCALER + """
h = torch.ones(2, dtype=torch.float16, requires_grad=True)
g.scale(h.sum()).backward()
g.unscale_(torch.optim.SGD([h], lr=0.1))""", LUA_SCALER + """
local h = torch.ones(2, {dtype = torch.float16, requires_grad = true})
g:scale(h:sum()):backward()
g:unscale_(torch.optim.SGD({h}, {lr = 0.1})) end)()""")

# --- nn.utils
for length in (1, 4, 7):
    case(f"vector of {length}", f"nn.utils.vector_to_parameters(torch.ones({length}), [p, q])" if length < 5 else
         "nn.utils.vector_to_parameters([1.0], [p, q])",
         f"nn.utils.vector_to_parameters(torch.ones({length}), {{p, q}})" if length < 5 else
         "nn.utils.vector_to_parameters({1.0}, {p, q})")
case("norm of sparse", "nn.utils.clip_grad_norm_([sparse], 1.0)", "nn.utils.clip_grad_norm_({sparse}, 1.0)")
case("norm of sparse, one by one", "nn.utils.clip_grad_norm_([sparse], 1.0, foreach=False)", "nn.utils.clip_grad_norm_({sparse}, 1.0, {foreach = false})")
case("norm of NaN", "(setattr(p, 'grad', torch.tensor([float('nan'), 1])), nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True))",
     "(function() p.grad = torch.tensor{0/0, 1} nn.utils.clip_grad_norm_({p}, 1.0, {error_if_nonfinite = true}) end)()")
case("infinite 1-norm", "(setattr(p, 'grad', torch.tensor([float('inf'), 1])), nn.utils.clip_grad_norm_([p], 1.0, 1, error_if_nonfinite=True))",
     "(function() p.grad = torch.tensor{math.huge, 1} nn.utils.clip_grad_norm_({p}, 1.0, 1, {error_if_nonfinite = true}) end)()")
PRUNE = {
    "l1_unstructured": "'{0}', amount=0.5", "random_unstructured": "'{0}', amount=0.5", "ln_structured": "'{0}', amount=0.5, n=2, dim=0",
    "random_structured": "'{0}', amount=0.5, dim=0", "identity": "'{0}'", "custom_from_mask": "'{0}', torch.ones(3, 2)",
}


def prune(label, function, rest):
    head, _, tail = rest.partition(", ")
    ours = f"{head}, {lua(tail) if function == 'custom_from_mask' else '{' + lua(tail) + '}'}" if tail else head
    case(f"prune {function} {label}", f"nn.utils.prune.{function}(net, {rest})", f"nn.utils.prune.{function}(net, {ours})")


for function, rest in PRUNE.items():
    prune("of another name", function, rest.format("wight"))
for amount in ("-1", "7", "1.5", "-0.1", "'a'"):
    prune(f"amount {amount}", "l1_unstructured", f"'weight', amount={amount}")
    prune(f"amount {amount}", "random_structured", f"'weight', amount={amount}, dim=0")
prune("dim", "ln_structured", "'weight', amount=0.5, n=2, dim=2")
prune("a vector", "ln_structured", "'bias', amount=0.5, n=2, dim=0")
case("prune remove", "nn.utils.prune.remove(net, 'weight')", "nn.utils.prune.remove(net, 'weight')")
case("prune globally", "nn.utils.prune.global_unstructured(3, nn.utils.prune.L1Unstructured)",
     "nn.utils.prune.global_unstructured(3, nn.utils.prune.L1Unstructured)")
case("prune globally by rows", "nn.utils.prune.global_unstructured([(net, 'weight')], nn.utils.prune.LnStructured, amount=0.5, n=2)",
     "nn.utils.prune.global_unstructured({{net, 'weight'}}, nn.utils.prune.LnStructured, {amount = 0.5, n = 2})")

# --- backward hooks
HOOKED = "net.register_full_backward_hook(lambda m, gi, go: {0}); net(x).sum().backward()"
for label, python, ours in (("two for one", "(gi[0], gi[0])", "{gi[1], gi[1]}"), ("none for one", "()", "{}"),
                            ("a number", "(3,)", "{3}"), ("text", "('a',)", "{'a'}"), ("a tensor of another shape", "(torch.ones(2, 2),)", "{torch.ones(2, 2)}")):
    case(f"full hook: {label}", f"net.register_full_backward_hook(lambda m, gi, go: {python}); net(x).sum().backward()",
         f"(function() net:register_full_backward_hook(function(m, gi, go) return {ours} end) net(x):sum():backward() end)()")
    python, ours = python.replace("gi", "go"), ours.replace("gi", "go")
    case(f"full pre-hook: {label}", f"net.register_full_backward_pre_hook(lambda m, go: {python}); net(x).sum().backward()",
         f"(function() net:register_full_backward_pre_hook(function(m, go) return {ours} end) net(x):sum():backward() end)()")
for label, python, ours in (("text", "'a'", "'a'"), ("another shape", "torch.ones(5, 2)", "torch.ones(5, 2)")):
    case(f"tensor hook: {label}", f"x.register_hook(lambda g: {python}); net(x).sum().backward()",
         f"(function() x:register_hook(function(g) return {ours} end) net(x):sum():backward() end)()")
case("tensor hook without gradient", "torch.ones(2).register_hook(abs)", "torch.ones(2):register_hook(math.abs)")


def error_of(source):
    space = {"torch": torch}
    exec(SETUP, space)
    try:
        exec(source, space)
    except Exception as error:
        return error
    return None


# What the two languages call by other words: a hook's name, and in one text of C++ a value's type.
OTHER_WORDS = r"(?<=^hook )\S+|(?<=hook returned )str$"


def unlike(error, got):
    """What is not Python's, in a line; None: nothing."""
    if error is None:
        return got.error and f"Python takes it, ours: {got.error}"
    message = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    message = message.split(" backend. This could be")[0]  # what follows is a list of all backends
    theirs = f"theirs: {type(error).__name__}: {message}"
    if got.error is None:
        return f"{theirs} | ours: none"
    pattern = ".*".join(map(re.escape, re.split(OTHER_WORDS, plain(message))))
    return None if re.search(pattern, plain(got.error)) else f"{theirs} | ours: {got.error}"


@pytest.fixture(scope="module")
def ours(trainhost, tmp_path_factory):
    exchange = Exchange(tmp_path_factory.mktemp("errors"))
    for name, _, code in CASES:
        exchange.case(name, LUA + "return " + code)
    return exchange.run(trainhost)


@pytest.mark.parametrize("name,python,code", CASES, ids=[case[0] for case in CASES])
@pytest.mark.filterwarnings("ignore")
def test_the_error_is_pythons(ours, name, python, code):
    error, got = error_of(python), ours[name]
    if text := unlike(error, got):
        pytest.fail(text, pytrace=False)
