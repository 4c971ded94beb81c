# Layers against PyTorch: initial weights, outputs and gradients bit for bit, printed text, state dicts, training.
import exact
import pytest
import torch
from torch import nn
from torch.nn import functional as F

# Lua expression, Python expression, shape of an input that it takes.
LAYERS = {
    "linear": ("nn.Linear(7, 5)", "nn.Linear(7, 5)", (3, 7)),
    "linear_no_bias": ("nn.Linear(7, 5, false)", "nn.Linear(7, 5, bias=False)", (3, 7)),
    "linear_f64": ("nn.Linear(7, 5, {dtype = torch.float64})", "nn.Linear(7, 5, dtype=torch.float64)", None),
    "conv": ("nn.Conv2d(3, 8, 3)", "nn.Conv2d(3, 8, 3)", (2, 3, 9, 9)),
    "conv_options": ("nn.Conv2d(4, 6, {3, 2}, {stride = {2, 1}, padding = {1, 0}, dilation = 2, groups = 2, bias = false})",
                     "nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=2, groups=2, bias=False)",
                     (2, 4, 11, 12)),
    "conv_same": ("nn.Conv2d(3, 4, 4, {padding = 'same', dilation = 2})",
                  "nn.Conv2d(3, 4, 4, padding='same', dilation=2)", (2, 3, 10, 10)),
    "conv_valid": ("nn.Conv2d(3, 4, 3, {padding = 'valid'})", "nn.Conv2d(3, 4, 3, padding='valid')", (2, 3, 10, 10)),
    "conv_reflect": ("nn.Conv2d(3, 4, 3, {padding = 1, padding_mode = 'reflect'})",
                     "nn.Conv2d(3, 4, 3, padding=1, padding_mode='reflect')", (2, 3, 10, 10)),
    "batch_norm1d": ("nn.BatchNorm1d(6)", "nn.BatchNorm1d(6)", (5, 6)),
    "batch_norm2d": ("nn.BatchNorm2d(3)", "nn.BatchNorm2d(3)", (4, 3, 5, 5)),
    "batch_norm_options": ("nn.BatchNorm2d(3, 1e-3, nil, false)", "nn.BatchNorm2d(3, 1e-3, None, False)", (4, 3, 5, 5)),
    "batch_norm_stateless": ("nn.BatchNorm2d(3, {track_running_stats = false})",
                             "nn.BatchNorm2d(3, track_running_stats=False)", (4, 3, 5, 5)),
    "layer_norm": ("nn.LayerNorm(7)", "nn.LayerNorm(7)", (4, 7)),
    "layer_norm_2d": ("nn.LayerNorm({3, 7}, {bias = false})", "nn.LayerNorm((3, 7), bias=False)", (4, 3, 7)),
    "embedding": ("nn.Embedding(10, 4)", "nn.Embedding(10, 4)", None),
    "embedding_padding": ("nn.Embedding(10, 4, {padding_idx = -2})", "nn.Embedding(10, 4, padding_idx=-2)", None),
    "dropout": ("nn.Dropout(0.3)", "nn.Dropout(0.3)", (6, 7)),
    "relu": ("nn.ReLU()", "nn.ReLU()", (4, 5)),
    "relu_inplace": ("nn.ReLU(true)", "nn.ReLU(True)", None),
    "sigmoid": ("nn.Sigmoid()", "nn.Sigmoid()", (4, 5)),
    "tanh": ("nn.Tanh()", "nn.Tanh()", (4, 5)),
    "gelu": ("nn.GELU()", "nn.GELU()", (4, 5)),
    "gelu_tanh": ("nn.GELU('tanh')", "nn.GELU('tanh')", (4, 5)),
    "softmax": ("nn.Softmax(-1)", "nn.Softmax(-1)", (4, 5)),
    "log_softmax": ("nn.LogSoftmax({dim = 1})", "nn.LogSoftmax(dim=1)", (4, 5)),
    "max_pool": ("nn.MaxPool2d(2)", "nn.MaxPool2d(2)", (2, 3, 9, 9)),
    "max_pool_options": ("nn.MaxPool2d(3, {stride = 2, padding = 1, ceil_mode = true})",
                         "nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)", (2, 3, 8, 8)),
    "avg_pool": ("nn.AvgPool2d({3, 2}, {stride = 1, count_include_pad = false, padding = 1})",
                 "nn.AvgPool2d((3, 2), stride=1, count_include_pad=False, padding=1)", (2, 3, 8, 8)),
    "adaptive_avg_pool": ("nn.AdaptiveAvgPool2d({3, 2})", "nn.AdaptiveAvgPool2d((3, 2))", (2, 3, 8, 8)),
    "flatten": ("nn.Flatten()", "nn.Flatten()", (2, 3, 4)),
    "flatten_dims": ("nn.Flatten(0, 1)", "nn.Flatten(0, 1)", (2, 3, 4)),
    "identity": ("nn.Identity()", "nn.Identity()", (2, 3)),
    "sequential": ("nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 3))",
                   "nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 3))", (4, 7)),
    "sequential_named": ("nn.Sequential{{'fc', nn.Linear(7, 16)}, {'act', nn.Tanh()}}",
                         "nn.Sequential(__import__('collections').OrderedDict([('fc', nn.Linear(7, 16)), ('act', nn.Tanh())]))",
                         (4, 7)),
    "module_list": ("nn.ModuleList{nn.Linear(2, 2), nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 3), nn.ReLU())}",
                    "nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 3), nn.ReLU())])", None),
    "module_dict": ("nn.ModuleDict{{'b', nn.Linear(2, 2)}, {'a', nn.ReLU()}}",
                    "nn.ModuleDict({'b': nn.Linear(2, 2), 'a': nn.ReLU()})", None),
    "nested": ("nn.Sequential(nn.Conv2d(1, 4, 3, {padding = 1}), nn.BatchNorm2d(4), "
               "nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), nn.Flatten(), nn.Dropout(0), nn.Linear(64, 3))",
               "nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), "
               "nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), nn.Flatten(), nn.Dropout(0), nn.Linear(64, 3))", (2, 1, 8, 8)),
    "loss_modules": ("nn.ModuleList{nn.CrossEntropyLoss(), nn.MSELoss(), nn.L1Loss(), nn.NLLLoss(), nn.BCEWithLogitsLoss()}",
                     "nn.ModuleList([nn.CrossEntropyLoss(), nn.MSELoss(), nn.L1Loss(), nn.NLLLoss(), nn.BCEWithLogitsLoss()])",
                     None),
}

