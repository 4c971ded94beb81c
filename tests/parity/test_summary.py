# nn.summary against PyTorch: FLOPs are those of torch.utils.flop_counter, counts those of the module.
import json

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.attend = nn.MultiheadAttention(16, 4, batch_first=True)
        self.head = nn.Linear(16, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        x = self.embed(ids)
        x = x + self.attend(x, x, x)[0]
        q = x.unflatten(-1, (4, 4)).transpose(1, 2)
        return self.head(nn.functional.scaled_dot_product_attention(q, q, q).transpose(1, 2).flatten(2))


ATTENTION = """
local Attention = nn.class("Attention")
function Attention:__init()
  self.embed = nn.Embedding(11, 16)
  self.attend = nn.MultiheadAttention(16, 4, {batch_first = true})
  self.head = nn.Linear(16, 11, {bias = false})
  self.head.weight = self.embed.weight
end
function Attention:forward(ids)
  local x = self.embed(ids)
  x = x + self.attend(x, x, x)
  local q = x:unflatten(-1, {4, 4}):transpose(1, 2)
  return self.head(nn.functional.scaled_dot_product_attention(q, q, q):transpose(1, 2):flatten(2))
end
"""

MODELS = {
    "cnn": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=4),
        nn.ConvTranspose2d(8, 4, 2, stride=2), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 10)),
        "nn.Sequential(nn.Conv2d(3, 8, 3, {stride = 2, padding = 1}), nn.BatchNorm2d(8), nn.ReLU(), "
        "nn.Conv2d(8, 8, 3, {groups = 4}), nn.ConvTranspose2d(8, 4, 2, {stride = 2}), nn.AdaptiveAvgPool2d(3), "
        "nn.Flatten(), nn.Linear(36, 10))", (2, 3, 17, 19), None),
    "1d and 3d": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3, dilation=2), nn.Unflatten(1, (2, 2)), nn.Unflatten(3, (2, 3)),
                                        nn.Conv3d(2, 3, 2), nn.ConvTranspose3d(3, 2, 2)),
                  "nn.Sequential(nn.Conv1d(2, 4, 3, {dilation = 2}), nn.Unflatten(1, {2, 2}), nn.Unflatten(3, {2, 3}), "
                  "nn.Conv3d(2, 3, 2), nn.ConvTranspose3d(3, 2, 2))", (5, 2, 10), None),
    "attention": (Attention, "Attention()", (3, 7), "torch.int64"),
    "transformer": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2),
                    "nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, {batch_first = true}), 2)", (2, 6, 16), None),
    "lstm": (lambda: nn.LSTM(10, 20, 2, batch_first=True, bidirectional=True),
             "nn.LSTM(10, 20, 2, {batch_first = true, bidirectional = true})", (4, 7, 10), None),
    "lstm with a projection": (lambda: nn.LSTM(10, 20, proj_size=6), "nn.LSTM(10, 20, {proj_size = 6})", (7, 4, 10), None),
    "gru": (lambda: nn.GRU(10, 20), "nn.GRU(10, 20)", (7, 4, 10), None),
    "rnn cell": (lambda: nn.RNNCell(10, 20), "nn.RNNCell(10, 20)", (4, 10), None),
    "no batch": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Flatten(0)), "nn.Sequential(nn.Linear(3, 4), nn.Flatten(0))",
                 (3,), None),
}


def flops_of(model, shape, dtype):
    given = torch.zeros(shape, dtype=torch.int64) if dtype else torch.rand(shape)
    # The counter leaves out oneDNN's LSTM and the CPU's attention, each of which is one kernel.
    with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as counter:
            model.train()(given)
    return counter.get_total_flops()


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_flops_and_counts_are_pytorch_s(trainhost, mode):
    code = [ATTENTION, "local out = {}"]
    for name, (_, lua, shape, dtype) in MODELS.items():
        code.append(f"local c = nn.summary({lua}, {{{', '.join(map(str, shape))}}}, "
                    f"{{mode = '{mode}', dtypes = {dtype or 'nil'}, format = 'table'}})\n"
                    f"out['{name}'] = {{c.flops, c.total_params, c.trainable_params, c.parameter_bytes, c.buffer_bytes}}\n"
                    "c = nil")
    body = "\n".join(f"do {each} end" if "local c" in each else each for each in code)
    got = json.loads(trainhost.lua("local torch = require 'torch' local nn = torch.nn\n" + body +
                                   "\nprint(require('host').json.encode(out))"))
    for name, (make, _, shape, dtype) in MODELS.items():
        model = make()
        total = sum(p.numel() for p in model.parameters())
        assert got[name] == [flops_of(model, shape, dtype), total, total, 4 * total,
                             sum(b.numel() * b.element_size() for b in model.buffers())], name


def test_the_activations_of_a_cnn_are_those_that_hooks_see(trainhost):
    make, lua, shape, _ = MODELS["cnn"]
    model, seen = make().eval(), []
    for module in model:
        if not isinstance(module, nn.Flatten):
            module.register_forward_hook(lambda _m, _i, out: seen.append(out.numel() * 4))
    model(torch.rand(shape))
    got = trainhost.lua(f"local torch = require 'torch' local nn = torch.nn print(nn.summary({lua}, "
                        "{2, 3, 17, 19}, {format = 'table'}).activation_bytes)")
    assert int(got) == sum(seen)
