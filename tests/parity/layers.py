# Inputs of modules that PyTorch's own database lacks, or of which it has few: written as its ModuleInputs are.
import dataclasses
import functools

import sequence_layers
import torch
from torch.testing._internal.common_modules import FunctionInput, ModuleInput
from torch import nn

# Modules that others are made with -> the keywords that make them anew.
REMADE = {
    "TransformerEncoderLayer": lambda m: {
        "d_model": m.self_attn.embed_dim, "nhead": m.self_attn.num_heads, "dim_feedforward": m.linear1.out_features,
        "dropout": m.dropout.p, "activation": m.activation, "layer_norm_eps": m.norm1.eps,
        "batch_first": m.self_attn.batch_first, "norm_first": m.norm_first, "bias": m.linear1.bias is not None,
        "dtype": m.linear1.weight.dtype},
    "LayerNorm": lambda m: {"normalized_shape": m.normalized_shape, "eps": m.eps, "dtype": m.weight.dtype},
}
REMADE["TransformerDecoderLayer"] = REMADE["TransformerEncoderLayer"]


@dataclasses.dataclass
class Row:
    """A module and its inputs, as a ModuleInfo has them."""
    module_cls: type
    inputs: object
    dtypes: tuple = (torch.float32, torch.float64)
    module_error_inputs_func: object = None

    @property
    def name(self):
        return f"nn.{self.module_cls.__name__}"

    def supported_dtypes(self, _):
        return self.dtypes

    def module_inputs_func(self, _, *, dtype, **others):
        make = functools.partial(torch.randn, dtype=dtype)

        def x(*shape):
            return make(shape).requires_grad_()

        for made, called in self.inputs(x):
            args = made if isinstance(made, tuple) else (made,)
            kwargs = args[-1] if args and isinstance(args[-1], dict) else {}
            yield ModuleInput(FunctionInput(*args[:len(args) - bool(kwargs)], **kwargs), FunctionInput(*called))


def integers(high, *shape):
    return torch.randint(0, high, shape)


def pooled(dims):
    """(maxima, indices) of maximum pooling, to put back."""
    def of(x):
        size = (6,) * dims
        pool = getattr(torch.nn.functional, f"max_pool{dims}d")
        maxima, indices = pool(x(2, 3, *size), 2, return_indices=True)
        return maxima.detach().requires_grad_(), indices
    return of


def unpooling(dims):
    def inputs(x):
        yield (2,), pooled(dims)(x)
        yield (2, 2, 0), pooled(dims)(x)
        yield (2,), (*pooled(dims)(x), [7] * dims)
    return inputs


def dropout(*shapes):
    def inputs(x):
        for shape in shapes:
            yield (), (x(*shape),)
            yield (0.2, True), (x(*shape),)
            yield ({"p": 1.0},), (x(*shape),)
    return inputs


