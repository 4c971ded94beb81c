-- Normalizations of torch.nn that learn their number of channels from the first batch.
local allocate = require "torch.nn.allocate"
local batch_norm = require "torch.nn.batch_norm"
local instance_norm = require "torch.nn.instance_norm"
local lazy = require "torch.nn.lazy"
local uninitialized = require "torch.nn.uninitialized"

local layers = {}

local SPEC <const> = "eps=1e-5, momentum=0.1, affine=true, track_running_stats=true, device=nil, dtype=nil, *, bias=true"
local KINDS <const> = "eps: number, momentum: number?, affine: flag, track_running_stats: flag"

local function over(base)
  local class, parse = lazy.over("Lazy" .. base.__name, base, SPEC, KINDS, "num_features")

  function class:__init(...)
    local eps, momentum, affine, track, device, dtype, bias = parse(...)
    base.__init(self, 0, eps, momentum, false, false, device, dtype, {bias = false})
    lazy.LazyModuleMixin.__init(self)
    self.affine, self.track_running_stats = affine, track
    if affine then
      self.weight = uninitialized.UninitializedParameter(true, device, dtype)
      if bias then self.bias = uninitialized.UninitializedParameter(true, device, dtype) end
    end
    if track then
      self.running_mean = uninitialized.UninitializedBuffer(false, device, dtype)
      self.running_var = uninitialized.UninitializedBuffer(false, device, dtype)
      self.num_batches_tracked = allocate.counter(device)
    end
  end

  --- Gives parameters and running statistics the shape for this input.
  ---@param x Tensor [batch, channels, ...]
  ---@example local layer = nn.LazyBatchNorm1d()
  --- layer:initialize_parameters(torch.ones(4, 5))
  --- layer.weight.shape  --> torch.Size([5])
  function class:initialize_parameters(x)
    if not self:has_uninitialized_params() then return end
    self.num_features = x:size(1)
    for _, name in ipairs {"weight", "bias", "running_mean", "running_var"} do
      if uninitialized.is_lazy(self[name]) then self[name]:materialize{self.num_features} end
    end
    self:reset_parameters()
  end

  return class
end

--- Batch normalization of signals that learns `num_features` from its first input, and is a BatchNorm1d from then on.
---@param eps number added to the variance, 1e-5
---@param momentum number? the share of what is new in the running statistics, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example local layer = nn.LazyBatchNorm1d()
--- layer(torch.rand(4, 5, 6))
--- layer.num_features  --> 5
---@source torch.nn.LazyBatchNorm1d
layers.LazyBatchNorm1d = over(batch_norm.BatchNorm1d)

--- Batch normalization of images that learns `num_features` from its first input, and is a BatchNorm2d from then on.
---@param eps number added to the variance, 1e-5
---@param momentum number? the share of what is new in the running statistics, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example local layer = nn.LazyBatchNorm2d()
--- layer(torch.rand(4, 5, 6, 6))
--- layer.num_features  --> 5
---@source torch.nn.LazyBatchNorm2d
layers.LazyBatchNorm2d = over(batch_norm.BatchNorm2d)

--- Batch normalization of volumes that learns `num_features` from its first input, and is a BatchNorm3d from then on.
---@param eps number added to the variance, 1e-5
---@param momentum number? the share of what is new in the running statistics, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example local layer = nn.LazyBatchNorm3d()
--- layer(torch.rand(4, 5, 3, 3, 3))
--- layer.num_features  --> 5
---@source torch.nn.LazyBatchNorm3d
layers.LazyBatchNorm3d = over(batch_norm.BatchNorm3d)

--- Instance normalization of signals that learns `num_features` from its first input, and is a InstanceNorm1d from then on.
---@param eps number added to the variance, 1e-5
---@param momentum number? the share of what is new in the running statistics, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example local layer = nn.LazyInstanceNorm1d()
--- layer(torch.rand(4, 5, 6))
--- layer.num_features  --> 5
---@source torch.nn.LazyInstanceNorm1d
layers.LazyInstanceNorm1d = over(instance_norm.InstanceNorm1d)

--- Instance normalization of images that learns `num_features` from its first input, and is a InstanceNorm2d from then on.
---@param eps number added to the variance, 1e-5
---@param momentum number? the share of what is new in the running statistics, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example local layer = nn.LazyInstanceNorm2d()
--- layer(torch.rand(4, 5, 6, 6))
--- layer.num_features  --> 5
---@source torch.nn.LazyInstanceNorm2d
layers.LazyInstanceNorm2d = over(instance_norm.InstanceNorm2d)

--- Instance normalization of volumes that learns `num_features` from its first input, and is a InstanceNorm3d from then on.
---@param eps number added to the variance, 1e-5
---@param momentum number? the share of what is new in the running statistics, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example local layer = nn.LazyInstanceNorm3d()
--- layer(torch.rand(4, 5, 3, 3, 3))
--- layer.num_features  --> 5
---@source torch.nn.LazyInstanceNorm3d
layers.LazyInstanceNorm3d = over(instance_norm.InstanceNorm3d)

return layers
