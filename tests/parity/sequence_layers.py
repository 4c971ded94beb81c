# Inputs of recurrent layers, attention, transformers and lazily initialized layers that PyTorch's own database lacks.
import torch
from torch import nn


def packed(x, lengths, **options):
    sequences = [x(length, 3).detach() for length in lengths]
    return nn.utils.rnn.pack_sequence(sequences, **options)


def recurrent():
    for cls, parts in ((nn.RNN, 1), (nn.LSTM, 2), (nn.GRU, 1)):
        def inputs(x, cls=cls, parts=parts):
            def state(layers, batch):
                each = tuple(x(layers, batch, 4) for _ in range(parts))
                return each[0] if parts == 1 else each
            yield (3, 4, 2), (x(5, 2, 3), state(2, 2))
            yield (3, 4, 3, {"dropout": 0.5}), (x(5, 2, 3),)
            yield (3, 4, 2, {"bidirectional": True, "batch_first": True, "bias": False}), (x(2, 5, 3), state(4, 2))
            yield (3, 4, 2), (packed(x, [5, 3, 1]), state(2, 3))
            yield (3, 4, {"bidirectional": True}), (packed(x, [2, 5, 3], enforce_sorted=False), state(2, 3))
            if cls is nn.RNN:
                yield (3, 4, 2, "relu"), (x(5, 2, 3),)
            if cls is nn.LSTM:
                made = {"proj_size": 2, "num_layers": 2, "bidirectional": True}
                yield (3, 4, made), (packed(x, [4, 2]), (x(4, 2, 2), x(4, 2, 4)))
                yield (3, 4, made), (x(5, 2, 3),)
        yield cls, inputs
    yield nn.RNNCell, lambda x: [((3, 4, {"nonlinearity": "relu", "bias": False}), (x(2, 3),))]


def causal(size, like):
    return nn.Transformer.generate_square_subsequent_mask(size, dtype=like.dtype)


PADDING = torch.tensor([[False] * 5, [False, False, False, True, True]])


def attention():
    def inputs(x):
        q, k, v, all_three = x(5, 2, 8), x(6, 2, 8), x(6, 2, 8), x(2, 5, 8)
        mask = causal(5, q)
        yield (8, 2), (q, k, v)
        yield (8, 2), (q, k, v, None, True, None, False)
        yield (8, 2, {"dropout": 0.4}), (q, k, v)
        yield (8, 2), (q, k, v, None, False)
        yield (8, 4, {"add_bias_kv": True, "add_zero_attn": True}), (q, k, v)
        yield (8, 2, {"kdim": 3, "vdim": 5, "bias": False}), (q, x(6, 2, 3), x(6, 2, 5))
        yield (8, 2, {"batch_first": True}), (all_three, all_three, all_three, PADDING.to(q.dtype) * -1e4, True, mask)
        yield (8, 2, {"batch_first": True}), (all_three, all_three, all_three, None, False, mask, True, True)
        yield (8, 2, {"batch_first": True}), (x(5, 8), x(6, 8), x(6, 8))
    yield nn.MultiheadAttention, inputs


def transformers():
    def made(x, **options):
        return {"d_model": 8, "nhead": 2, "dim_feedforward": 16, "batch_first": True} | options

    def encoder_layer(x):
        src = x(2, 5, 8)
        for first in (True, False):
            yield (made(x, norm_first=first),), (src, causal(5, src))
            yield (made(x, norm_first=first, activation="gelu"),), (src, None, PADDING)
    yield nn.TransformerEncoderLayer, encoder_layer

    def decoder_layer(x):
        tgt, memory = x(2, 5, 8), x(2, 3, 8)
        for first in (True, False):
            yield (made(x, norm_first=first),), (tgt, memory, causal(5, tgt), None, None, None, True)
            yield (made(x, norm_first=first, activation="gelu"),), (tgt, memory, None, None, PADDING)
    yield nn.TransformerDecoderLayer, decoder_layer

    def encoder(x):
        src = x(2, 5, 8)
        yield (nn.TransformerEncoderLayer(**made(x), dtype=src.dtype), 2, nn.LayerNorm(8, dtype=src.dtype)), (src, None, PADDING)
        yield (nn.TransformerEncoderLayer(**made(x), dtype=src.dtype), 2), (src, causal(5, src))
    yield nn.TransformerEncoder, encoder

    def decoder(x):
        tgt, memory = x(2, 5, 8), x(2, 3, 8)
        layer = nn.TransformerDecoderLayer(**made(x), dtype=tgt.dtype)
        yield (layer, 2, nn.LayerNorm(8, dtype=tgt.dtype)), (tgt, memory, causal(5, tgt))
        yield (layer, 1), (tgt, memory)
    yield nn.TransformerDecoder, decoder

    def whole(x):
        src, tgt = x(2, 5, 8), x(2, 5, 8)
        options = {"dtype": src.dtype}
        yield (8, 2, 1, 2, 16, {"batch_first": True, "bias": False} | options), (src, tgt, None, causal(5, src), None, PADDING)
        yield (8, 2, 1, 1, 16, {"activation": "gelu", "norm_first": True} | options), (src, tgt)
    yield nn.Transformer, whole


def lazies():
    yield nn.LazyLinear, lambda x: [((4,), (x(3, 5),)), ((4, False), (x(2, 3, 5),))]
    for dims in (1, 2, 3):
        def convolved(x, size=(6, 7, 5)[:dims]):
            yield (4, 3), (x(2, 6, *size),)
            yield (4, 3, {"stride": 2, "groups": 2, "bias": False}), (x(2, 6, *size),)
            yield (4, 2), (x(6, *size),)
        yield getattr(nn, f"LazyConv{dims}d"), convolved
        yield getattr(nn, f"LazyConvTranspose{dims}d"), convolved

        def normalized(x, size=(6, 7, 5)[:dims]):
            yield (), (x(3, 4, *size),)
            yield (1e-3, None), (x(3, 4, *size),)
            yield (1e-3, 0.2, False, True), (x(3, 4, *size),)
            yield ({"track_running_stats": False, "bias": False},), (x(3, 4, *size),)
        yield getattr(nn, f"LazyBatchNorm{dims}d"), normalized
        yield getattr(nn, f"LazyInstanceNorm{dims}d"), normalized
