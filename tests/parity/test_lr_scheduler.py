# Every learning rate scheduler against PyTorch's, live: learning rates, momenta and last_lr after each step, the state
# dict, and a schedule that begins on one side and goes on on the other.
import exact
import json
import pytest
import torch
from torch.optim import lr_scheduler

STEPS = 30

# How a case is made, in both languages: name, Python, Lua. `o` is the optimizer, `s` the namespace.
CASES = [
    ("Lambda", "s.LambdaLR(o, lambda e: 0.95 ** e)", "s.LambdaLR(o, function(e) return 0.95 ^ e end)"),
    ("LambdaList", "s.LambdaLR(o, [lambda e: e // 3, lambda e: 1 / (e + 1)])",
     "s.LambdaLR(o, {function(e) return e // 3 end, function(e) return 1 / (e + 1) end})"),
    ("Multiplicative", "s.MultiplicativeLR(o, lambda e: 0.9 if e % 2 else 1.05)",
     "s.MultiplicativeLR(o, function(e) return e % 2 == 1 and 0.9 or 1.05 end)"),
    ("Step", "s.StepLR(o, 3)", None), ("StepGamma", "s.StepLR(o, step_size=4, gamma=0.5)", None),
    ("MultiStep", "s.MultiStepLR(o, [2, 5, 5, 11])", None), ("MultiStepGamma", "s.MultiStepLR(o, [3, 8], gamma=0.3)", None),
    ("Constant", "s.ConstantLR(o)", None), ("ConstantSet", "s.ConstantLR(o, factor=0.5, total_iters=4)", None),
    ("Linear", "s.LinearLR(o)", None),
    ("LinearSet", "s.LinearLR(o, start_factor=0.1, end_factor=0.7, total_iters=9)", None),
    ("Exponential", "s.ExponentialLR(o, 0.9)", None), ("ExponentialUp", "s.ExponentialLR(o, gamma=1.1)", None),
    ("Polynomial", "s.PolynomialLR(o)", None), ("PolynomialSet", "s.PolynomialLR(o, total_iters=12, power=1.7)", None),
    ("Cosine", "s.CosineAnnealingLR(o, 10)", None), ("CosineMin", "s.CosineAnnealingLR(o, T_max=7, eta_min=0.01)", None),
    ("Restarts", "s.CosineAnnealingWarmRestarts(o, 4)", None),
    ("RestartsMult", "s.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.001)", None),
    ("Cyclic", "s.CyclicLR(o, 0.01, 0.3, step_size_up=5)", None),
    ("Cyclic2", "s.CyclicLR(o, base_lr=[0.01, 0.02], max_lr=[0.3, 0.2], step_size_up=4, step_size_down=2, "
     "mode='triangular2')", None),
    ("CyclicExp", "s.CyclicLR(o, 0.01, 0.3, step_size_up=3, mode='exp_range', gamma=0.97, base_momentum=0.7, "
     "max_momentum=0.99)", None),
    ("CyclicPlain", "s.CyclicLR(o, 0.01, 0.3, step_size_up=3, cycle_momentum=False)", None),
    ("CyclicFn", "s.CyclicLR(o, 0.01, 0.3, step_size_up=4, scale_fn=lambda x: 0.5 ** (x - 1), scale_mode='iterations')",
     "s.CyclicLR(o, 0.01, 0.3, {step_size_up = 4, scale_fn = function(x) return 0.5 ^ (x - 1) end, "
     "scale_mode = 'iterations'})"),
    ("OneCycle", "s.OneCycleLR(o, 0.5, total_steps=40)", None),
    ("OneCycleEpochs", "s.OneCycleLR(o, max_lr=[0.5, 0.3], epochs=4, steps_per_epoch=10, pct_start=0.4, "
     "anneal_strategy='linear')", None),
    ("OneCyclePhases", "s.OneCycleLR(o, 0.5, total_steps=33, three_phase=True, div_factor=10.0, final_div_factor=100.0, "
     "base_momentum=0.6, max_momentum=0.97)", None),
    ("OneCyclePlain", "s.OneCycleLR(o, 0.5, total_steps=40, cycle_momentum=False)", None),
    ("Sequential", "s.SequentialLR(o, [s.ConstantLR(o, factor=0.1, total_iters=3), s.ExponentialLR(o, 0.9)], [6])", None),
    ("SequentialMany", "s.SequentialLR(o, [s.LinearLR(o, total_iters=4), s.CosineAnnealingLR(o, 8), s.StepLR(o, 2)], "
     "milestones=[4, 15])", None),
    ("Chained", "s.ChainedScheduler([s.ConstantLR(o, factor=0.2, total_iters=4), s.ExponentialLR(o, 0.9)])", None),
    ("ChainedSequential", "s.ChainedScheduler([s.SequentialLR(o, [s.LinearLR(o), s.StepLR(o, 3)], [5]), "
     "s.ExponentialLR(o, 0.97)], optimizer=o)", None),
    ("Plateau", "s.ReduceLROnPlateau(o, patience=2)", None),
    ("PlateauMax", "s.ReduceLROnPlateau(o, 'max', factor=0.5, patience=1, threshold=0.1, threshold_mode='abs', cooldown=2, "
     "min_lr=[0.01, 0.02])", None),
    ("PlateauAbs", "s.ReduceLROnPlateau(o, mode='min', patience=0, threshold=0.05, threshold_mode='abs', min_lr=0.003, "
     "eps=1e-3)", None),
    ("PlateauRelMax", "s.ReduceLROnPlateau(o, mode='max', patience=3, threshold=0.2, factor=0.3)", None),
]
OPTIMIZERS = {
    "SGD": ("torch.optim.SGD(groups, lr=0.1, momentum=0.9)", "torch.optim.SGD(groups, {lr = 0.1, momentum = 0.9})"),
    "Adam": ("torch.optim.Adam(groups, lr=0.1)", "torch.optim.Adam(groups, {lr = 0.1})"),
    "tensor": ("torch.optim.SGD(groups, lr=torch.tensor(0.1), momentum=0.9)",
               "torch.optim.SGD(groups, {lr = torch.tensor(0.1), momentum = 0.9})"),
}
METRICS = [1.0, 0.9, 0.95, 0.95, 0.96, 0.89, 0.5, 0.5, 0.51, 0.52, 0.53, 0.54, 0.2, 0.21, 0.22, 0.23, 0.19, 0.3, 0.3, 0.3,
           0.31, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]


