-- nn.functional's argument errors and special cases, each as PyTorch's Python has it.
local test = require "test"
local torch = require "torch"
local F = torch.nn.functional

test.case("interpolate refuses what PyTorch refuses", function()
  local x = torch.arange(4):float():view(1, 1, 2, 2)
  test.raises("either size or scale_factor should be defined", F.interpolate, x)
  test.raises("only one of size or scale_factor should be defined", F.interpolate, x, 3, 2)
  test.raises("align_corners option can only be set with the interpolating modes", F.interpolate, x,
    {size = 3, align_corners = true})
  test.raises("input with spatial dimensions of [2, 2] and output size of (1, 2, 3)", F.interpolate, x, {1, 2, 3})
  test.raises("spatial dimensions of [2, 2] and scale_factor of shape (2,)", F.interpolate, x, {scale_factor = {2}})
  test.raises("Got 4D input, but linear mode needs 3D input", F.interpolate, x, {size = 3, mode = "linear"})
  test.raises("Only 3D, 4D and 5D input Tensors supported (got 4D)", F.interpolate, x, {size = 3, mode = "cubist"})
  test.raises("Anti-alias option is restricted", F.interpolate, x, {size = 3, antialias = true})
  test.raises("recompute_scale_factor is not meaningful with an explicit size.", F.interpolate, x,
    {size = 3, recompute_scale_factor = true})
  test.raises("Lanczos mode requires antialias=True", F.interpolate, x, {size = 3, mode = "lanczos"})
  local half = {scale_factor = 0.5}
  test.equal(F.interpolate(x, half), torch.tensor{{{{0.0}}}})
  half.mode = "area"
  test.equal(F.interpolate(x, half), torch.tensor{{{{1.5}}}})
end)

test.case("grid_sample and affine_grid name what is wrong", function()
  local x, grid = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 1, 2)
  test.raises("expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: 'lanczos'", F.grid_sample, x, grid, "lanczos")
  test.raises("expected padding_mode to be 'zeros', 'border', or 'reflection', but got: 'none'", F.grid_sample, x, grid,
    "nearest", "none")
  local theta = torch.ones(1, 2, 3)
  test.raises("Expected theta to have floating point type, but got torch.int64", F.affine_grid, theta:long(), {1, 1, 2, 2},
    false)
  test.raises("Expected a batch of 3D affine matrices of shape Nx3x4 for size [1, 1, 2, 2, 2]. Got torch.Size([1, 2, 3]).",
    F.affine_grid, theta, {1, 1, 2, 2, 2}, false)
  test.raises("affine_grid only supports 4D and 5D sizes", F.affine_grid, theta, {1, 2, 2}, false)
  test.raises("Expected non-zero, positive output size. Got [1, 1, 0, 2]", F.affine_grid, theta, {1, 1, 0, 2}, false)
end)

test.case("unpooling takes the sizes that pooling can have come from", function()
  local x = torch.arange(1, 7):float():view(1, 1, 6)
  local y, where = F.max_pool1d(x, 2, {return_indices = true})
  test.equal(F.max_unpool1d(y, where, 2), torch.tensor{{{0., 2, 0, 4, 0, 6}}})
  test.equal(F.max_unpool1d(y, where, 2, {output_size = {1, 1, 7}}).shape, {1, 1, 7})
  test.raises('invalid output_size "(9,)" (dim 0 must be between 4 and 8)', F.max_unpool1d, y, where, 2, {output_size = {9}})
  test.raises("should be a sequence containing 1 or 3 elements, but it has a length of '2'", F.max_unpool1d, y, where, 2,
    {output_size = {1, 7}})
  test.raises("requires specifying either an output_size or an output_ratio", F.fractional_max_pool2d, x:view(1, 1, 2, 3), 2)
end)

test.case("adaptive pools keep the input's size for None", function()
  local x = torch.randn(2, 3, 4, 6)
  test.equal(F.adaptive_max_pool2d(x, {torch.None, 2}).shape, {2, 3, 4, 2})
  test.equal(F.adaptive_avg_pool2d(x, {nil, 2}).shape, {2, 3, 4, 2})
  test.raises("Input dimension should be at least 3", F.adaptive_max_pool2d, torch.ones(2, 2), {1, 1})
  local maxima, indices = F.adaptive_max_pool2d_with_indices(x, 1)
  test.equal(maxima, x:amax({2, 3}, true))
  test.equal(indices.dtype, torch.int64)
  test.equal(select("#", F.adaptive_max_pool2d(x, 1)), 1)
end)

