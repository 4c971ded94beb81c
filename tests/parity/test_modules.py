# Modules of torch.nn against PyTorch's: every class with the same constructor, and what it computes on PyTorch's own inputs.
import fnmatch
import inspect
import json
import math

import modules
import report as reports
import torch
from torch import nn

# Classes of torch.nn that Lua does not have, each with its reason.
SKIPPED = {
    "Container": "deprecated in PyTorch",
    "NLLLoss2d": "deprecated in PyTorch",
    "DataParallel": "replicas in threads, for which PyTorch itself points to DistributedDataParallel",
}
# Constructors whose arguments are any: Lua's takes what Python's does.
ANY = {"Identity", "Module", "Sequential", "Sigmoid", "Tanh", "LogSigmoid", "Softsign", "Softmax2d", "Tanhshrink"}

# Cases that are known to differ: (class, aspect, part of what is wrong) -> reason. An entry that no case needs is an error.
FAILURES = {
    ("nn.Embedding", "error", "num_embeddings"): "sizes are checked by their names before there is a tensor",
    ("nn.HuberLoss", "error", "got complex"): "the message names the type of Lua's value",
}

# What they are made of is a table by name, or a list: no keyword is unknown.
BY_NAME = {"ModuleDict", "ModuleList", "ParameterDict"}

# Modules that hold others: no input of their own; tests/lua/nn/containers.lua and test_nn.py are about them.
BASES = {"RNNBase", "RNNCellBase"}  # they have no forward
CONTAINERS = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"}

SIGNATURES = """
local torch, host = require "torch", require "host"
local entry = require "host.help.entry"
local out = {}
for name in io.lines(arg[1]) do
  local found, class = pcall(function() return torch.nn[name] end)
  if found then
    local it = entry.of("torch.nn." .. name, class)
    local params = {}
    for i, param in ipairs(it.params or {}) do
      params[i] = {name = param.name, default = param.default, keyword = param.keyword or false}
    end
    local refused, message = pcall(class, {no_such_keyword = 1})
    out[name] = {params = params, message = not refused and message.message or ""}
  end
end
print(host.json.encode(out))
"""


def classes():
    return {name: value for name in dir(nn) if isinstance(value := getattr(nn, name), type) and issubclass(value, nn.Module)}


def asked(trainhost, folder):
    (folder / "names.txt").write_text("\n".join(classes()) + "\n")
    (folder / "signatures.lua").write_text(SIGNATURES)
    return json.loads(trainhost.run(folder / "signatures.lua", "--", folder / "names.txt").stdout)


def default_in_lua(text):
    """The Python value of a default that Lua's signature has."""
    if text in (None, "nil"):
        return None
    if text in ("true", "false"):
        return text == "true"
    return () if text == "{}" else eval(text, {})


def same(ours, theirs):
    if isinstance(theirs, float):
        return isinstance(ours, (int, float)) and math.isclose(ours, theirs, rel_tol=0, abs_tol=0)
    return type(ours) is type(theirs) and ours == theirs


def test_every_class_is_there_with_the_same_constructor(trainhost, tmp_path, lines):
    ours = asked(trainhost, tmp_path)
    missing = [name for name in classes() if name not in ours and name not in SKIPPED]
    assert not missing
    assert not [name for name in SKIPPED if name in ours or not hasattr(nn, name)]
    wrong = []
    for name, answer in ours.items():
        if name in ANY:
            continue
        theirs = [p for p in list(inspect.signature(classes()[name].__init__).parameters.values())[1:]
                  if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        names = [param["name"] for param in answer["params"]]
        if not theirs:
            continue  # *args, **kwargs
        if names != [p.name for p in theirs]:
            wrong.append(f"{name}: {names} and not {[p.name for p in theirs]}")
            continue
        if f"expected one of {', '.join(names)}" not in answer["message"] and name not in BY_NAME:
            wrong.append(f"{name}: its parser takes other names: {answer['message']}")
        for param, p in zip(answer["params"], theirs):
            if bool(param["keyword"]) != (p.kind is p.KEYWORD_ONLY):
                wrong.append(f"{name}.{p.name}: by name alone")
            default = None if p.default is p.empty or callable(p.default) else p.default
            if (param.get("default") is None) != (p.default is p.empty) and name not in BY_NAME:
                wrong.append(f"{name}.{p.name}: must it be given?")
            if not same(default_in_lua(param.get("default")), default):
                wrong.append(f"{name}.{p.name}: default {param.get('default')} and not {p.default}")
    assert not wrong, "\n".join(wrong)
    lines.append(f"torch.nn: {len(ours)} of {len(classes())} classes, {len(SKIPPED)} skipped")


def test_the_classes_beside_modules_are_there(trainhost):
    names = [name for name in dir(nn) if isinstance(value := getattr(nn, name), type) and not issubclass(value, nn.Module)]
    assert "Parameter" in names
    trainhost.lua("local nn = require('torch').nn\n" + "".join(f"assert(nn.{name})\n" for name in names))


def test_what_modules_compute_is_equal(module_report):
    wrong = [outcome for outcome in module_report.outcomes if outcome.wrong and reason(outcome) is None]
    causes = sorted({f"{outcome.operator}: {reports.cause(outcome)}" for outcome in wrong})
    assert not wrong, f"{len(wrong)} of {len(module_report.outcomes)}; build/test/module_failures.txt\n" + "\n".join(causes[:40])


def reason(outcome):
    for key in FAILURES:
        name, aspect, text = key
        if fnmatch.fnmatch(outcome.operator, name) and fnmatch.fnmatch(outcome.aspect, aspect) and text in outcome.wrong:
            return key
    return None


def test_what_is_expected_to_differ_still_does(module_report):
    needed = {reason(outcome) for outcome in module_report.outcomes if outcome.wrong}
    assert not set(FAILURES) - needed


def test_every_class_is_run_in_training_and_evaluation(module_report, trainhost, tmp_path):
    ran = {}
    for outcome in module_report.outcomes:
        ran.setdefault(outcome.operator.removeprefix("nn."), set()).add(outcome.aspect)
    idle = [name for name in asked(trainhost, tmp_path)
            if name not in CONTAINERS | BASES and not {"train", "eval"} <= ran.get(name, set())]
    assert not idle


def test_few_inputs_have_no_lua_form(module_report):
    assert not module_report.untranslatable, module_report.untranslatable.most_common(20)
    dropped = reports.drops(module_report)
    assert set(dropped) <= {"an error of the database that Python does not raise", "the error is one of Python's language"}
    assert sum(dropped.values()) < 10, dropped
