# The functions that PyTorch composes in Python, called as nobody's samples call them: results and error texts.
import warnings

import torch
from exchange import Exchange, difference

F = torch.nn.functional
VALUES = {
    "x": torch.linspace(-2, 3, 6).reshape(2, 3), "y": torch.linspace(1, 2, 6).reshape(2, 3),
    "image": torch.linspace(-1, 1, 32).reshape(1, 2, 4, 4), "signal": torch.linspace(0, 1, 12).reshape(1, 2, 6),
    "k": torch.arange(6).reshape(2, 3), "m": torch.tensor([[True, False, True], [False, False, True]]),
    "t": torch.tensor([0, 2]), "w": torch.linspace(0, 1, 12).reshape(4, 3), "ids": torch.tensor([0, 3, 1, 1]),
}
# Lua: Python, or None where both are written alike. `F` is nn.functional on both sides.
CALLS = {
    # arguments by position, by name, and left out
    "F.relu(x, true)": "F.relu(x, True)", "F.relu{input = x}": "F.relu(input=x)", "F.glu(image, 1)": None,
    "F.softmax(x)": None, "F.softmin(x, 1)": None, "F.log_softmax(x, {dim = 0, dtype = torch.float64})":
    "F.log_softmax(x, dim=0, dtype=torch.float64)", "F.hardtanh(x, -1, 0.5)": None, "F.rrelu(x)": None,
    "F.threshold(x, 0.5, 9)": None, "F.normalize(x, 1)": None, "F.normalize(x, {p = math.huge, dim = {0, 1}})":
    "F.normalize(x, p=float('inf'), dim=(0, 1))", "F.pad(image, {1, 2}, 'reflect')": "F.pad(image, (1, 2), 'reflect')",
    "F.pad(image, {1, 1, 0, 2}, 'constant', 5)": "F.pad(image, (1, 1, 0, 2), 'constant', 5)",
    "F.pad(image, {1, 1, 1, 1}, 'circular')": "F.pad(image, (1, 1, 1, 1), 'circular')",
    "F.one_hot(t, 4)": None, "F.pdist(x, 3)": None, "F.cosine_similarity(x, y)": None, "F.pairwise_distance(x, y, 1)": None,
    "F.unfold(image, 2)": None, "F.fold(F.unfold(image, 2), {4, 4}, 2)": "F.fold(F.unfold(image, 2), (4, 4), 2)",
    "F.channel_shuffle(image, 2)": None, "F.local_response_norm(image, 2)": None, "F.rms_norm(x, {3})": "F.rms_norm(x, (3,))",
    "F.embedding(ids, w, -1, 0.5)": None, "F.embedding_bag(ids, w, t, {mode = 'max'})": "F.embedding_bag(ids, w, t, mode='max')",
    "F.embedding_bag(ids, w, t, {padding_idx = 1, include_last_offset = true})":
    "F.embedding_bag(ids, w, t, padding_idx=1, include_last_offset=True)",
    # pooling and its inverses
    "F.max_pool2d(image, {2, 2}, {return_indices = true})": "F.max_pool2d(image, (2, 2), return_indices=True)",
    "F.max_pool2d(image, 3, 1, 1, 2, true)": "F.max_pool2d(image, 3, 1, 1, 2, True)",
    "F.max_pool1d_with_indices(signal, 2)": None, "F.lp_pool1d(signal, 2, 3, {ceil_mode = true})":
    "F.lp_pool1d(signal, 2, 3, ceil_mode=True)", "F.lp_pool2d(image, 3.0, {2, 1}, 1)": "F.lp_pool2d(image, 3.0, (2, 1), 1)",
    "F.adaptive_max_pool2d(image, {torch.None, 2}, true)": "F.adaptive_max_pool2d(image, (None, 2), True)",
    "F.adaptive_avg_pool2d(image, {2, torch.None})": "F.adaptive_avg_pool2d(image, (2, None))",
    "F.max_unpool1d(signal, torch.arange(6):expand(1, 2, 6), 2, 2, 0, {12})":
    "F.max_unpool1d(signal, torch.arange(6).expand(1, 2, 6), 2, 2, 0, [12])",
    "F.max_unpool1d(signal, torch.arange(6):expand(1, 2, 6), 2, 2, 0, {99})":
    "F.max_unpool1d(signal, torch.arange(6).expand(1, 2, 6), 2, 2, 0, (99,))",
    "F.max_unpool1d(signal, t, 2, {padding = 9})": "F.max_unpool1d(signal, t, 2, padding=9)",
    "F.fractional_max_pool2d(image, 2)": None, "F.fractional_max_pool2d(image, 2, {output_ratio = {0.5, 0.5, 1}})":
    "F.fractional_max_pool2d(image, 2, output_ratio=(0.5, 0.5, 1))",
    # sizes
    "F.interpolate(image, 7)": None, "F.interpolate(image, {3, 5}, {mode = 'bicubic', antialias = true})":
    "F.interpolate(image, (3, 5), mode='bicubic', antialias=True)",
    "F.interpolate(image, {scale_factor = {0.7, 1.3}, mode = 'bilinear', align_corners = true})":
    "F.interpolate(image, scale_factor=(0.7, 1.3), mode='bilinear', align_corners=True)",
    "F.interpolate(image, {scale_factor = 1.7, mode = 'bilinear', recompute_scale_factor = true})":
    "F.interpolate(image, scale_factor=1.7, mode='bilinear', recompute_scale_factor=True)",
    "F.interpolate(signal, {scale_factor = 0.4, mode = 'area'})": "F.interpolate(signal, scale_factor=0.4, mode='area')",
    "F.interpolate(image, {2, 2, 2})": "F.interpolate(image, (2, 2, 2))", "F.interpolate(image)": None,
    "F.interpolate(image, 2, 2)": None, "F.interpolate(signal, 2, nil, 'bilinear')": "F.interpolate(signal, 2, None, 'bilinear')",
    "F.interpolate(x, 2)": None, "F.interpolate(image, {scale_factor = {2}})": "F.interpolate(image, scale_factor=(2,))",
    "F.interpolate(image, 2, nil, 'nearest', true)": "F.interpolate(image, 2, None, 'nearest', True)",
    "F.interpolate(image, 2, nil, 'lanczos')": "F.interpolate(image, 2, None, 'lanczos')",
    "F.upsample_bilinear(image, {scale_factor = 2})": "F.upsample_bilinear(image, scale_factor=2)",
    "F.grid_sample(image, image:narrow(1, 0, 2):permute(0, 2, 3, 1), 'bicubic', 'border', true)":
    "F.grid_sample(image, image.narrow(1, 0, 2).permute(0, 2, 3, 1), 'bicubic', 'border', True)",
    "F.grid_sample(image, image, 'linear')": None, "F.affine_grid(x[None], {1, 1, 2, 3})": "F.affine_grid(x[None], (1, 1, 2, 3))",
    "F.affine_grid(x[None], {1, 2, 3})": "F.affine_grid(x[None], [1, 2, 3])",
    "F.affine_grid(x, {1, 1, 2, 3}, true)": "F.affine_grid(x, [1, 1, 2, 3], True)",
    # losses
    "F.cross_entropy(x, t)": None, "F.cross_entropy(x, t, y[0], nil, 2, nil, 'sum', 0.1)":
    "F.cross_entropy(x, t, y[0], None, 2, None, 'sum', 0.1)", "F.nll_loss(x, t, nil, false)": "F.nll_loss(x, t, None, False)",
    "F.nll_loss(x, t, {reduction = 'average'})": "F.nll_loss(x, t, reduction='average')",
    "F.nll_loss(x, t, {reduction = 'elementwise_mean'})": "F.nll_loss(x, t, reduction='elementwise_mean')",
    "F.mse_loss(x, y[0])": None, "F.mse_loss(x, y, {weight = y})": "F.mse_loss(x, y, weight=y)",
    "F.l1_loss(x, y, nil, false)": "F.l1_loss(x, y, None, False)", "F.l1_loss(x, y, {weight = y[0]})": "F.l1_loss(x, y, weight=y[0])",
    "F.smooth_l1_loss(x, y, {beta = 0})": "F.smooth_l1_loss(x, y, beta=0)", "F.huber_loss(x, y, 'none', 0.5, y)": None,
    "F.huber_loss(x, y, 'all', 0.5, y)": None, "F.kl_div(x, y, {reduction = 'batchmean'})": "F.kl_div(x, y, reduction='batchmean')",
    "F.kl_div(x, y, {log_target = true})": "F.kl_div(x, y, log_target=True)", "F.poisson_nll_loss(x, y, true, true)":
    "F.poisson_nll_loss(x, y, True, True)", "F.gaussian_nll_loss(x, y, y:select(1, 0))": "F.gaussian_nll_loss(x, y, y.select(1, 0))",
    "F.gaussian_nll_loss(x, y, 0.5, true)": "F.gaussian_nll_loss(x, y, 0.5, True)", "F.gaussian_nll_loss(x, y, -1.0)": None,
    "F.gaussian_nll_loss(x, y, y[0])": None, "F.gaussian_nll_loss(x, y, y, {reduction = 'all'})":
    "F.gaussian_nll_loss(x, y, y, reduction='all')", "F.binary_cross_entropy(x:sigmoid(), y - 1, y[0])":
    "F.binary_cross_entropy(x.sigmoid(), y - 1, y[0])", "F.binary_cross_entropy(x:sigmoid(), y[0])":
    "F.binary_cross_entropy(x.sigmoid(), y[0])", "F.binary_cross_entropy_with_logits(x, y[0])": None,
    "F.linear_cross_entropy(x, w, t)": None, "F.linear_cross_entropy(x, w:view(2, 2, 3), torch.tensor{{0, 1}, {1, 1}})":
    "F.linear_cross_entropy(x, w.view(2, 2, 3), torch.tensor([[0, 1], [1, 1]]))", "F.linear_cross_entropy(x, x[0], t)": None,
    "F.linear_cross_entropy(x, w, t, {linear_bias = y[0]})": "F.linear_cross_entropy(x, w, t, linear_bias=y[0])",
    "F.margin_ranking_loss(x, y, x:sign(), 0.5)": "F.margin_ranking_loss(x, y, x.sign(), 0.5)",
    "F.margin_ranking_loss(x, y, y[0])": None, "F.multi_margin_loss(x, t, 3)": None,
    "F.multi_margin_loss(x, t, 2, 0.5, y)": None, "F.multilabel_soft_margin_loss(x, y, y[0], false)":
    "F.multilabel_soft_margin_loss(x, y, y[0], False)", "F.triplet_margin_loss(x, y, -y, 2, 1, 1e-6, true)":
    "F.triplet_margin_loss(x, y, -y, 2, 1, 1e-6, True)", "F.triplet_margin_loss(x, y, -y, 0)": None,
    "F.triplet_margin_with_distance_loss(x, y, -y, {swap = true, distance_function = function(a, b) return (a - b):abs():sum(1) end})":
    "F.triplet_margin_with_distance_loss(x, y, -y, swap=True, distance_function=lambda a, b: (a - b).abs().sum(1))",
    "F.triplet_margin_with_distance_loss(x, y[0], y)": None,
    # normalization and attention
    "F.group_norm(x, 3)": None, "F.group_norm(x[0], 3)": None, "F.instance_norm(signal)": None,
    "F.instance_norm(signal:narrow(2, 0, 1))": "F.instance_norm(signal.narrow(2, 0, 1))",
    "F.batch_norm(x, nil, nil, {training = true})": "F.batch_norm(x, None, None, training=True)",
    "F.batch_norm(x:narrow(0, 0, 1), nil, nil, {training = true})": "F.batch_norm(x.narrow(0, 0, 1), None, None, training=True)",
    "F.batch_norm(x, y[0], y[0], {eps = -1.0})": "F.batch_norm(x, y[0], y[0], eps=-1.0)", "F.local_response_norm(x, 2)": None,
    "F.multi_head_attention_forward(signal[0][None], x, x, 6, 2)": None,
    "F.dropout(x, 1.5)": None, "F.dropout1d(image)": None, "F.gumbel_softmax(x, 0)": "F.gumbel_softmax(x, 0.0)",
    # torch
    "torch.broadcast_shapes({2, 3}, {4})": "torch.broadcast_shapes((2, 3), (4,))",
    "torch.broadcast_shapes(3, {2, 1})": "list(torch.broadcast_shapes(3, (2, 1)))",
    "torch.unravel_index(k, {4, -5})": "torch.unravel_index(k, (4, -5))", "torch.unravel_index(x, 9)": None,
    "torch.split(x, {1, 2}, 1)": "torch.split(x, [1, 2], 1)", "torch.norm(x, 'nuc')": None, "torch.norm(x, 'wide')": None,
    "torch.norm(x, 3, {0, 1}, true)": "torch.norm(x, 3, (0, 1), True)", "torch.norm(x:to_sparse())": "torch.norm(x.to_sparse())",
    "torch.norm(x:to_sparse(), 1)": "torch.norm(x.to_sparse(), 1)", "torch.norm(x, math.huge)": "torch.norm(x, float('inf'))",
    "torch.cdist(x, y, {compute_mode = 'fast'})": "torch.cdist(x, y, compute_mode='fast')",
    "torch.tensordot(x, y, 3)": None, "torch.tensordot(x, y, {{0, 1}, {0, 1}})": "torch.tensordot(x, y, ([0, 1], [0, 1]))",
    "torch.einsum(x, {0, 1}, y, {0, 1})": "torch.einsum(x, [0, 1], y, [0, 1])", "torch.einsum('ij')": None,
    "torch.chain_matmul(x, y.T, x)": None, "torch.lu(y:mm(y.T))": "torch.lu(y.mm(y.T))",
    "torch.unique(k % 3, true, true, true)": "torch.unique(k % 3, True, True, True)", "torch.pca_lowrank(x, 5)": None,
    "torch.asarray({1, 2.5})": "torch.asarray([1, 2.5])", "torch.asarray(k, {dtype = torch.float32, copy = false})":
    "torch.asarray(k, dtype=torch.float32, copy=False)", "torch.asarray({1}, {copy = false})": "torch.asarray([1], copy=False)",
    "torch.frombuffer('abcdefgh', {dtype = torch.int32, offset = 9})":
    "torch.frombuffer(bytearray(b'abcdefgh'), dtype=torch.int32, offset=9)", "torch.nonzero(m, {as_tuple = true})":
    "torch.nonzero(m, as_tuple=True)", "torch.matrix_rank(x)": None, "torch.solve(x, y)": None, "torch.lstsq(x, y)": None,
    "torch.symeig(x)": None, "torch.eig(x)": None, "x:type('torch.Foo')": "x.type('torch.Foo')",
    "x:type()": "x.type()", "x:half():type()": "x.half().type()", "x:to_sparse():type()": "x.to_sparse().type()",
    "x.T:dim_order()": "list(x.T.dim_order())", "x:narrow(0, 0, 1):dim_order{ambiguity_check = true}":
    "x.narrow(0, 0, 1).dim_order(ambiguity_check=True)", "x:new_tensor({1, 2})": "x.new_tensor([1, 2])",
    "x:resize(4)": "x.resize(4)", "k:map_(x, math.max)": "k.map_(x, max)", "k:clone():apply_(function(v) return v * v end)":
    "k.clone().apply_(lambda v: v * v)", "k:clone():map_(k[1], function(a, b) return a - b end)":
    "k.clone().map_(k[1], lambda a, b: a - b)", "x:__rpow__(2)": "x.__rpow__(2)", "k:__index__()": "k.__index__()",
    # namespaces
    "torch.masked.mean(k, 1, {mask = m})": "torch.masked.mean(k, 1, mask=m)", "torch.masked.sum(x, {0, 0})": "torch.masked.sum(x, (0, 0))",
    "torch.masked.amax(x, 2)": None, "torch.masked.median(k, 1, {mask = m})": "torch.masked.median(k, 1, mask=m)",
    "torch.masked.var(x, nil, nil, {mask = m, correction = 0})": "torch.masked.var(x, None, None, mask=m, correction=0)",
    "torch.masked.norm(x, -math.huge, {mask = m})": "torch.masked.norm(x, float('-inf'), mask=m)",
    "torch.masked.logaddexp(x, y, {input_mask = m})": "torch.masked.logaddexp(x, y, input_mask=m)",
    "torch.masked.sum(x:to_sparse(), 0, {mask = m}):to_dense()": "torch.masked.sum(x.to_sparse(), 0, mask=m).to_dense()",
    "torch.masked.amin(x:to_sparse(), 0)": "torch.masked.amin(x.to_sparse(), 0)",
    "torch.signal.windows.gaussian(5, {std = 0})": "torch.signal.windows.gaussian(5, std=0)",
    "torch.signal.windows.kaiser(5, {sym = false, beta = 3})": "torch.signal.windows.kaiser(5, sym=False, beta=3)",
    "torch.signal.windows.hann(-2)": None, "torch.signal.windows.blackman(4, {dtype = torch.int32})":
    "torch.signal.windows.blackman(4, dtype=torch.int32)", "torch.sparse.sum(x:to_sparse(), {dtype = torch.float64})":
    "torch.sparse.sum(x.to_sparse(), dtype=torch.float64)", "torch.sparse.mm(x:to_sparse(), y.T)": "torch.sparse.mm(x.to_sparse(), y.T)",
    "torch.sparse.addmm(x:mm(y.T), x:to_sparse(), y.T, {beta = 2})": "torch.sparse.addmm(x.mm(y.T), x.to_sparse(), y.T, beta=2)",
    "torch.sparse.log_softmax(x:to_sparse(), 1):to_dense()": "torch.sparse.log_softmax(x.to_sparse(), 1).to_dense()",
    "torch.nested.to_padded_tensor(torch.nested.nested_tensor{x[0], y}, 0)":
    "torch.nested.to_padded_tensor(torch.nested.nested_tensor([x[0], y]), 0)", "torch.nested.as_nested_tensor(x[0])": None,
    "torch.nested.as_nested_tensor(3)": None, "torch.nested.nested_tensor(3)": None,
    "torch.nested.to_padded_tensor(torch.nested.nested_tensor{x[0], y[1]}, 0)":
    "torch.nested.to_padded_tensor(torch.nested.nested_tensor([x[0], y[1]]), 0)",
}
# Errors of other words, each with its reason.
OTHER_ERRORS = {
    "F.multi_head_attention_forward(signal[0][None], x, x, 6, 2)": "arguments that may be None have defaults in Lua",
    "torch.masked.amin(x:to_sparse(), 0)": "PyTorch's text speaks of amax",
}