def lua_of(python, lua):
    """The Lua of a case: keywords go into a table."""
    if lua:
        return lua
    import ast

    def write(node):
        if isinstance(node, ast.Call):
            parts = [write(arg) for arg in node.args]
            if node.keywords:
                parts.append("{" + ", ".join(f"{k.arg} = {write(k.value)}" for k in node.keywords) + "}")
            return f"{write(node.func)}({', '.join(parts)})"
        if isinstance(node, ast.Attribute):
            return f"{write(node.value)}.{node.attr}"
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.List):
            return "{" + ", ".join(map(write, node.elts)) + "}"
        return exact.lua_value(node.value)

    return write(ast.parse(python, mode="eval").body)


PRELUDE = """
local json = require("host").json
local s = torch.optim.lr_scheduler
local metrics = {%(metrics)s}
local function hex(v)
  if torch.is_tensor(v) then v = v:item() end
  return math.type(v) and ("%%a"):format(v) or tostring(v)
end
local function optimizer(make)
  local a, b = torch.zeros(2, {requires_grad = true}), torch.zeros(2, {requires_grad = true})
  return make({{params = {a}}, {params = {b}, lr = make == nil and 0.2 or nil}})
end
local function trace(o, scheduler, from, to, plateau, epochs)
  local out = {}
  local function note()
    local row = {}
    for _, group in ipairs(o.param_groups) do
      row[#row + 1] = hex(group.lr)
      row[#row + 1] = hex(group.momentum or group.betas[1])
    end
    for _, lr in ipairs(scheduler:get_last_lr()) do row[#row + 1] = hex(lr) end
    out[#out + 1] = row
  end
  note()
  for step = from, to do
    o:step()
    if plateau then scheduler:step(metrics[step]) else scheduler:step(epochs and epochs[step]) end
    note()
  end
  return out
end
local function flat(value)
  if torch.is_tensor(value) or math.type(value) then return hex(value) end
  if value == nil or value == torch.None then return "None" end
  if type(value) ~= "table" then return tostring(value) end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(x, y) return tostring(x) < tostring(y) end)
  if #keys > 0 and math.type(keys[1]) and require("host.ordered").is(value) == false then
    local parts = {}
    for i = 1, #value do parts[i] = flat(value[i]) end
    return parts
  end
  local parts = {}
  for _, key in ipairs(keys) do parts[tostring(key)] = flat(value[key]) end
  return parts
end
""" % {"metrics": ", ".join(map(str, METRICS))}


