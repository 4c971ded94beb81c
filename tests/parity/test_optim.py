# Optimizers against PyTorch's with fused=True, bit for bit after every step, over their option sets.
import exact
import pytest
import torch
from torch import nn

OPTIONS = {
    "SGD": [
        {"lr": 0.1}, {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"lr": 0.05, "weight_decay": 0.1, "maximize": True}, {"lr": 0.05, "momentum": 0.5, "maximize": True},
    ],
    "Adam": [
        {}, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4}, {"weight_decay": 0.1}, {"amsgrad": True, "lr": 0.01},
        {"amsgrad": True, "maximize": True, "weight_decay": 0.01}, {"decoupled_weight_decay": True, "weight_decay": 0.1},
    ],
    "AdamW": [
        {}, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4}, {"weight_decay": 0}, {"amsgrad": True, "lr": 0.01},
        {"maximize": True, "amsgrad": True},
    ],
}
CASES = [(rule, i) for rule, sets in OPTIONS.items() for i in range(len(sets))]
SHAPES = [(7, 5), (11,), (3, 4, 2), (), (16, 3, 3, 3)]
STEPS = 6

# Parameter 1 has no gradient in step 2, parameter 3 none before step 3, both kinds of dtype are there.
LUA = """
do
  torch.manual_seed(1)
  local params = {}
  for i, shape in ipairs{{7, 5}, {11}, {3, 4, 2}, {}, {16, 3, 3, 3}} do
    params[i] = nn.Parameter(torch.randn(shape, {dtype = i == 3 and torch.float64 or torch.float32}))
  end
  local opt = torch.optim.%(rule)s(params, %(options)s)
  for step = 0, %(steps)d - 1 do
    for i, p in ipairs(params) do
      p.grad = torch.randn(p.shape, {dtype = p.dtype})
      if i == 2 and step == 2 or i == 4 and step < 3 then p.grad = nil end
    end
    opt:step()
    for i, p in ipairs(params) do dump("%(name)s/" .. step .. "/" .. i - 1, p) end
  end
  for i, state in pairs(opt:state_dict().state) do
    for key, value in pairs(state) do dump("%(name)s/state/" .. i .. "/" .. key, value) end
  end
  say("%(name)s/text", opt)
end
"""


@pytest.fixture(scope="module")
def ours(trainhost):
    code = exact.LUA
    for rule, i in CASES:
        options = OPTIONS[rule][i]
        code += LUA % {"rule": rule, "options": exact.lua_value(options) if options else "nil", "name": f"{rule}{i}",
                       "steps": STEPS}
    return exact.read(trainhost.lua(code))


def run(rule, options):
    torch.manual_seed(1)
    params = [nn.Parameter(torch.randn(shape, dtype=torch.float64 if i == 2 else torch.float32))
              for i, shape in enumerate(SHAPES)]
    opt = getattr(torch.optim, rule)(params, **options, fused=True)
    for step in range(STEPS):
        for i, p in enumerate(params):
            p.grad = torch.randn(p.shape, dtype=p.dtype)
            if (i, step) == (1, 2) or (i == 3 and step < 3):
                p.grad = None
        # Fused SGD in PyTorch fails when one parameter of a group comes to its momentum later than another: the
        # same arithmetic without the late one, whose first step comes then.
        if rule == "SGD" and options.get("momentum"):
            for p in params:
                if p.grad is not None and "momentum_buffer" not in opt.state[p]:
                    alone = torch.optim.SGD([p], **options, fused=True)
                    alone.step()
                    opt.state[p]["momentum_buffer"] = alone.state[p]["momentum_buffer"]
                    p.grad = None
        opt.step()
        yield step, params, opt


@pytest.mark.parametrize("rule,i", CASES, ids=[f"{rule}-{i}" for rule, i in CASES])
def test_every_step_is_bit_equal(ours, rule, i):
    for step, params, opt in run(rule, OPTIONS[rule][i]):
        for k, p in enumerate(params):
            exact.same_bits(ours[f"{rule}{i}/{step}/{k}"], p)
    states = 0
    for k, state in opt.state_dict()["state"].items():
        for key, value in state.items():
            exact.same_bits(ours[f"{rule}{i}/state/{k}/{key}"], value)
            states += 1
    assert states == sum(name.startswith(f"{rule}{i}/state/") for name in ours)


