# Attention and transformers without gradients, where PyTorch takes one kernel for a whole layer.
import exchange
import pytest
import torch
from torch import nn

SETUP = ("torch.manual_seed(3)\nlocal x, m = torch.randn(2, 5, 8), nn.%s\nm:eval()\n"
         "local padding = torch.tensor{{false, false, false, false, false}, {false, false, false, true, true}}\n"
         "local mask = torch.ones(5, 5):triu(1):to(torch.bool)\nlocal _ <close> = torch.no_grad()\nreturn %s",
         "torch.manual_seed(3)\nx, m = torch.randn(2, 5, 8), nn.%s\nm.eval()\n"
         "padding = torch.tensor([[False] * 5, [False, False, False, True, True]])\n"
         "mask = torch.ones(5, 5).triu(1).to(torch.bool)\nwith torch.no_grad():\n  out = %s")
LAYER = ("TransformerEncoderLayer(8, 2, 16, {batch_first = true%s})", "TransformerEncoderLayer(8, 2, 16, batch_first=True%s)")
ENCODER = ("TransformerEncoder(nn.%s, 2%s)" % (LAYER[0] % "", "%s"), "TransformerEncoder(nn.%s, 2%s)" % (LAYER[1] % "", "%s"))
MHA = ("MultiheadAttention(8, 2, {batch_first = true})", "MultiheadAttention(8, 2, batch_first=True)")
CASES = {
    "attention": MHA + ("m(x, x, x)", "m(x, x, x)"),
    "attention by head": MHA + ("m(x, x, x, {average_attn_weights = false})", "m(x, x, x, average_attn_weights=False)"),
    "attention without weights": MHA + ("m(x, x, x, {need_weights = false})", "m(x, x, x, need_weights=False)"),
    "attention with padding": MHA + ("m(x, x, x, padding)", "m(x, x, x, padding)"),
    "attention with both masks": MHA + ("m(x, x, x, padding, true, mask)", "m(x, x, x, padding, True, mask)"),
    "attention without the kernel": ("MultiheadAttention(8, 1)", "MultiheadAttention(8, 1)", "m(x, x, x)", "m(x, x, x)"),
    "layer": (LAYER[0] % "", LAYER[1] % "", "m(x)", "m(x)"),
    "layer with masks": (LAYER[0] % "", LAYER[1] % "", "m(x, mask, padding)", "m(x, mask, padding)"),
    "layer, norm first, gelu": (LAYER[0] % ", norm_first = true, activation = 'gelu'",
                                LAYER[1] % ", norm_first=True, activation='gelu'", "m(x, mask)", "m(x, mask)"),
    "encoder with padding is nested": (ENCODER[0] % "", ENCODER[1] % "", "m(x, {src_key_padding_mask = padding})",
                                       "m(x, src_key_padding_mask=padding)"),
    "encoder without nested tensors": (ENCODER[0] % ", {enable_nested_tensor = false}",
                                       ENCODER[1] % ", enable_nested_tensor=False", "m(x, {src_key_padding_mask = padding})",
                                       "m(x, src_key_padding_mask=padding)"),
    "encoder, padding at the left": (ENCODER[0] % "", ENCODER[1] % "", "m(x, {src_key_padding_mask = padding:flip(1)})",
                                     "m(x, src_key_padding_mask=padding.flip(1))"),
}


@pytest.fixture(scope="module")
def results(trainhost, tmp_path_factory):
    ours = exchange.Exchange(tmp_path_factory.mktemp("kernels"))
    for name, (made, _, called, _) in CASES.items():
        ours.case(name, "local nn = torch.nn\n" + SETUP[0] % (made, called))
    return ours.run(trainhost)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_evaluation_is_equal_bit_for_bit(results, name):
    scope = {"torch": torch, "nn": nn}
    _, made, _, called = CASES[name]
    exec(SETUP[1] % (made, called), scope)
    assert results[name].error is None, results[name].error
    expected = scope["out"] if isinstance(scope["out"], tuple) else (scope["out"],)
    expected = [value for value in expected if value is not None]
    got = [value for value in results[name].values if value is not None]
    assert exchange.difference(expected, got) is None
