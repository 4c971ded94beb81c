# torch.amp.GradScaler against Python's, over steps of which some meet an infinity; custom_fwd and custom_bwd.
import pytest
import torch
from exchange import Exchange

STEPS = 50
INFINITE = {3, 4, 11, 12, 13, 30}  # steps whose loss overflows
NAN = {20}
OPTIMIZERS = {"SGD": "lr = 0.05, momentum = 0.9", "Adam": "lr = 0.05", "AdamW": "lr = 0.05"}

LUA = """
local w, b = %s, %s
w:requires_grad_() b:requires_grad_()
local opt = torch.optim.%s({w, b}, {%s})
local scaler = torch.amp.GradScaler("cpu", {init_scale = 1024.0, growth_interval = 4})
local infinite, nan = {%s}, {%s}
local scales, trackers = {}, {}
for step = 0, %d do
  opt:zero_grad()
  local loss = (torch.tanh(w) * b):pow(2):sum()
  if infinite[step] then loss = loss * math.huge end
  if nan[step] then loss = loss * (0 / 0) end
  scaler:scale(loss):backward()
  if step %% 7 == 5 then
    scaler:unscale_(opt)
    torch.nn.utils.clip_grad_norm_({w, b}, 1.0)
  end
  if step == 25 then
    local state = scaler:state_dict()
    scaler:load_state_dict(state)
  end
  scaler:step(opt)
  if step == 40 then scaler:update(256.0) else scaler:update() end
  scales[#scales + 1], trackers[#trackers + 1] = scaler:get_scale(), scaler:state_dict()._growth_tracker
end
return w:detach(), b:detach(), scales, trackers
"""


def python(w, b, name):
    w, b = w.clone().requires_grad_(), b.clone().requires_grad_()
    options = {"lr": 0.05} | ({"momentum": 0.9} if name == "SGD" else {})
    opt = getattr(torch.optim, name)([w, b], fused=True, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=4)
    scales, trackers = [], []
    for step in range(STEPS):
        opt.zero_grad()
        loss = (torch.tanh(w) * b).pow(2).sum()
        if step in INFINITE:
            loss = loss * float("inf")
        if step in NAN:
            loss = loss * float("nan")
        scaler.scale(loss).backward()
        if step % 7 == 5:
            scaler.unscale_(opt)
            torch.nn.utils.clip_grad_norm_([w, b], 1.0)
        scaler.step(opt)
        scaler.update(256.0 if step == 40 else None)
        scales.append(scaler.get_scale())
        trackers.append(scaler.state_dict()["_growth_tracker"])
    return w.detach(), b.detach(), scales, trackers


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_grad_scaler_takes_pythons_steps(tmp_path, trainhost, name):
    torch.manual_seed(3)
    w, b = torch.randn(4, 3), torch.randn(3)
    exchange = Exchange(tmp_path)
    places = [exchange.tensor(x) for x in (w, b)]
    table = [", ".join(f"[{i}] = true" for i in sorted(steps)) for steps in (INFINITE, NAN)]
    exchange.case("steps", LUA % (*places, name, OPTIMIZERS[name], *table, STEPS - 1))
    result = exchange.run(trainhost)["steps"]
    assert result.error is None, result.error
    expected_w, expected_b, scales, trackers = python(w, b, name)
    assert result.values[2] == scales
    assert result.values[3] == trackers
    assert len(set(scales)) >= 5  # it shrank, grew and was set
    torch.testing.assert_close(result.values[0], expected_w, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(result.values[1], expected_b, rtol=1e-6, atol=1e-7)


ERRORS = {  # Lua -> Python, or the text where Python's names a class of its own
    "local s = torch.amp.GradScaler('cpu') s:step(opt)": lambda opt: torch.amp.GradScaler("cpu").step(opt),
    "torch.amp.GradScaler('cpu'):update()": lambda opt: torch.amp.GradScaler("cpu").update(),
    "torch.amp.GradScaler('cpu'):unscale_(opt)": lambda opt: torch.amp.GradScaler("cpu").unscale_(opt),
    "torch.amp.GradScaler('cpu', {growth_factor = 1.0})": lambda opt: torch.amp.GradScaler("cpu", growth_factor=1.0),
    "torch.amp.GradScaler('cpu', {backoff_factor = 1.0})": lambda opt: torch.amp.GradScaler("cpu", backoff_factor=1.0),
    "torch.amp.GradScaler('cpu'):load_state_dict{}": lambda opt: torch.amp.GradScaler("cpu").load_state_dict({}),
    "torch.amp.GradScaler('cpu'):scale(3)": lambda opt: torch.amp.GradScaler("cpu").scale(3),
    "torch.amp.custom_fwd(print, {device_type = 3})": "Expected `device_type` of type `str`, got: `number 3`",
    "torch.amp.custom_bwd(print, {device_type = 3})": "Expected `device_type` of type `str`, got: `number 3`",
}


def test_misuse_is_pythons_error(tmp_path, trainhost):
    exchange = Exchange(tmp_path)
    for lua in ERRORS:
        exchange.case(lua, f"local opt = torch.optim.SGD({{torch.ones(1, {{requires_grad = true}})}}, {{lr = 0.1}})\n{lua}")
    results = exchange.run(trainhost)
    opt = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    for lua, call in ERRORS.items():
        if not isinstance(call, str):
            with pytest.raises((AssertionError, RuntimeError, ValueError)) as caught:
                call(opt)
            call = str(caught.value)
        assert results[lua].error == call