@pytest.mark.parametrize("rule,i", CASES, ids=[f"{rule}-{i}" for rule, i in CASES])
def test_prints_as_pytorch_prints(ours, rule, i):
    opt = getattr(torch.optim, rule)([torch.zeros(1)], **OPTIONS[rule][i])
    assert ours[f"{rule}{i}/text"] == repr(opt)


def test_prints_groups_as_pytorch_prints(trainhost):
    code = exact.LUA + """
local a, b, c = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(2))
local adam = torch.optim.Adam({{params = {a}}, {params = {b}, lr = 1e-5, betas = {0.5, 0.75}, name = "head"}}, {lr = 0.1})
adam:add_param_group{params = {c}, weight_decay = 1}
say("adam", adam)
local sgd = torch.optim.SGD({{"a", a}, {"b.weight", b}}, {lr = torch.tensor(0.1), momentum = 0.9})
say("sgd", sgd)
torch.optim.lr_scheduler.StepLR(adam, 2)
say("scheduled", adam)
say("tensors", torch.optim.AdamW({c}, {lr = torch.tensor({0.5}), betas = {torch.tensor(0.5), torch.tensor(0.75)}}))
say("adafactor", torch.optim.Adafactor({{params = {a}}, {params = {b}}}))
say("lbfgs", torch.optim.LBFGS({a}))
"""
    got = exact.read(trainhost.lua(code))
    a, b, c = (nn.Parameter(torch.zeros(n)) for n in (1, 1, 2))
    adam = torch.optim.Adam([{"params": [a]}, {"params": [b], "lr": 1e-5, "betas": (0.5, 0.75), "name": "head"}], lr=0.1)
    adam.add_param_group({"params": [c], "weight_decay": 1})
    assert got["adam"] == repr(adam)
    assert got["sgd"] == repr(torch.optim.SGD([("a", a), ("b.weight", b)], lr=torch.tensor(0.1), momentum=0.9))
    torch.optim.lr_scheduler.StepLR(adam, 2)
    assert got["scheduled"] == repr(adam)
    assert got["tensors"] == repr(torch.optim.AdamW([c], lr=torch.tensor([0.5]),
                                                    betas=(torch.tensor(0.5), torch.tensor(0.75))))
    assert got["adafactor"] == repr(torch.optim.Adafactor([{"params": [a]}, {"params": [b]}]))
    assert got["lbfgs"] == repr(torch.optim.LBFGS([a]))


@pytest.mark.parametrize("rule, options", [("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {"amsgrad": True}), ("AdamW", {}),
                                           ("Adagrad", {}), ("RMSprop", {"momentum": 0.5}), ("Rprop", {}), ("Adam", {"foreach": True}),
                                           ("Adam", {"fused": True}), ("SGD", {"lr": 0.1, "fused": True})])
def test_a_parameter_twice_in_one_group_steps_twice_on_one_state(trainhost, tmp_path, rule, options):
    make = f"torch.optim.{rule}(params, {exact.lua_value(options)})"
    code = exact.LUA + f"""
torch.manual_seed(3)
local p, q = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(5))
local params = {{p, p, q}}
local opt = {make}
for step = 1, 4 do
  p.grad, q.grad = torch.randn(3, 4), torch.randn(5)
  opt:step()
  if step == 2 then  -- half of it there
    torch.save(opt:state_dict(), "{tmp_path}/lua.pt")
    local kept = opt:state_dict()
    opt = {make}
    opt:load_state_dict(kept)
  end
  dump("p" .. step, p) dump("q" .. step, q)
end
local dict, known, pairs_of = opt:state_dict(), {{}}, 0
say("params", table.concat(dict.param_groups[1].params, " "))
for index in pairs(dict.state) do known[#known + 1] = index end
table.sort(known)
say("states", table.concat(known, " "))
for param in pairs(opt.state) do pairs_of = pairs_of + 1 end
say("pairs", pairs_of)
"""
    done = trainhost.run("-e", code)
    got = exact.read(done.stdout)
    assert done.stderr.count("optimizer contains a parameter group with duplicate parameters; in future, this will cause "
                             "an error; see github.com/pytorch/pytorch/issues/40967 for more information") == 2
    torch.manual_seed(3)
    p, q = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(5))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        opt = getattr(torch.optim, rule)([p, p, q], **options)
        for step in range(1, 5):
            p.grad, q.grad = torch.randn(3, 4), torch.randn(5)
            opt.step()
            if step == 2:
                opt = getattr(torch.optim, rule)([p, p, q], **options)
                opt.load_state_dict(torch.load(tmp_path / "lua.pt"))
            exact.same_bits(got[f"p{step}"], p)
            exact.same_bits(got[f"q{step}"], q)
    dict_ = opt.state_dict()
    assert got["params"] == " ".join(map(str, dict_["param_groups"][0]["params"]))
    assert got["states"] == " ".join(map(str, sorted(dict_["state"])))
    assert got["pairs"] == str(len(opt.state))