def rows():
    """All rows."""
    simple = [
        (nn.Identity, lambda x: [((3, {"bias": False}), (x(2, 3),))]),
        (nn.Hardsigmoid, lambda x: [((), (x(9),)), (True, (x(9),))]),
        (nn.RReLU, lambda x: [((), (x(20),)), ((0.1, 0.4, True), (x(20),))]),
        (nn.Dropout, dropout((4, 5), (6,))),
        (nn.Dropout1d, dropout((4, 5, 6), (5, 6))),
        (nn.Dropout2d, dropout((4, 5, 3, 2), (5, 3, 2))),
        (nn.Dropout3d, dropout((4, 5, 3, 2, 2), (5, 3, 2, 2))),
        (nn.AlphaDropout, dropout((4, 5))),
        (nn.FeatureAlphaDropout, dropout((4, 5, 6))),
        (nn.Flatten, lambda x: [((), (x(2, 3, 4),)), ((0, 1), (x(2, 3, 4),)), (({"start_dim": -2},), (x(2, 3, 4),))]),
        (nn.Unflatten, lambda x: [((1, (2, 3)), (x(4, 6),)), ((-1, (3, -1, 1)), (x(4, 6),))]),
        (nn.PixelShuffle, lambda x: [(2, (x(2, 8, 3, 4),))]),
        (nn.PixelUnshuffle, lambda x: [(2, (x(2, 2, 6, 4),))]),
        (nn.ChannelShuffle, lambda x: [(2, (x(2, 8, 3, 4),))]),
        (nn.Fold, lambda x: [(((4, 5), (2, 3)), (x(1, 12, 9),)), ((5, 2, 1, 1, 2), (x(1, 8, 9),))]),
        (nn.Unfold, lambda x: [(((2, 3),), (x(2, 3, 4, 5),)), ((2, 2, 1, 3), (x(2, 3, 6, 6),))]),
        (nn.CosineSimilarity, lambda x: [((), (x(4, 5), x(4, 5))), ((0, 1e-3), (x(4, 5), x(4, 5)))]),
        (nn.PairwiseDistance, lambda x: [((), (x(4, 5), x(4, 5))), ((1, 1e-3, True), (x(5), x(5)))]),
        (nn.CrossMapLRN2d, lambda x: [(3, (x(2, 7, 3, 4),)), ((4, 0.1, 0.5, 2), (x(2, 7, 3, 4),)), (5, (x(2, 2, 3, 4),))]),
        (nn.SyncBatchNorm, lambda x: [(3, (x(4, 3),)), ((3, 1e-3, None, False), (x(4, 3, 2, 2),)),
                                      ((3, {"track_running_stats": False, "bias": False}), (x(4, 3, 5),))]),
        (nn.TripletMarginLoss, lambda x: [((), (x(4, 5), x(4, 5), x(4, 5))),
                                          ((2, 1, {"swap": True, "reduction": "none"}), (x(4, 5), x(4, 5), x(4, 5)))]),
        (nn.TripletMarginWithDistanceLoss, lambda x: [
            ((), (x(4, 5), x(4, 5), x(4, 5))),
            (({"margin": 0.5, "swap": True, "reduction": "sum"},), (x(4, 5), x(4, 5), x(4, 5))),
            (({"distance_function": torch.nn.functional.cosine_similarity},), (x(4, 5), x(4, 5), x(4, 5)))]),
    ]
    simple += [(getattr(nn, f"MaxUnpool{dims}d"), unpooling(dims)) for dims in (1, 2, 3)]
    more = [embeddings, bags, resized, convolutions, transposed, normalizations, pools, adaptive_softmax, paddings,
            sequence_layers.recurrent, sequence_layers.attention, sequence_layers.transformers, sequence_layers.lazies]
    return [Row(*row) for row in simple] + [Row(*row) for each in more for row in each()]


def embeddings():
    yield nn.Embedding, lambda x: [
        ((7, 4, -2), (integers(7, 3, 5),)),
        ((7, 4, {"max_norm": 1.0, "norm_type": 1, "scale_grad_by_freq": True}), (integers(7, 20),)),
        ((7, 4, {"sparse": True}), (integers(7, 5),)),
        ((3, 4, {"_weight": x(3, 4).detach(), "_freeze": True}), (integers(3, 5),)),
        ((3, 4, {"_weight": x(3, 4).detach(), "padding_idx": 1}), (integers(3, 5),)),
    ]


def bags():
    def inputs(x):
        for mode in ("sum", "mean", "max"):
            yield (7, 4, {"mode": mode}), (integers(7, 3, 5),)
            yield (7, 4, {"mode": mode, "padding_idx": 2}), (integers(7, 9), torch.tensor([0, 4, 4]))
        yield (7, 4, {"mode": "sum", "include_last_offset": True}), (integers(7, 9), torch.tensor([0, 4, 9]), x(9))
        yield (7, 4, 1.5, 1, True), (integers(7, 9), torch.tensor([0, 4]))
        yield (7, 4, {"mode": "sum", "sparse": True}), (integers(7, 3, 5),)
        yield (7, 4, {"_weight": x(7, 4).detach(), "mode": "mean"}), (integers(7, 3, 5),)
    yield nn.EmbeddingBag, inputs


def resized():
    yield nn.Upsample, lambda x: [
        (({"scale_factor": 2},), (x(1, 2, 3),)), ((5,), (x(1, 2, 3, 3),)), (((4, 5),), (x(1, 2, 3, 3),)),
        (({"scale_factor": (2.0, 1.5), "mode": "bilinear"},), (x(1, 2, 3, 4),)),
        (({"scale_factor": 1.5, "mode": "bicubic", "align_corners": True},), (x(1, 2, 3, 4),)),
        (({"scale_factor": 2, "mode": "linear", "recompute_scale_factor": True},), (x(1, 2, 3),)),
        (({"size": (4, 4, 4), "mode": "trilinear"},), (x(1, 2, 3, 3, 3),)),
        (({"size": 4, "mode": "nearest-exact"},), (x(1, 2, 3, 3),)),
        (({"size": 4, "mode": "area"},), (x(1, 2, 3, 3),)),
    ]
    for module in (nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d):
        yield module, lambda x: [((4,), (x(1, 2, 3, 3),)), (({"scale_factor": (2.0, 1.5)},), (x(1, 2, 3, 4),))]