LUA_LAYER = """
do
  torch.manual_seed(7)
  local m = %(make)s
  say("%(name)s/text", m)
  local keys = {}
  for key, value in pairs(m:state_dict()) do
    keys[#keys + 1] = key
    dump("%(name)s/state/" .. key, value)
  end
  say("%(name)s/keys", table.concat(keys, " "))
  %(forward)s
end
"""
LUA_FORWARD = """
  local x = torch.randn(%(shape)s):requires_grad_()
  local y = m(x)
  dump("%(name)s/out", y)
  y:pow(2):sum():backward()
  dump("%(name)s/grad", x.grad)
  for key, p in m:named_parameters() do dump("%(name)s/grad/" .. key, p.grad) end
  for key, b in m:named_buffers() do dump("%(name)s/buffer/" .. key, b) end
  m:eval()
  dump("%(name)s/eval", m(x))
"""


@pytest.fixture(scope="module")
def ours(trainhost):
    code = exact.LUA
    for name, (make, _, shape) in LAYERS.items():
        forward = "" if shape is None else LUA_FORWARD % {"shape": ", ".join(map(str, shape)), "name": name}
        code += LUA_LAYER % {"make": make, "name": name, "forward": forward}
    return exact.read(trainhost.lua(code))


def make(name):
    torch.manual_seed(7)
    return eval(LAYERS[name][1])


@pytest.mark.parametrize("name", LAYERS)
def test_initial_weights_are_bit_equal(ours, name):
    state = make(name).state_dict()
    assert ours[f"{name}/keys"].split() == list(state)
    for key, value in state.items():
        exact.same_bits(ours[f"{name}/state/{key}"], value)


@pytest.mark.parametrize("name", LAYERS)
def test_prints_as_pytorch_prints(ours, name):
    assert ours[f"{name}/text"] == repr(make(name))


@pytest.mark.parametrize("name", [name for name, layer in LAYERS.items() if layer[2]])
def test_outputs_and_gradients_are_bit_equal(ours, name):
    m = make(name)
    x = torch.randn(*LAYERS[name][2]).requires_grad_()
    y = m(x)
    exact.same_bits(ours[f"{name}/out"], y)
    y.pow(2).sum().backward()
    exact.same_bits(ours[f"{name}/grad"], x.grad)
    for key, p in m.named_parameters():
        exact.same_bits(ours[f"{name}/grad/{key}"], p.grad)
    for key, b in m.named_buffers():
        exact.same_bits(ours[f"{name}/buffer/{key}"], b)
    m.eval()
    exact.same_bits(ours[f"{name}/eval"], m(x))


INITIALIZERS = {
    "uniform_": {"a": -0.5, "b": 2.0}, "normal_": {"mean": 1.0, "std": 0.3}, "constant_": {"val": 0.25},
    "ones_": {}, "zeros_": {}, "eye_": {}, "xavier_uniform_": {"gain": 1.5}, "xavier_normal_": {},
    "kaiming_uniform_": {"a": 0.2}, "kaiming_normal_": {"mode": "fan_out", "nonlinearity": "relu"},
    "trunc_normal_": {"std": 0.8, "a": -1.0, "b": 1.5}, "orthogonal_": {"gain": 2.0}, "sparse_": {"sparsity": 0.3},
}


