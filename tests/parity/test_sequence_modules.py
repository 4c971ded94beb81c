# Recurrent layers, attention and transformers against PyTorch: its own samples, and those that it lacks.
import module_cases
import pytest
import torch
from exchange import Exchange
from torch import nn
from torch.testing._internal.common_modules import module_db

NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell", "MultiheadAttention", "Transformer", "TransformerEncoder",
         "TransformerEncoderLayer", "TransformerDecoderLayer")


def infos():
    return [info for info in module_db if info.name.removeprefix("nn.") in NAMES]


def randn(*shape):
    return torch.randn(*shape, requires_grad=True)


def packed(lengths, features, **options):
    return nn.utils.rnn.pack_sequence([torch.randn(length, features) for length in lengths], **options)


def own_cases():
    """name, class, constructor, call, training, gradients, tolerance."""
    torch.manual_seed(1)
    for name, cls, hidden in (("rnn", nn.RNN, 1), ("lstm", nn.LSTM, 2), ("gru", nn.GRU, 1)):
        def state(layers, batch, size=4):
            each = [randn(layers, batch, size) for _ in range(hidden)]
            return each[0] if hidden == 1 else tuple(each)
        yield f"{name} batched", cls, ((3, 4, 2), {}), ((randn(5, 2, 3), state(2, 2)), {}), True, True
        yield f"{name} dropout", cls, ((3, 4, 3), {"dropout": 0.5}), ((randn(5, 2, 3),), {}), True, True
        yield f"{name} dropout in evaluation", cls, ((3, 4, 3), {"dropout": 0.5}), ((randn(5, 2, 3),), {}), False, True
        both = {"bidirectional": True, "batch_first": True, "bias": False}
        yield f"{name} both ways", cls, ((3, 4, 2), both), ((randn(2, 5, 3), state(4, 2)), {}), True, True
        yield f"{name} packed", cls, ((3, 4, 2), {}), ((packed([5, 3, 1], 3), state(2, 3)), {}), True, True
        yield (f"{name} packed unsorted", cls, ((3, 4), {"bidirectional": True}),
               ((packed([2, 5, 3], 3, enforce_sorted=False), state(2, 3)), {}), True, True)
        yield f"{name} without gradient", cls, ((3, 4), {}), ((randn(5, 2, 3),), {}), False, False
        yield f"{name} float64", cls, ((3, 4), {"dtype": torch.float64}), ((randn(5, 2, 3).double().detach(),), {}), True, True
    yield "rnn relu", nn.RNN, ((3, 4, 2, "relu"), {}), ((randn(5, 2, 3),), {}), True, True
    projected = {"proj_size": 2, "num_layers": 2, "bidirectional": True}
    yield ("lstm projected, packed", nn.LSTM, ((3, 4), projected),
           ((packed([4, 2], 3), (randn(4, 2, 2), randn(4, 2, 4))), {}), True, True)
    yield "base", nn.RNNCell, ((3, 4), {"nonlinearity": "relu", "bias": False}), ((randn(2, 3),), {}), True, True

    q, k, v = randn(5, 2, 8), randn(6, 2, 8), randn(6, 2, 8)
    x = randn(2, 5, 8)
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
    mha = nn.MultiheadAttention
    yield "mha", mha, ((8, 2), {}), ((q, k, v), {}), True, True
    yield "mha by head", mha, ((8, 2), {}), ((q, k, v), {"average_attn_weights": False}), True, True
    yield "mha dropout", mha, ((8, 2), {"dropout": 0.4}), ((q, k, v), {}), True, True
    yield "mha without weights", mha, ((8, 2), {}), ((q, k, v), {"need_weights": False}), True, True
    yield "mha extra keys", mha, ((8, 4), {"add_bias_kv": True, "add_zero_attn": True}), ((q, k, v), {}), True, True
    yield ("mha other sizes", mha, ((8, 2), {"kdim": 3, "vdim": 5, "bias": False}),
           ((q, randn(6, 2, 3), randn(6, 2, 5)), {}), True, True)
    yield ("mha masks", mha, ((8, 2), {"batch_first": True}),
           ((x, x, x), {"attn_mask": causal, "key_padding_mask": padding.float() * -1e4}), True, True)
    yield ("mha causal", mha, ((8, 2), {"batch_first": True}),
           ((x, x, x), {"attn_mask": causal, "is_causal": True, "need_weights": False}), True, True)
    yield "mha unbatched", mha, ((8, 2), {"batch_first": True}), ((randn(5, 8), randn(6, 8), randn(6, 8)), {}), True, True
    for weights in (True, False):
        yield (f"mha kernel {weights}", mha, ((8, 2), {"batch_first": True}),
               ((x, x, x), {"need_weights": weights}), False, False)
    yield ("mha kernel mask", mha, ((8, 2), {"batch_first": True}),
           ((x, x, x), {"key_padding_mask": padding}), False, False)

    options = {"d_model": 8, "nhead": 2, "dim_feedforward": 16}
    for first in (True, False):
        layer = options | {"batch_first": True, "norm_first": first}
        yield f"encoder layer {first}", nn.TransformerEncoderLayer, ((), layer), ((x,), {"src_mask": causal}), True, True
        yield (f"encoder layer kernel {first}", nn.TransformerEncoderLayer, ((), layer | {"activation": "gelu"}),
               ((x,), {"src_key_padding_mask": padding}), False, False)
        yield (f"decoder layer {first}", nn.TransformerDecoderLayer, ((), layer | {"activation": nn.ReLU()}),
               ((x, randn(2, 3, 8)), {"tgt_mask": causal, "tgt_is_causal": True}), True, True)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    padded = {"src_key_padding_mask": padding}
    yield "encoder", nn.TransformerEncoder, ((layer, 2, nn.LayerNorm(8)), {}), ((x,), padded), True, True
    yield "encoder nested", nn.TransformerEncoder, ((layer, 2), {}), ((x,), padded), False, False
    yield "encoder causal", nn.TransformerEncoder, ((layer, 2), {}), ((x, causal), {}), False, True
    layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    yield ("decoder", nn.TransformerDecoder, ((layer, 2, nn.LayerNorm(8)), {}),
           ((x, randn(2, 3, 8)), {"tgt_mask": causal}), True, True)
    yield ("transformer", nn.Transformer, ((8, 2, 1, 2, 16), {"batch_first": True, "bias": False}),
           ((x, randn(2, 5, 8)), {"tgt_mask": causal, "src_key_padding_mask": padding}), True, True)