def test_groups_have_their_own_hyperparameters_and_are_live(trainhost):
    code = exact.LUA + """
torch.manual_seed(2)
local a, b, c = nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2)
local opt = torch.optim.AdamW({{params = a:parameters()}, {params = b:parameters(), lr = 0.1, betas = {0.5, 0.9}}}, {lr = 0.01})
opt:add_param_group{params = c:parameters(), weight_decay = 0.5}
local x = torch.randn(5, 4)
for step = 1, 4 do
  if step == 3 then opt.param_groups[2].lr = 0.2 opt.param_groups[1].weight_decay = 0 end
  opt:zero_grad()
  opt:step(function()
    local loss = c(b(a(x))):pow(2):sum()
    loss:backward()
    return loss
  end)
end
for i, m in ipairs{a, b, c} do dump("weight" .. i, m.weight) end
local keys = {}
for key in pairs(opt:state_dict().param_groups[2]) do keys[#keys + 1] = key end
table.sort(keys)
say("keys", table.concat(keys, " "))
for i, group in ipairs(opt:state_dict().param_groups) do say("params" .. i, table.concat(group.params, " ")) end
"""
    got = exact.read(trainhost.lua(code))
    torch.manual_seed(2)
    a, b, c = nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2)
    opt = torch.optim.AdamW([{"params": a.parameters()}, {"params": b.parameters(), "lr": 0.1, "betas": (0.5, 0.9)}],
                            lr=0.01, fused=True)
    opt.add_param_group({"params": c.parameters(), "weight_decay": 0.5})
    x = torch.randn(5, 4)
    for step in range(1, 5):
        if step == 3:
            opt.param_groups[1]["lr"] = 0.2
            opt.param_groups[0]["weight_decay"] = 0
        opt.zero_grad()
        c(b(a(x))).pow(2).sum().backward()
        opt.step()
    for i, m in enumerate((a, b, c), 1):
        exact.same_bits(got[f"weight{i}"], m.weight)
    groups = opt.state_dict()["param_groups"]
    assert got["keys"].split() == sorted(key for key in groups[1] if key not in ("foreach", "fused"))
    for i, group in enumerate(groups, 1):
        assert got[f"params{i}"].split() == [str(n) for n in group["params"]]


@pytest.mark.parametrize("norm_type,max_norm", [(2.0, 0.5), (1.0, 3.0), (float("inf"), 0.1), (2.0, 1e6)])
def test_clipping_is_bit_equal(trainhost, norm_type, max_norm):
    code = exact.LUA + """
torch.manual_seed(4)
local params = {}
for i, shape in ipairs{{7, 5}, {11}, {3, 4, 2}} do
  params[i] = nn.Parameter(torch.zeros(shape))
  params[i].grad = torch.randn(shape)
end
params[4] = nn.Parameter(torch.zeros(2))
dump("norm", nn.utils.clip_grad_norm_(params, %s, {norm_type = %s}))
for i = 1, 3 do dump("grad" .. i, params[i].grad) end
nn.utils.clip_grad_value_(params, 0.05)
for i = 1, 3 do dump("value" .. i, params[i].grad) end
""" % (max_norm, "math.huge" if norm_type == float("inf") else norm_type)
    got = exact.read(trainhost.lua(code))
    torch.manual_seed(4)
    params = []
    for shape in [(7, 5), (11,), (3, 4, 2)]:
        params.append(nn.Parameter(torch.zeros(shape)))
        params[-1].grad = torch.randn(shape)
    params.append(nn.Parameter(torch.zeros(2)))
    exact.same_bits(got["norm"], nn.utils.clip_grad_norm_(params, max_norm, norm_type))
    for i in range(3):
        exact.same_bits(got[f"grad{i + 1}"], params[i].grad)
    nn.utils.clip_grad_value_(params, 0.05)
    for i in range(3):
        exact.same_bits(got[f"value{i + 1}"], params[i].grad)