def test_every_initializer_is_there(trainhost):
    names = [name for name in dir(nn.init) if callable(getattr(nn.init, name))
             and getattr(getattr(nn.init, name), "__module__", "") == "torch.nn.init" and not name.startswith("_no_grad")
             and "deprecated" not in (getattr(nn.init, name).__doc__ or "") and name != "_make_deprecate"]
    assert len(names) > 15
    trainhost.lua("local init = require('torch').nn.init\n" + "".join(f"assert(init.{name})\n" for name in names))


STRUCTURES = ["nn.init.dirac_(torch.empty(5, 3, 4))", "nn.init.dirac_(torch.empty(6, 2, 3, 5), 2)",
              "nn.init.dirac_(torch.empty(4, 4, 2, 3, 4))", "nn.init.orthogonal_(torch.empty(9, 2, 3))",
              "nn.init.orthogonal_(torch.empty(4, 4))", "nn.init.orthogonal_(torch.empty(3, 8), 0.5)"]


def test_structured_initializers_are_equal(trainhost):
    code = exact.LUA
    for i, call in enumerate(STRUCTURES):
        code += f'torch.manual_seed(3)\ndump("{i}", {call})\n'
    got = exact.read(trainhost.lua(code))
    for i, call in enumerate(STRUCTURES):
        torch.manual_seed(3)
        exact.same_bits(got[str(i)], eval(call))


def test_initializers_draw_as_pytorch_draws(trainhost):
    code = exact.LUA
    for name, options in INITIALIZERS.items():
        given = ", " + exact.lua_value(options) if options else ""
        code += f'torch.manual_seed(3)\ndump("{name}", nn.init.{name}(torch.empty(6, 9){given}))\n'
    code += 'torch.manual_seed(3)\ndump("tail", nn.init.trunc_normal_(torch.empty(50), {a = 2.0, b = 4.0}))\n'
    code += 'dump("gain", torch.tensor{nn.init.calculate_gain("leaky_relu", 0.3), nn.init.calculate_gain("tanh")})\n'
    got = exact.read(trainhost.lua(code))
    for name, options in INITIALIZERS.items():
        torch.manual_seed(3)
        exact.same_bits(got[name], getattr(nn.init, name)(torch.empty(6, 9), **options))
    torch.manual_seed(3)
    exact.same_bits(got["tail"], nn.init.trunc_normal_(torch.empty(50), a=2.0, b=4.0))
    exact.same_bits(got["gain"], torch.tensor([nn.init.calculate_gain("leaky_relu", 0.3), nn.init.calculate_gain("tanh")]))


# Lua call, Python call of a loss on x (4, 5), its targets c (class indices), p (probabilities), y (4, 5).
LOSSES = [
    ("F.cross_entropy(x, c)", "F.cross_entropy(x, c)"),
    ("F.cross_entropy(x, p, {label_smoothing = 0.1})", "F.cross_entropy(x, p, label_smoothing=0.1)"),
    ("F.cross_entropy(x, c, w, {ignore_index = 1, reduction = 'sum', label_smoothing = 0.2})",
     "F.cross_entropy(x, c, w, ignore_index=1, reduction='sum', label_smoothing=0.2)"),
    ("nn.CrossEntropyLoss(w, {reduction = 'none'})(x, c)", "nn.CrossEntropyLoss(w, reduction='none')(x, c)"),
    ("F.nll_loss(F.log_softmax(x, 1), c, w)", "F.nll_loss(F.log_softmax(x, 1), c, w)"),
    ("nn.NLLLoss({ignore_index = 0})(F.log_softmax(x, {dim = 1}), c)", "nn.NLLLoss(ignore_index=0)(F.log_softmax(x, dim=1), c)"),
    ("F.mse_loss(x, y)", "F.mse_loss(x, y)"),
    ("nn.MSELoss({reduction = 'sum'})(x, y)", "nn.MSELoss(reduction='sum')(x, y)"),
    ("nn.L1Loss()(x, y)", "nn.L1Loss()(x, y)"),
    ("F.smooth_l1_loss(x, y, {beta = 0.5})", "F.smooth_l1_loss(x, y, beta=0.5)"),
    ("F.huber_loss(x, y, {delta = 0.5, reduction = 'sum'})", "F.huber_loss(x, y, delta=0.5, reduction='sum')"),
    ("F.binary_cross_entropy_with_logits(x, p, {pos_weight = w})", "F.binary_cross_entropy_with_logits(x, p, pos_weight=w)"),
    ("nn.BCEWithLogitsLoss({reduction = 'none'})(x, p)", "nn.BCEWithLogitsLoss(reduction='none')(x, p)"),
    ("F.binary_cross_entropy(p, p)", "F.binary_cross_entropy(p, p)"),
    ("F.kl_div(F.log_softmax(x, 1), p, {reduction = 'batchmean'})", "F.kl_div(F.log_softmax(x, 1), p, reduction='batchmean')"),
]


