# torch.optim.swa_utils against PyTorch's: averages of parameters and buffers, batch normalization, SWALR.
import exact
import json
import pytest
import torch
from torch import nn
from torch.optim import swa_utils
from test_lr_scheduler import PRELUDE, groups_of, lua_setup, same, same_state, state_of, trace

WAYS = {
    "mean": ("", {}),
    "avg_fn": ("avg_fn = u.get_ema_avg_fn(0.9)", {"avg_fn": swa_utils.get_ema_avg_fn(0.9)}),
    "swa": ("avg_fn = u.get_swa_avg_fn()", {"avg_fn": swa_utils.get_swa_avg_fn()}),
    "multi": ("multi_avg_fn = u.get_swa_multi_avg_fn()", {"multi_avg_fn": swa_utils.get_swa_multi_avg_fn()}),
    "ema": ("multi_avg_fn = u.get_ema_multi_avg_fn(0.8)", {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.8)}),
    "buffers": ("use_buffers = true", {"use_buffers": True}),
    "ema buffers": ("multi_avg_fn = u.get_ema_multi_avg_fn(), use_buffers = true",
                    {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(), "use_buffers": True}),
    "own": ("avg_fn = function(a, p, n) return a * 0.3 + p * 0.7 + n end", {"avg_fn": lambda a, p, n: a * 0.3 + p * 0.7 + n}),
}


@pytest.mark.parametrize("way", WAYS)
def test_averages_are_bit_equal(trainhost, way):
    options = WAYS[way][0]
    got = exact.read(trainhost.lua(exact.LUA + f"""
local u = torch.optim.swa_utils
torch.manual_seed(3)
local model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
local averaged = u.AveragedModel(model, {{{options}}})
local opt = torch.optim.SGD(model:parameters(), {{lr = 0.1, foreach = false}})
for step = 1, 4 do
  opt:zero_grad()
  model(torch.randn(5, 4)):pow(2):sum():backward()
  opt:step()
  averaged:update_parameters(model)
end
local keys = {{}}
for key, value in pairs(averaged:state_dict()) do
  keys[#keys + 1] = key
  dump(key, value)
end
say("keys", table.concat(keys, " "))
local batches = {{}}
for i = 1, 3 do batches[i] = {{torch.randn(6, 4), torch.zeros(6)}} end
u.update_bn(batches, averaged)
for key, value in pairs(averaged:state_dict()) do dump("bn/" .. key, value) end
averaged:eval()
dump("out", averaged(torch.ones(2, 4)))
say("momentum", averaged.module[1].momentum)
"""))
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    averaged = swa_utils.AveragedModel(model, **WAYS[way][1])
    opt = torch.optim.SGD(model.parameters(), lr=0.1, foreach=False)
    for _ in range(4):
        opt.zero_grad()
        model(torch.randn(5, 4)).pow(2).sum().backward()
        opt.step()
        averaged.update_parameters(model)
    assert sorted(got["keys"].split()) == sorted(averaged.state_dict())
    for key, value in averaged.state_dict().items():
        exact.same_bits(got[key], value)
    swa_utils.update_bn([[torch.randn(6, 4), torch.zeros(6)] for _ in range(3)], averaged)
    for key, value in averaged.state_dict().items():
        exact.same_bits(got["bn/" + key], value)
    averaged.eval()
    exact.same_bits(got["out"], averaged(torch.ones(2, 4)))
    assert got["momentum"] == "0.1"


SCHEDULES = [("cos", "u.SWALR(o, 0.05)", "u.SWALR(o, 0.05)"),
             ("linear", "u.SWALR(o, [0.05, 0.3], anneal_epochs=5, anneal_strategy='linear')", None),
             ("at once", "u.SWALR(o, swa_lr=0.5, anneal_epochs=0)", None)]


@pytest.mark.filterwarnings("ignore")
def test_swalr_is_traced(trainhost):
    code = exact.LUA + PRELUDE + "local u = torch.optim.swa_utils\n"
    for case in SCHEDULES:
        code += (f"do\n{lua_setup('SGD', case)}say('{case[0]}', json.encode(trace(o, scheduler, 1, 14)))\n"
                 f"say('{case[0]}/state', json.encode(flat(scheduler:state_dict())))\nend\n")
    got = exact.read(trainhost.lua(code))
    for case in SCHEDULES:
        o = groups_of("SGD")
        scheduler = eval(case[1], {"u": swa_utils, "o": o})
        same(trace(o, scheduler, 1, 14, False), json.loads(got[case[0]]))
        same_state(state_of(scheduler.state_dict()), json.loads(got[case[0] + "/state"]))