def hexed(value):
    if isinstance(value, torch.Tensor):
        value = value.item()
    return float(value).hex() if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def number(text):
    return float.fromhex(text)


def groups_of(kind):
    a, b = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    groups = [{"params": [a]}, {"params": [b], "lr": torch.tensor(0.2) if kind == "tensor" else 0.2}]
    return eval(OPTIMIZERS[kind][0], {"torch": torch, "groups": groups})


def trace(o, scheduler, first, last, plateau, epochs=None):
    rows = []

    def note():
        row = []
        for group in o.param_groups:
            row += [group["lr"], group["momentum"] if "momentum" in group else group["betas"][0]]
        rows.append([hexed(v) for v in row + list(scheduler.get_last_lr())])

    note()
    for step in range(first, last + 1):
        o.step()
        if plateau:
            scheduler.step(METRICS[step - 1])
        elif epochs:
            scheduler.step(epochs[step - 1])
        else:
            scheduler.step()
        note()
    return rows


def lua_setup(kind, case):
    rate = "torch.tensor(0.2)" if kind == "tensor" else "0.2"
    return (f"local a, b = torch.zeros(2, {{requires_grad = true}}), torch.zeros(2, {{requires_grad = true}})\n"
            f"local groups = {{{{params = {{a}}}}, {{params = {{b}}, lr = {rate}}}}}\n"
            f"local o = {OPTIMIZERS[kind][1]}\nlocal scheduler = {lua_of(*case[1:])}\n")


def same(expected, got):
    assert len(expected) == len(got)
    for step, (a, b) in enumerate(zip(expected, got)):
        assert [number(v) for v in a] == [number(v) for v in b], f"after step {step}: {a} {b}"


