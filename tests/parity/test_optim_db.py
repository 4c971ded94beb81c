# Every optimizer with every option set of PyTorch's own test database, against PyTorch after each of 50 steps: one
# parameter after another, foreach, fused and as the user gets it without choosing. And half a training on each side.
import pytest
import torch
from exchange import Exchange, difference
from torch.testing._internal.common_optimizers import optim_db

STEPS = 50
# Relative differences that are allowed, with the reason; all else is bit-equal.
TOLERANCES = {}

PRELUDE = """
local function steps_of(make, count, sparse, dtype)
  dtype = dtype or torch.float32
  X.seed()
  local params = {}
  for i, shape in ipairs(sparse == "matrices" and {{7, 5}, {4, 9}, {6, 6}} or {{7, 5}, {11}, {3, 4, 2}, {1}}) do
    params[i] = torch.nn.Parameter(torch.randn(shape, {dtype = dtype}))
  end
  local opt = make(params)
  local seen = {}
  local function step_once()
    for i, p in ipairs(params) do
      local noise = torch.randn(p.shape, {dtype = dtype})
      if sparse == true then
        local at = torch.randint(0, p.shape[1], {1, 3})
        p.grad = torch.sparse_coo_tensor(at, torch.randn({3, table.unpack(p.shape, 2)}, {dtype = dtype}), p.shape)
      else
        p.grad = noise + p:detach() * 0.3
      end
    end
    opt:step()
  end
  for step = 1, count do
    step_once()
    local flat = {}
    for i, p in ipairs(params) do flat[i] = p:detach():reshape(-1) end
    seen[step] = torch.cat(flat)
  end
  return count > 0 and torch.stack(seen) or nil, opt, params, step_once
end
local function states_of(opt)
  local list = {}
  local dict = opt:state_dict()
  for i = 0, 9 do
    local state = dict.state[i]
    if state then
      local names = {}
      for name in pairs(state) do names[#names + 1] = name end
      table.sort(names)
      for _, name in ipairs(names) do
        list[#list + 1] = name
        list[#list + 1] = state[name]
      end
    end
  end
  return list
end
local function closed(make, count)
  X.seed()
  local net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2))
  local x, y = torch.randn(12, 5), torch.randn(12, 2)
  local opt = make(net:parameters())
  local losses = {}
  for step = 1, count do
    losses[step] = opt:step(function()
      opt:zero_grad()
      local loss = torch.nn.functional.mse_loss(net(x), y)
      loss:backward()
      return loss
    end):item()
  end
  return losses, torch.nn.utils.parameters_to_vector(net:parameters()):detach(), opt
end
"""


def options():
    for info in optim_db:
        name = info.optim_cls.__name__
        for number, given in enumerate(info.optim_inputs_func(device="cpu")):
            kinds = [{}]
            if "foreach" in info.supported_impls:
                kinds += [{"foreach": False}]
                if not isinstance(given.kwargs.get("lr"), torch.Tensor) or name not in ("Adam", "AdamW"):
                    kinds += [{"foreach": True}]
            if "fused" in info.supported_impls:
                kinds += [{"fused": True}]
            for kind in kinds:
                if set(kind) & set(given.kwargs):
                    continue
                yield info, name, f"{name}-{number}-{'-'.join(f'{k}_{v}' for k, v in kind.items()) or 'default'}", {
                    **given.kwargs, **kind}


CASES = [(name, label, kwargs, info) for info, name, label, kwargs in options()]


def twin(info, kwargs):
    """What Python is given: fused where the default of trainhost is."""
    if "fused" in info.supported_impls and "foreach" not in kwargs and "fused" not in kwargs:
        if not isinstance(kwargs.get("lr"), torch.Tensor):
            return {**kwargs, "fused": True}
    return kwargs


def lua(exchange, kwargs):
    return "{" + ", ".join(f"{key} = {exchange.lua(value)}" for key, value in kwargs.items()) + "}"


def make(exchange, name, kwargs):
    return f"function(params) return torch.optim.{name}(params, {lua(exchange, kwargs)}) end"


def sparse_kind(info):
    if info.only_supports_sparse_grads:
        return True
    return "matrices" if info.optim_cls.__name__ == "Muon" else False


def run(info, kwargs, count, sparse, dtype=torch.float32):
    torch.manual_seed(5)
    shapes = [(7, 5), (4, 9), (6, 6)] if sparse == "matrices" else [(7, 5), (11,), (3, 4, 2), (1,)]
    params = [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in shapes]
    opt = info.optim_cls(params, **kwargs)
    seen = []

    def step_once():
        for p in params:
            noise = torch.randn(p.shape, dtype=dtype)
            if sparse is True:
                at = torch.randint(0, p.shape[0], (1, 3))
                p.grad = torch.sparse_coo_tensor(at, torch.randn((3, *p.shape[1:]), dtype=dtype), p.shape)
            else:
                p.grad = noise + p.detach() * 0.3
        opt.step()

    for _ in range(count):
        step_once()
        seen.append(torch.cat([p.detach().reshape(-1) for p in params]))
    return torch.stack(seen) if seen else None, opt, params, step_once


def closed(info, kwargs, count):
    torch.manual_seed(5)
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 2))
    x, y = torch.randn(12, 5), torch.randn(12, 2)
    opt = info.optim_cls(net.parameters(), **kwargs)

    def closure():
        opt.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
        return loss

    losses = [opt.step(closure).item() for _ in range(count)]
    return losses, torch.nn.utils.parameters_to_vector(net.parameters()).detach(), opt


def states_of(opt):
    out = []
    for _, state in sorted(opt.state_dict()["state"].items()):
        for name in sorted(state):
            out += [name, state[name]]
    return out


@pytest.fixture(scope="module")
def ours(trainhost, tmp_path_factory):
    exchange = Exchange(tmp_path_factory.mktemp("optim_db"))
    for name, label, kwargs, info in CASES:
        if info.step_requires_closure:
            body = f"local losses, flat = closed({make(exchange, name, kwargs)}, 20)\nreturn losses, flat"
        else:
            sparse = {True: "true", False: "false", "matrices": '"matrices"'}[sparse_kind(info)]
            body = (f"local seen, opt = steps_of({make(exchange, name, kwargs)}, {STEPS}, {sparse})\n"
                    "return seen, states_of(opt)")
        exchange.case(label, PRELUDE + body)
    return exchange.run(trainhost)


def check(expected, got, label):
    assert got.error is None, got.error
    rtol = TOLERANCES.get(label, 0.0)
    text = difference(expected, got.values, rtol=rtol, atol=rtol)
    assert text is None, text


def test_the_database_has_all_optimizers():
    named = {info.optim_cls.__name__ for info in optim_db}
    there = {name for name in dir(torch.optim) if isinstance(getattr(torch.optim, name), type)
             and issubclass(getattr(torch.optim, name), torch.optim.Optimizer)} - {"Optimizer"}
    assert named == there


@pytest.mark.parametrize("name,label,kwargs,info", CASES, ids=[case[1] for case in CASES])
def test_every_step_is_equal(ours, name, label, kwargs, info):
    kwargs = twin(info, kwargs)
    if info.step_requires_closure:
        losses, flat, _ = closed(info, kwargs, 20)
        check([losses, flat], ours[label], label)
    else:
        seen, opt, *_ = run(info, kwargs, STEPS, sparse_kind(info))
        check([seen, states_of(opt)], ours[label], label)