test.case("an infinite lp_pool is a maximum", function()
  local x = torch.tensor{{{-3., 1, 2, -1}}}
  test.equal(F.lp_pool1d(x, math.huge, 2), torch.tensor{{{3., 2}}})
  test.near(F.lp_pool1d(x, 2, 2), torch.tensor{{{10 ^ 0.5, 5 ^ 0.5}}}, 1e-6)
end)

test.case("losses check reductions, margins and shapes", function()
  local x, y = torch.zeros(2, 3), torch.ones(2, 3)
  test.raises("avg is not a valid value for reduction", F.poisson_nll_loss, x, y, {reduction = "avg"})
  test.raises("avg is not valid", F.multilabel_soft_margin_loss, x, y, {reduction = "avg"})
  test.raises("var has negative entry/entries", F.gaussian_nll_loss, x, y, -y)
  test.raises("var is of incorrect size", F.gaussian_nll_loss, x, y, torch.ones(3, 3))
  test.raises("only p == 1 and p == 2 supported", F.multi_margin_loss, x, torch.tensor{0, 1}, 3)
  test.raises("weight must be one-dimensional", F.multi_margin_loss, x, torch.tensor{0, 1}, {weight = y})
  test.raises("margin must be greater than 0, got -1", F.triplet_margin_loss, x, y, y, -1)
  test.raises("takes at most 3 arguments", F.triplet_margin_with_distance_loss, x, y, y, 2)
  test.raises("anchor 2D, positive 1D, and negative 2D inputs", F.triplet_margin_with_distance_loss, x, y[0], y)
  test.raises("All input tensors should have same dimension but got sizes: input1: torch.Size([2, 3])",
    F.margin_ranking_loss, x, y[0], y)
  test.raises("Weights and input must have the same size.", F.mse_loss, x, y, {weight = y[0]})
  test.raises("Using a target size (torch.Size([3])) that is different to the input size (torch.Size([2, 3])) is deprecated",
    F.binary_cross_entropy, y, y[0])
  test.raises("ignore_index cannot be specified when target contains probabilities", F.linear_cross_entropy, x,
    torch.ones(4, 3), torch.ones(2, 4), {ignore_index = 1})
end)

test.case("a mean with weights is the weighted mean", function()
  local x, y, w = torch.tensor{1., 2}, torch.tensor{0., 0}, torch.tensor{1., 3}
  test.equal(F.mse_loss(x, y, {weight = w}):item(), (1 + 4 * 3) / 4)
  test.equal(F.l1_loss(x, y, {weight = w, reduction = "sum"}):item(), 7.0)
end)

test.case("the old arguments of losses still choose the reduction", function()
  local x, y = torch.tensor{1., 2}, torch.tensor{0., 0}
  test.equal(F.mse_loss(x, y, false):item(), 5.0)
  test.equal(F.mse_loss(x, y, nil, false), torch.tensor{1., 4})
  test.equal(F.mse_loss(x, y, true, true, "sum"):item(), 2.5)
  local logits, target = torch.randn(2, 3), torch.tensor{0, 2}
  test.equal(F.cross_entropy(logits, target, nil, false), F.cross_entropy(logits, target, {reduction = "sum"}))
  test.equal(F.cross_entropy(logits, target, nil, nil, 2), F.cross_entropy(logits:narrow(0, 0, 1), torch.tensor{0}))
end)

test.case("embedding_bag says which of its arguments do not go together", function()
  local weight, ids = torch.arange(6):float():view(3, 2), torch.tensor{0, 2, 1}
  test.equal(F.embedding_bag(ids, weight, torch.tensor{0, 2}, {mode = "sum"}), torch.tensor{{4., 6}, {2., 3}})
  test.raises("offsets has to be a 1D Tensor but got None", F.embedding_bag, ids, weight)
  test.raises("mode has to be one of sum, mean or max", F.embedding_bag, ids, weight, torch.tensor{0}, {mode = "min"})
  test.raises("if input is 2D, then offsets has to be None", F.embedding_bag, ids:view(1, 3), weight, torch.tensor{0})
  test.raises("max mode does not support sparse weights", F.embedding_bag, ids, weight, torch.tensor{0},
    {mode = "max", sparse = true})
  test.raises("per_sample_weights is only supported for mode='sum' (got mode='mean')", F.embedding_bag, ids, weight,
    torch.tensor{0}, {per_sample_weights = torch.ones(3)})
  test.raises("weight has to be a 2D Tensor, but got Tensor of dimension 1", F.embedding_bag, ids, weight[0], torch.tensor{0})
end)