def state_of(value):
    if isinstance(value, dict):
        return {str(key): state_of(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [state_of(inner) for inner in value]
    if isinstance(value, bool) or isinstance(value, str) or value is None:
        return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else str(value)
    return hexed(value)


def same_state(expected, got, path=""):
    if isinstance(expected, dict):
        if got == []:
            got = {}
        assert sorted(expected) == sorted(got), path
        for key in expected:
            same_state(expected[key], got[key], f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(got), path
        for i, (a, b) in enumerate(zip(expected, got)):
            same_state(a, b, f"{path}[{i}]")
    else:
        try:
            assert number(expected) == number(got), path
        except ValueError:
            assert expected == got, path


ALL = [(case, kind) for case in CASES for kind in OPTIMIZERS if not (kind == "tensor" and case[0].startswith("Plateau"))]
IDS = [f"{case[0]}-{kind}" for case, kind in ALL]


@pytest.fixture(scope="module")
def ours(trainhost, tmp_path_factory):
    """Traces, state dicts, and files: what Lua saved after half of the steps, and what it makes of Python's half."""
    folder = tmp_path_factory.mktemp("schedulers")
    code = exact.LUA + PRELUDE
    for (case, kind), name in zip(ALL, IDS):
        o = groups_of(kind)
        scheduler = eval(case[1], {"s": lr_scheduler, "o": o})
        plateau = "true" if case[0].startswith("Plateau") else "false"
        trace(o, scheduler, 1, STEPS // 2, plateau == "true")
        torch.save({"o": o.state_dict(), "s": scheduler.state_dict()}, folder / f"{name}.python.pt")
        code += (f"do\n{lua_setup(kind, case)}"
                 f"say('{name}/trace', json.encode(trace(o, scheduler, 1, {STEPS // 2}, {plateau})))\n"
                 f"say('{name}/state', json.encode(flat(scheduler:state_dict())))\n"
                 f"torch.save({{o = o:state_dict(), s = scheduler:state_dict()}}, '{folder}/{name}.lua.pt')\n"
                 f"say('{name}/rest', json.encode(trace(o, scheduler, {STEPS // 2 + 1}, {STEPS}, {plateau})))\nend\n"
                 f"do\n{lua_setup(kind, case)}local saved = torch.load('{folder}/{name}.python.pt')\n"
                 f"o:load_state_dict(saved.o)\nscheduler:load_state_dict(saved.s)\n"
                 f"say('{name}/resumed', json.encode(trace(o, scheduler, {STEPS // 2 + 1}, {STEPS}, {plateau})))\nend\n")
    return exact.read(trainhost.lua(code)), folder


@pytest.mark.parametrize("case,kind", ALL, ids=IDS)
@pytest.mark.filterwarnings("ignore")
def test_a_schedule_is_equal_and_goes_on_on_the_other_side(ours, case, kind):
    texts, folder = ours
    name = f"{case[0]}-{kind}"
    plateau = case[0].startswith("Plateau")

    def make():
        o = groups_of(kind)
        return o, eval(case[1], {"s": lr_scheduler, "o": o})

    o, scheduler = make()
    same(trace(o, scheduler, 1, STEPS // 2, plateau), json.loads(texts[f"{name}/trace"]))
    expected = state_of(scheduler.state_dict())
    same_state({key: value for key, value in expected.items() if value != "None"}, json.loads(texts[f"{name}/state"]))
    rest = trace(o, scheduler, STEPS // 2 + 1, STEPS, plateau)
    same(rest, json.loads(texts[f"{name}/rest"]))
    same(rest, json.loads(texts[f"{name}/resumed"]))
    o, scheduler = make()
    saved = torch.load(folder / f"{name}.lua.pt")
    same_state(expected, state_of(saved["s"]))
    o.load_state_dict(saved["o"])
    scheduler.load_state_dict(saved["s"])
    same(rest, trace(o, scheduler, STEPS // 2 + 1, STEPS, plateau))


EPOCHS = [3, 1, 7, 12, 5, 20, 0, 2]
CLOSED = [case for case in CASES if case[0] in ("Step", "StepGamma", "MultiStep", "Constant", "LinearSet", "Exponential",
                                                "PolynomialSet", "CosineMin", "RestartsMult", "Restarts", "Lambda", "Cyclic")]


@pytest.mark.filterwarnings("ignore")
def test_an_epoch_given_to_step_takes_the_closed_form(trainhost):
    code = exact.LUA + PRELUDE
    for case in CLOSED:
        code += (f"do\n{lua_setup('SGD', case)}say('{case[0]}', json.encode(trace(o, scheduler, 1, {len(EPOCHS)}, false, "
                 f"{exact.lua_value(EPOCHS)})))\nend\n")
    texts = exact.read(trainhost.lua(code))
    for case in CLOSED:
        o = groups_of("SGD")
        same(trace(o, eval(case[1], {"s": lr_scheduler, "o": o}), 1, len(EPOCHS), False, EPOCHS), json.loads(texts[case[0]]))


def test_every_class_of_pytorch_is_there_with_its_arguments(trainhost):
    import inspect
    classes = {name: getattr(lr_scheduler, name) for name in lr_scheduler.__all__ if name != "LRScheduler"}
    listing = exact.read(trainhost.lua(exact.LUA + """
local entry = require "host.help.entry"
for name in ("%s"):gmatch("%%S+") do
  local it = entry.of("torch.optim.lr_scheduler." .. name, torch.optim.lr_scheduler[name])
  local names = {}
  for i, p in ipairs(it.params or {}) do names[i] = p.name end
  say(name, table.concat(names, " "))
end
""" % " ".join(classes)))
    for name, cls in classes.items():
        assert listing[name].split() == list(inspect.signature(cls).parameters), name


def test_warnings_are_pythons(trainhost, tmp_path):
    import warnings
    script = tmp_path / "warns.lua"
    script.write_text("""
local torch = require "torch"
local s = torch.optim.lr_scheduler
local function optimizer() return torch.optim.SGD({torch.zeros(2, {requires_grad = true})}, {lr = 1.0}) end
local early, good, replaced = s.StepLR(optimizer(), 2), s.StepLR(optimizer(), 2), s.StepLR(optimizer(), 2)
early:step()
good.optimizer:step()
good:step()
replaced.optimizer.step = function() end
replaced:step()
good:step(4)
good:get_lr()
""")
    done = trainhost.run(script)
    told = [line.split(": ", 2)[2] for line in done.stderr.splitlines() if line.startswith("warning: ")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def optimizer():
            return torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=1.0)

        early, good, replaced = (lr_scheduler.StepLR(optimizer(), 2) for _ in range(3))
        early.step()
        good.optimizer.step()
        good.step()
        replaced.optimizer.step = lambda: None
        replaced.step()
        good.step(4)
        good.get_lr()
    assert told == [str(warning.message) for warning in caught]
    assert len(told) == 4