@pytest.fixture(scope="module")
def runs(trainhost, tmp_path_factory):
    torch.set_num_threads(1)
    exchange, expected = Exchange(tmp_path_factory.mktemp("modules")), {}
    with pytest.MonkeyPatch.context() as patch:
        module_cases.record_constructors(patch)
        for info in infos():
            for training in (True, False):
                torch.manual_seed(3)
                samples = info.module_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=True,
                                                  training=training)
                for number, sample in enumerate(samples):
                    made, called = sample.constructor_input, sample.forward_input
                    name = f"{info.name} {number} {training}"
                    expected[name] = module_cases.add(exchange, name, info.module_cls, (made.args, made.kwargs),
                                                      (called.args, called.kwargs), training)
        for name, cls, made, called, training, gradients in own_cases():
            expected[name] = module_cases.add(exchange, name, cls, made, called, training, gradients)
        return exchange.run(trainhost), {name: make() for name, make in expected.items()}


@pytest.mark.filterwarnings("ignore")
def test_samples_are_equal_bit_for_bit(runs):
    results, expected = runs
    assert len(expected) > 300
    wrong = {name: lines for name, made in expected.items()
             if (lines := module_cases.differences(made, results[name]))}
    assert not wrong, f"{len(wrong)} of {len(expected)}: " + "\n".join(
        f"{name}: {'; '.join(lines)}" for name, lines in list(wrong.items())[:20])


def test_errors_read_as_pytorch_s(trainhost, tmp_path):
    exchange, patterns = Exchange(tmp_path), {}
    for info in infos():
        if info.module_error_inputs_func is None:
            continue
        for number, sample in enumerate(info.module_error_inputs_func(
                info, device="cpu", dtype=torch.float32, requires_grad=False, training=True)):
            if "got: float" in sample.error_regex:
                continue  # 10.0 is an integer in Lua's arguments
            made, called = sample.module_error_input.constructor_input, sample.module_error_input.forward_input
            name = f"{info.name} {number}"
            module_cases.add(exchange, name, info.module_cls, (made.args, made.kwargs),
                             (called.args, called.kwargs) if called else ((), {}), True, False)
            patterns[name] = sample.error_regex
    results = exchange.run(trainhost)
    wrong = {name: results[name].error for name, pattern in patterns.items()
             if not module_cases.matches(pattern, results[name].error or "no error")}
    assert len(patterns) > 20
    assert not wrong, "\n".join(f"{name}: {error!r}, expected {patterns[name]!r}" for name, error in wrong.items())
