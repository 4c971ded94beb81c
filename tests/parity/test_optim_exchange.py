# Optimizers across the two languages and off the usual path: half a training here and half there, groups, complex and
# double parameters, sparse gradients, differentiable steps, hooks' effects, refusals with PyTorch's words.
import pytest
import torch
from exchange import Exchange, difference
from test_optim_db import CASES, PRELUDE, closed, lua, make, run, sparse_kind, states_of, twin

HALF = 25
# Where each optimizer's options differ most from its defaults: the last ones of its list, on each path.
SWAPS = [case for case in CASES if not case[3].step_requires_closure]
PLAIN = [case for case in CASES if case[1].endswith("-default")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("swaps")


@pytest.fixture(scope="module")
def ours(trainhost, folder):
    """Half of each training in Python, then its rest in Lua; and half in Lua, saved for Python."""
    exchange = Exchange(folder)
    for name, label, kwargs, info in SWAPS:
        sparse = sparse_kind(info)
        _, opt, params, _ = run(info, twin(info, kwargs), HALF, sparse)
        torch.save({"opt": opt.state_dict(), "params": [p.detach() for p in params], "rng": torch.get_rng_state()},
                   folder / f"{label}.python.pt")
        kind = {True: "true", False: "false", "matrices": '"matrices"'}[sparse]
        exchange.case(label, PRELUDE + f"""
local _, first, begun = steps_of({make(exchange, name, kwargs)}, {HALF}, {kind})
local kept = {{}}
for i, p in ipairs(begun) do kept[i] = p:detach():clone() end
torch.save({{opt = first:state_dict(), params = kept, rng = torch.get_rng_state()}}, "{folder}/{label}.lua.pt")
local saved = torch.load("{folder}/{label}.python.pt")
local _, opt, params, step_once = steps_of({make(exchange, name, {})}, 0, {kind})
for i, p in ipairs(params) do p.data:copy_(saved.params[i]) end
opt:load_state_dict(saved.opt)
torch.set_rng_state(saved.rng)
for _ = 1, {HALF} do step_once() end
local flat = {{}}
for i, p in ipairs(params) do flat[i] = p:detach():reshape(-1) end
return torch.cat(flat), states_of(opt)""")
    return exchange.run(trainhost)


@pytest.mark.parametrize("name,label,kwargs,info", SWAPS, ids=[case[1] for case in SWAPS])
def test_half_there_and_half_here_is_the_whole(ours, folder, name, label, kwargs, info):
    sparse = sparse_kind(info)
    seen, opt, *_ = run(info, twin(info, kwargs), 2 * HALF, sparse)
    assert ours[label].error is None, ours[label].error
    # What was chosen for nobody goes on with the kernels of the side that goes on.
    exact = twin(info, kwargs) == kwargs or "Tensor" in str(kwargs)
    tolerance = 0.0 if exact else 2e-6
    expected = [seen[-1], states_of(opt)]
    text = difference(expected, ours[label].values, rtol=tolerance, atol=tolerance)
    assert text is None, f"from Python to Lua: {text}"
    saved = torch.load(folder / f"{label}.lua.pt")
    _, opt, params, step_once = run(info, {}, 0, sparse)
    with torch.no_grad():
        for p, kept in zip(params, saved["params"]):
            p.copy_(kept)
    opt.load_state_dict(saved["opt"])
    torch.set_rng_state(saved["rng"])
    for _ in range(HALF):
        step_once()
    text = difference(expected, [torch.cat([p.detach().reshape(-1) for p in params]), states_of(opt)], rtol=tolerance,
                      atol=tolerance)
    assert text is None, f"from Lua to Python: {text}"


MORE = [(name, info) for name, label, kwargs, info in PLAIN if label.split("-")[1] == "0"]


@pytest.fixture(scope="module")
def more(trainhost, tmp_path_factory):
    exchange = Exchange(tmp_path_factory.mktemp("more"))
    for name, info in MORE:
        if not info.step_requires_closure:
            kind = {True: "true", False: "false", "matrices": '"matrices"'}[sparse_kind(info)]
            for dtype in DTYPES:
                if supports(info, dtype):
                    for way in ways(info):
                        exchange.case(f"{name}-{dtype}-{way}", PRELUDE + f"""
local seen = steps_of({make(exchange, name, kwargs_of(name, dtype, way))}, 12, {kind}, {dtype})
return torch.view_as_real(seen)""" if dtype.is_complex else PRELUDE + f"""
return (steps_of({make(exchange, name, kwargs_of(name, dtype, way))}, 12, {kind}, {dtype}))""")
        if "differentiable" in info.supported_impls:
            exchange.case(f"{name}-differentiable", f"""
torch.manual_seed(5)
local leaf, gradient = torch.randn(4, 3, {{requires_grad = true}}), torch.randn(4, 3, {{requires_grad = true}})
local p = leaf:clone()
local opt = torch.optim.{name}({{p}}, {lua(exchange, OPTIONS.get(name, {}) | {"differentiable": True})})
p.grad = gradient
opt:step()
local weights = torch.linspace(0.5, 1.5, 12):reshape(4, 3)
(p * weights):sum():backward()
return p:detach(), gradient.grad, leaf.grad""".replace("\n(p *", "\n;(p *"))
    for name in ("SGD", "Adagrad"):
        for foreach in (None, False, True):
            way = {} if foreach is None else {"foreach": foreach}
            exchange.case(f"{name}-sparse-{foreach}", PRELUDE + f"""
return (steps_of({make(exchange, name, {"lr": 0.1} | way)}, 12, true))""")
    return exchange.run(trainhost)


DTYPES = [torch.float64, torch.complex64, torch.bfloat16, torch.float16]
OPTIONS = {"SGD": {"momentum": 0.9, "weight_decay": 0.1}, "RMSprop": {"momentum": 0.5, "centered": True},
           "Adam": {"amsgrad": True, "weight_decay": 0.1}, "NAdam": {"weight_decay": 0.1}}


def kwargs_of(name, dtype, way):
    kwargs = OPTIONS.get(name, {}) | way
    # Of float16's own 0 there is nothing to compare: all is NaN.
    return kwargs | {"eps": 1e-3} if dtype == torch.float16 and name not in ("SGD", "ASGD", "Rprop", "Adafactor") else kwargs


def supports(info, dtype):
    if dtype.is_complex:
        return info.supports_complex and not info.step_requires_closure
    return info.optim_cls.__name__ not in ("Muon", "SparseAdam") or dtype == torch.float64


def ways(info):
    return [{}, {"foreach": False}, {"foreach": True}] if "foreach" in info.supported_impls else [{}]


@pytest.mark.parametrize("name,info", MORE, ids=[name for name, _ in MORE])
def test_dtypes_and_differentiable_steps(more, name, info):
    for dtype in DTYPES:
        if info.step_requires_closure or not supports(info, dtype):
            continue
        for way in ways(info):
            label = f"{name}-{dtype}-{way}"
            kwargs = kwargs_of(name, dtype, way)
            if dtype == torch.float64:  # unasked, others are not fused: as in Python
                kwargs = twin(info, kwargs)
            seen = run(info, kwargs, 12, sparse_kind(info), dtype)[0]
            assert seen.isfinite().all(), f"{label}: there is nothing to compare"
            assert more[label].error is None, more[label].error
            text = difference([torch.view_as_real(seen) if dtype.is_complex else seen], more[label].values)
            assert text is None, f"{label}: {text}"
    if "differentiable" in info.supported_impls:
        torch.manual_seed(5)
        leaf, gradient = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
        p = leaf.clone()
        opt = info.optim_cls([p], **OPTIONS.get(name, {}), differentiable=True)
        p.grad = gradient
        opt.step()
        (p * torch.linspace(0.5, 1.5, 12).reshape(4, 3)).sum().backward()
        got = more[f"{name}-differentiable"]
        assert got.error is None, got.error
        text = difference([p.detach(), gradient.grad, leaf.grad], got.values)
        assert text is None, text


@pytest.mark.parametrize("name", ["SGD", "Adagrad"])
def test_sparse_gradients(more, name):
    for foreach in (None, False, True):
        torch.manual_seed(5)
        params = [torch.nn.Parameter(torch.randn(shape)) for shape in [(7, 5), (11,), (3, 4, 2), (1,)]]
        opt = getattr(torch.optim, name)(params, lr=0.1, foreach=foreach)
        seen = []
        for _ in range(12):
            for p in params:
                torch.randn(p.shape)
                at = torch.randint(0, p.shape[0], (1, 3))
                p.grad = torch.sparse_coo_tensor(at, torch.randn((3, *p.shape[1:])), p.shape)
            opt.step()
            seen.append(torch.cat([p.detach().reshape(-1) for p in params]))
        got = more[f"{name}-sparse-{foreach}"]
        assert got.error is None, got.error
        text = difference([torch.stack(seen)], got.values)
        assert text is None, f"{foreach}: {text}"


@pytest.mark.parametrize("way", [{}, {"foreach": False}, {"foreach": True}], ids=["default", "single", "foreach"])
@pytest.mark.parametrize("lr", ["torch.tensor(0.3)", "torch.tensor([0.3])", "torch.tensor(0.3, dtype=torch.float64)"])
def test_adafactor_steps_by_a_tensor_rate_as_pytorch(trainhost, tmp_path, way, lr):
    """The first steps go by the rate, which is the smaller one, the later ones by 1 / sqrt(step)."""
    info = next(case[3] for case in CASES if case[0] == "Adafactor")
    exchange = Exchange(tmp_path)
    kwargs = {"lr": eval(lr), "weight_decay": 0.1} | way
    for dtype in (torch.float32, torch.float64):
        exchange.case(str(dtype), PRELUDE + f"""
return (steps_of({make(exchange, "Adafactor", kwargs)}, 20, false, {dtype}))""")
    got = exchange.run(trainhost)
    for dtype in (torch.float32, torch.float64):
        seen = run(info, kwargs, 20, False, dtype)[0]
        assert got[str(dtype)].error is None, got[str(dtype)].error
        text = difference([seen], got[str(dtype)].values)
        assert text is None, f"{dtype}: {text}"


@pytest.mark.parametrize("foreach", [False, True])
def test_asgd_goes_on_with_states_in_double(trainhost, tmp_path, foreach):
    """A loaded state has the parameter's dtype; what a step writes to it is of the default dtype all the same."""
    info = next(case[3] for case in CASES if case[0] == "ASGD")
    kwargs = {"lr": 0.1, "lambd": 0.01, "t0": 3, "foreach": foreach}
    exchange = Exchange(tmp_path)
    exchange.case("asgd", PRELUDE + f"""
local _, opt, params, step_once = steps_of({make(exchange, "ASGD", kwargs)}, 5, false, torch.float64)
opt:load_state_dict(opt:state_dict())
for _ = 1, 10 do step_once() end
local flat = {{}}
for i, p in ipairs(params) do flat[i] = p:detach():reshape(-1) end
return torch.cat(flat), states_of(opt)""")
    got = exchange.run(trainhost)["asgd"]
    assert got.error is None, got.error
    _, opt, params, step_once = run(info, kwargs, 5, False, torch.float64)
    opt.load_state_dict(opt.state_dict())
    for _ in range(10):
        step_once()
    assert opt.state[params[0]]["eta"].dtype == torch.float64
    text = difference([torch.cat([p.detach().reshape(-1) for p in params]), states_of(opt)], got.values)
    assert text is None, text


def test_lbfgs_goes_on_on_the_other_side(trainhost, tmp_path):
    info = next(case[3] for case in CASES if case[0] == "LBFGS")
    options = {"line_search_fn": "strong_wolfe", "max_iter": 4}
    _, flat, opt = closed(info, options, 3)
    losses, end, _ = closed(info, options, 6)
    torch.save({"opt": opt.state_dict(), "flat": flat}, tmp_path / "python.pt")
    exchange = Exchange(tmp_path)
    exchange.case("lbfgs", PRELUDE + f"""
local _, flat, first = closed({make(exchange, "LBFGS", options)}, 3)
torch.save({{opt = first:state_dict(), flat = flat}}, "{tmp_path}/lua.pt")
local saved = torch.load("{tmp_path}/python.pt")
local losses, ended = closed(function(params)
  torch.nn.utils.vector_to_parameters(saved.flat, params)
  local opt = {f"torch.optim.LBFGS"}(params)
  opt:load_state_dict(saved.opt)
  return opt
end, 3)
return losses, ended""")
    got = exchange.run(trainhost)["lbfgs"]
    assert got.error is None, got.error
    text = difference([losses[3:], end], got.values)
    assert text is None, text
    saved = torch.load(tmp_path / "lua.pt")

    def resumed(params, **_):
        params = list(params)
        with torch.no_grad():
            torch.nn.utils.vector_to_parameters(saved["flat"], params)
        opt = torch.optim.LBFGS(params)
        opt.load_state_dict(saved["opt"])
        return opt

    class There:
        optim_cls = staticmethod(resumed)

    again, there, _ = closed(There, {}, 3)
    assert difference([losses[3:], end], [again, there]) is None