def flatten(value):
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in flatten(item)]
    return [value]


def run(code, values):
    try:
        return flatten(eval(code, {"torch": torch, "F": F}, values)), None
    except Exception as error:
        return None, str(error)


def test_calls_and_their_errors(trainhost, tmp_path):
    exchange, expected = Exchange(tmp_path), {}
    local = "local F, None = torch.nn.functional, torch.None\n"
    for name, value in VALUES.items():
        local += f"  local {name} = {exchange.tensor(value)}\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for lua, python in CALLS.items():
            torch.manual_seed(0)
            expected[lua] = run(python or lua, {name: value.clone() for name, value in VALUES.items()})
            exchange.case(lua, f"torch.manual_seed(0)\n  {local}  return {lua}")
    got, wrong = exchange.run(trainhost), {}
    for lua, (results, error) in expected.items():
        result = got[lua]
        if error is None:
            text = result.error and "error " + result.error or difference(results, flatten(result.values), 1e-6, 1e-7)
        elif result.error is None:
            text = f"no error, expected {error}"
        else:
            text = None if error.strip() in result.error else f"{result.error} | expected {error}"
            if lua in OTHER_ERRORS:
                text = None if text else "the same error, take it off the list"
        if text:
            wrong[lua] = text
    assert not wrong, f"{len(wrong)} of {len(expected)} differ\n" + "\n".join(f"{k}: {v}" for k, v in wrong.items())