test.case("dropouts and activations check their arguments", function()
  test.raises("dropout probability has to be between 0 and 1, but got 1.5", F.dropout, torch.ones(2), 1.5)
  test.raises("dropout1d: Expected 2D or 3D input, but received a 1D input.", F.dropout1d, torch.ones(2))
  test.raises("min_val cannot be greater than max_val", F.hardtanh, torch.ones(2), 1, -1)
  test.raises("glu does not support scalars because halving size must be even", F.glu, torch.tensor(1.0))
  local x = torch.tensor{-2., 3}
  test.equal(F.relu{input = x, inplace = true}, torch.tensor{0., 3})
  test.equal(x, torch.tensor{0., 3})
  test.equal(F.elu_(torch.tensor{1.0}), torch.tensor{1.0})
end)

test.case("normalizations refuse one value a channel", function()
  test.raises("Expected more than 1 value per channel when training, got input size torch.Size([1, 2])", F.batch_norm,
    torch.ones(1, 2), nil, nil, {training = true})
  test.raises("batch_norm eps must be positive during training, but got 0", F.batch_norm, torch.ones(2, 2), nil, nil,
    {training = true, eps = 0})
  test.raises("Expected more than 1 spatial element when training, got input size torch.Size([2, 2, 1])", F.instance_norm,
    torch.ones(2, 2, 1))
  test.raises("Expected more than 1 value per channel when training, got input size [1, 2]", F.group_norm, torch.ones(1, 2), 2)
  local out = torch.empty(2, 2)
  test.equal(F.normalize(torch.eye(2), {out = out}), torch.eye(2))
  test.equal(out, torch.eye(2))
end)

test.case("attention names the mask that does not fit", function()
  local x, w, b = torch.randn(3, 2, 4), torch.randn(12, 4), torch.zeros(12)
  local function attend(options, query)
    return F.multi_head_attention_forward(query or x, query or x, query or x, 4, 2, w, b, nil, nil, false, 0.0,
      torch.eye(4), torch.zeros(4), options)
  end
  local output, weights = attend {}
  test.equal({output.shape, weights.shape}, {{3, 2, 4}, {2, 3, 3}})
  local fast, none = attend {need_weights = false}
  test.near(fast, output, 1e-5)
  test.equal(none, nil)
  local single = attend({}, x[{":", 0}])
  test.near(single, output[{":", 0}], 1e-5)
  test.raises("The shape of the 2D attn_mask is torch.Size([2, 3]), but should be (3, 3).", attend,
    {attn_mask = torch.zeros(2, 3)})
  test.raises("Need attn_mask if specifying the is_causal hint.", attend, {is_causal = true})
  test.raises("only bool and floating types of attn_mask are supported", attend,
    {attn_mask = torch.zeros(3, 3, {dtype = torch.int64})})
  test.raises("query should be unbatched 2D or batched 3D tensor but received 1-D query tensor", attend, {}, torch.ones(4))
end)

test.case("grouped_mm multiplies batches, gaussian_nll_loss keeps the gradient of a clamped variance", function()
  local a, b = torch.ones(2, 16, 32):bfloat16(), torch.ones(2, 32, 16):bfloat16()
  test.equal(F.grouped_mm(a, b), a:bmm(b))
  local var = torch.tensor({0.5, 1e-9}, {requires_grad = true})
  F.gaussian_nll_loss(torch.zeros(2), torch.zeros(2), var, {reduction = "sum"}):backward()
  test.near(var.grad, torch.tensor{1.0, 0.5e6}, 1.0)
end)

test.case("all names of the namespace are listed by pairs", function()
  local seen = 0
  for _, f in pairs(F) do
    test.truthy(f ~= nil)
    seen = seen + 1
  end
  test.truthy(seen >= 136, seen)
  local err = test.raises("torch.nn.functional has no 'relux'", function() return F.relux end)
  test.equal(err.hint, "did you mean 'relu'?")
end)
