-- torch.nn.functional: PyTorch's functions, thin over the catalogued operators.
local catalog = require "native.ops"
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local vm = require "native.vm"

local functional = {}

-- Operators that take what the function of that name takes; their schemas are their documentation.
for _, name in ipairs {
  "linear", "bilinear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose3d",
  "max_pool1d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
  "adaptive_avg_pool1d",
  "relu6", "sigmoid", "tanh", "gelu", "softplus", "logsigmoid", "softsign", "tanhshrink", "softshrink", "hardshrink",
  "prelu", "glu", "one_hot", "pad", "pixel_shuffle", "pixel_unshuffle", "cosine_similarity",
  "pairwise_distance", "grid_sample", "affine_grid", "scaled_dot_product_attention",
} do
  functional[name] = catalog.find(name) or catalog.find_any("aten::" .. name)
end
functional.conv_transpose2d = catalog.find_any("aten::conv_transpose2d")
functional.logsigmoid = catalog.find_any("aten::log_sigmoid")

for _, part in ipairs {"activations", "windows", "normalization", "losses"} do
  for name, f in pairs(require("torch.nn.functional." .. part)) do functional[name] = f end
end

return setmetatable(functional, {
  __name = "torch.nn.functional",
  __index = function(_, name)
    vm.raise("usage", ("torch.nn.functional has no '%s'"):format(tostring(name)),
      keywords.did_you_mean(name, ordered.keys(functional)))
  end,
})