def test_losses_are_bit_equal(trainhost):
    setup = "torch.manual_seed(5)\n{0}x = torch.randn(4, 5)\n{0}y = torch.randn(4, 5)\n{0}c = torch.randint(0, 5, {1})\n" \
            "{0}p = torch.softmax(torch.randn(4, 5), 1)\n{0}w = torch.rand(5)\n"
    code = exact.LUA + setup.format("local ", "{4}")
    for i, (lua, _) in enumerate(LOSSES):
        code += f'dump("{i}", {lua})\n'
    got = exact.read(trainhost.lua(code))
    scope = {"torch": torch, "nn": nn, "F": F}
    exec(setup.format("", "(4,)"), scope)
    for i, (lua, python) in enumerate(LOSSES):
        try:
            exact.same_bits(got[str(i)], eval(python, scope))
        except AssertionError as error:
            raise AssertionError(f"{lua}: {error}") from None


MLP = {
    "lua": "nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))",
    "python": "nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))",
    "optimizers": ("torch.optim.SGD(net:parameters(), {lr = 0.05, momentum = 0.9})",
                   "torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, fused=True)"),
}
CNN = {
    "lua": "nn.Sequential(nn.Conv2d(1, 8, 3, {padding = 1}), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), "
           "nn.Conv2d(8, 16, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))",
    "python": "nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), "
              "nn.Conv2d(8, 16, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))",
    "optimizers": ("torch.optim.AdamW(net:parameters(), {lr = 3e-3, weight_decay = 0.02})",
                   "torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02, fused=True)"),
}


@pytest.mark.parametrize("model", [MLP, CNN], ids=["mlp", "cnn"])
def test_a_hundred_training_steps_give_the_same_losses(trainhost, model):
    code = exact.LUA + """
torch.set_num_threads(2)
torch.manual_seed(11)
local net = %s
local opt = %s
local xs, ys = torch.randn(320, 1, 8, 8), torch.randint(0, 10, {320})
local losses = {}
for step = 0, 99 do
  local first = (step * 32) %% 320
  local loss = F.cross_entropy(net(xs:narrow(0, first, 32)), ys:narrow(0, first, 32))
  opt:zero_grad()
  loss:backward()
  opt:step()
  losses[#losses + 1] = loss:detach()
end
dump("losses", torch.stack(losses))
for key, value in pairs(net:state_dict()) do dump(key, value) end
""" % (model["lua"], model["optimizers"][0])
    got = exact.read(trainhost.lua(code))

    torch.set_num_threads(2)
    torch.manual_seed(11)
    net = eval(model["python"])
    opt = eval(model["optimizers"][1])
    xs, ys = torch.randn(320, 1, 8, 8), torch.randint(0, 10, (320,))
    losses = []
    for step in range(100):
        first = (step * 32) % 320
        loss = F.cross_entropy(net(xs.narrow(0, first, 32)), ys.narrow(0, first, 32))
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.detach())
    torch.testing.assert_close(got["losses"], torch.stack(losses).double(), rtol=1e-6, atol=0)
    for key, value in net.state_dict().items():
        torch.testing.assert_close(got[key], value.double(), rtol=1e-5, atol=1e-7)


def test_state_dict_errors_read_as_pytorch_s(trainhost):
    code = exact.LUA + """
local net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
local state = {["0.weight"] = torch.zeros(3, 4), ["0.bias"] = torch.zeros(3), ["2.extra"] = torch.zeros(1)}
local _, err = pcall(net.load_state_dict, net, state)
say("strict", err.message)
say("kept", net[0].bias:eq(0):all():item())
local _, err = pcall(net.load_state_dict, net, state, {strict = false})
say("loose", err.message)
state["0.weight"] = nil
say("names", net:load_state_dict(state, {strict = false}))
"""
    got = exact.read(trainhost.lua(code))
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = {"0.weight": torch.zeros(3, 4), "0.bias": torch.zeros(3), "2.extra": torch.zeros(1)}
    for strict, name in ((True, "strict"), (False, "loose")):
        with pytest.raises(RuntimeError) as error:
            net.load_state_dict(state, strict=strict)
        assert got[name].replace("\\n", "\n").replace("\t", "") == str(error.value).replace("\t", "")
    assert got["kept"] == "false", "a failed load must not have written"
    del state["0.weight"]
    assert got["names"] == repr(net.load_state_dict(state, strict=False))