def convolutions():
    for dims, module in enumerate((nn.Conv1d, nn.Conv2d, nn.Conv3d), 1):
        def inputs(x, size=(6,) * dims, lists=(2,) * dims):
            for mode in ("reflect", "replicate", "circular"):
                yield (2, 4, 3, {"padding": 1, "padding_mode": mode}), (x(2, 2, *size),)
                yield (2, 4, 4, {"padding": "same", "padding_mode": mode}), (x(2, 2, *size),)
            yield (2, 4, lists, lists, lists, lists, 2, False), (x(2, 2, *size),)
            yield (2, 4, 4, {"padding": "same", "dilation": 2}), (x(2, *size),)
            yield (2, 4, 3, {"padding": "valid"}), (x(2, 2, *size),)
        yield module, inputs


def transposed():
    for dims, module in enumerate((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), 1):
        def inputs(x, size=(4,) * dims, dims=dims):
            yield (2, 4, 3, 2, 1, 1, 2, False, 2), (x(2, 2, *size),)
            yield (2, 4, 3, {"stride": 2}), (x(2, 2, *size), [10] * dims)
            yield (2, 4, 3, {"stride": 3, "dilation": 2}), (x(2, *size), [2, *[15] * dims][-dims:])
            yield (2, 4, (2,) * dims, {"stride": (2,) * dims}), (x(2, *size),)
        yield module, inputs


def normalizations():
    yield nn.LayerNorm, lambda x: [((5, {"bias": False}), (x(3, 5),)), (((4, 5), 1e-3, False), (x(3, 4, 5),))]
    yield nn.RMSNorm, lambda x: [((5, {"eps": 1e-3}), (x(3, 5),)), (((4, 5), None, False), (x(3, 4, 5),))]
    yield nn.GroupNorm, lambda x: [((2, 4, {"bias": False}), (x(3, 4, 5),)), ((4, 4, 1e-3, False), (x(3, 4, 5),))]
    for dims, (batch, instance) in enumerate(((nn.BatchNorm1d, nn.InstanceNorm1d), (nn.BatchNorm2d, nn.InstanceNorm2d),
                                              (nn.BatchNorm3d, nn.InstanceNorm3d)), 1):
        def batches(x, size=(3,) * dims):
            yield (2, 1e-3, 0.4), (x(3, 2, *size),)
            yield (2, {"affine": False}), (x(3, 2, *size),)
            yield (2, {"track_running_stats": False}), (x(3, 2, *size),)
            yield (2, {"momentum": None, "bias": False}), (x(3, 2, *size),)

        def instances(x, size=(3,) * dims):
            yield (2, 1e-3, 0.4, True, True), (x(3, 2, *size),)
            yield (2, {"affine": True, "bias": False}), (x(2, *size),)
            yield (5,), (x(3, 2, *size),)
        yield batch, batches
        yield instance, instances


def pools():
    for dims, (most, mean, unlike) in enumerate(((nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveMaxPool1d),
                                                 (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d),
                                                 (nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveMaxPool3d)), 1):
        def maxima(x, size=(7,) * dims, lists=(2,) * dims):
            yield (3, 2, 1, 2, True, True), (x(2, 3, *size),)
            yield (lists, lists, {"return_indices": True}), (x(3, *size),)
            yield (lists, {"ceil_mode": True}), (x(2, 3, *size),)

        def means(x, size=(7,) * dims, lists=(3,) * dims):
            yield (3, 2, 1, True, False), (x(2, 3, *size),)
            yield (lists, {"padding": (1,) * len(lists)}), (x(3, *size),)

        def adaptive(x, size=(7,) * dims):
            yield (3, True), (x(2, 3, *size),)
            yield (1,), (x(3, *size),)
        yield most, maxima
        yield mean, means
        yield unlike, adaptive


def adaptive_softmax():
    def inputs(x):
        yield (8, 12, [3, 7]), (x(9, 8), integers(12, 9))
        yield (8, 12, [3, 7], 2.0, True), (x(9, 8), integers(12, 9))
        yield (8, 12, [5]), (x(9, 8), integers(5, 9))
        yield (8, 12, [5]), (x(8), torch.tensor(7))
    yield nn.AdaptiveLogSoftmaxWithLoss, inputs


def paddings():
    for name in ("Reflection", "Replication", "Circular", "Zero"):
        for dims in (1, 2, 3):
            def inputs(x, size=(4,) * dims, lists=tuple(range(1, 3)) * dims):
                yield (lists,), (x(2, 3, *size),)
                yield (1,), (x(3, *size),)
            yield getattr(nn, f"{name}Pad{dims}d"), inputs
