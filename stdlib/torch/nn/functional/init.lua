-- torch.nn.functional: PyTorch's functions, each file loaded when one of its functions is first used.
local catalog = require "native.ops"
local namespace = require "host.namespace"

-- Functions that are one operator in PyTorch are the operator; its schema is their documentation.
local operators <const> = {}
for name in ([[
  linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc avg_pool1d avg_pool2d
  avg_pool3d adaptive_avg_pool1d sigmoid tanh gelu softplus softshrink hardshrink prelu one_hot pad pixel_shuffle
  pixel_unshuffle channel_shuffle native_channel_shuffle cosine_similarity pairwise_distance pdist rms_norm
  scaled_dot_product_attention relu_ hardtanh_ elu_ selu_ celu_ leaky_relu_ rrelu_ threshold_]]):gmatch "%S+" do
  operators[name] = catalog.find_any("aten::" .. name)
end
operators.logsigmoid = catalog.find_any "aten::log_sigmoid"

return namespace("torch.nn.functional", {held = operators, files = {
  ["torch.nn.functional.activations"] = "relu silu mish hardswish hardsigmoid selu relu6 leaky_relu elu celu hardtanh "
    .. "threshold rrelu glu tanhshrink softsign",
  ["torch.nn.functional.attention"] = "multi_head_attention_forward",
  ["torch.nn.functional.dropouts"] = "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout",
  ["torch.nn.functional.embeddings"] = "embedding embedding_bag",
  ["torch.nn.functional.folding"] = "unfold fold",
  ["torch.nn.functional.losses"] = "cross_entropy nll_loss linear_cross_entropy binary_cross_entropy "
    .. "binary_cross_entropy_with_logits kl_div ctc_loss",
  ["torch.nn.functional.margin_losses"] = "soft_margin_loss multilabel_margin_loss hinge_embedding_loss "
    .. "cosine_embedding_loss margin_ranking_loss multi_margin_loss multilabel_soft_margin_loss triplet_margin_loss "
    .. "triplet_margin_with_distance_loss",
  ["torch.nn.functional.normalization"] = "batch_norm instance_norm layer_norm group_norm normalize local_response_norm",
  ["torch.nn.functional.pooling"] = "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices "
    .. "max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
    .. "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices "
    .. "adaptive_avg_pool2d adaptive_avg_pool3d lp_pool1d lp_pool2d lp_pool3d",
  ["torch.nn.functional.regression_losses"] = "mse_loss l1_loss smooth_l1_loss huber_loss poisson_nll_loss "
    .. "gaussian_nll_loss",
  ["torch.nn.functional.resampling"] = "interpolate upsample upsample_nearest upsample_bilinear grid_sample affine_grid "
    .. "GRID_SAMPLE_INTERPOLATION_MODES GRID_SAMPLE_PADDING_MODES",
  ["torch.nn.functional.scaled_products"] = "grouped_mm scaled_mm scaled_grouped_mm ScalingType SwizzleType",
  ["torch.nn.functional.softmaxes"] = "softmax log_softmax softmin gumbel_softmax",
  ["torch.nn.functional.unpooling"] = "fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d "
    .. "fractional_max_pool3d_with_indices max_unpool1d max_unpool2d max_unpool3d",
}})
