-- Batch normalization of torch.nn, and what it shares with instance normalization: parameters and running statistics.
local allocate = require "torch.nn.allocate"
local catalog = require "native.ops"
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const>, batch_norm <const> = native.fields, functional.batch_norm
local by_statistics <const> = catalog.find_any "aten::batch_norm"  -- without the checks of training

local layers = {}

-- What normalizes channels by statistics.
local NormBase = module.class("NormBase")
layers.NormBase = NormBase

--- Fills in a normalization of channels.
function NormBase:__fill(features, eps, momentum, affine, track, device, dtype, bias)
  self.num_features, self.eps, self.momentum, self.affine, self.track_running_stats =
    features, eps, momentum, affine, track
  self:register_parameter("weight", affine and allocate.parameter({features}, device, dtype) or nil)
  self:register_parameter("bias", affine and bias and allocate.parameter({features}, device, dtype) or nil)
  self:register_buffer("running_mean", track and allocate.zeros({features}, device, dtype) or nil)
  self:register_buffer("running_var", track and allocate.ones({features}, device, dtype) or nil)
  self:register_buffer("num_batches_tracked", track and allocate.counter(device) or nil)
  self:reset_parameters()
end

--- Sets the running mean to 0, the variance to 1, the count of batches to 0.
function NormBase:reset_running_stats()
  if not self.track_running_stats then return end
  self.running_mean:zero_()
  self.running_var:fill_(1)
  self.num_batches_tracked:zero_()
end

--- Sets the weight to 1, the bias to 0 and the running statistics to those of no data.
function NormBase:reset_parameters()
  self:reset_running_stats()
  if self.weight then self.weight:detach():fill_(1.0) end
  if self.bias then self.bias:detach():zero_() end
end

function NormBase:extra_repr()
  return self.num_features .. ", " .. text.pairs("eps", self.eps, "momentum", self.momentum, "affine", self.affine,
    "bias", self.bias ~= nil, "track_running_stats", self.track_running_stats)
end

-- Since version 2 batches are counted.
NormBase._version = 2

--- Makes a state dict of an older version one of this version: before batches were counted.
function NormBase:_upgrade_state_dict(state, prefix, metadata)
  if (metadata.version or 0) >= 2 or not self.track_running_stats then return end
  local key, own = prefix .. "num_batches_tracked", self.num_batches_tracked
  if state[key] ~= nil then return end
  state[key] = own and not own.is_meta and own or allocate.counter("cpu")
end

-- What all batch normalizations inherit.
local BatchNorm = module.class("_BatchNorm", NormBase)

local function normalize(self, x)
  local f = fields(self)
  local mean, var, momentum, eps = f.running_mean, f.running_var, f.momentum, f.eps
  if not self.training then
    if mean and eps >= 0 then return by_statistics(x, f.weight, f.bias, mean, var, false, momentum or 0.0, eps, true) end
    return batch_norm(x, mean, var, f.weight, f.bias, mean == nil and var == nil, momentum or 0.0, eps)
  end
  if not f.track_running_stats then return batch_norm(x, nil, nil, f.weight, f.bias, true, momentum or 0.0, eps) end
  local tracked = f.num_batches_tracked
  if tracked then
    tracked:add_(1)
    if not momentum then momentum = 1.0 / tracked:item() end  -- cumulative average
  end
  return batch_norm(x, mean, var, f.weight, f.bias, true, momentum or 0.0, eps)
end

local SPEC <const> = "num_features, eps=1e-5, momentum=0.1, affine=true, track_running_stats=true, device=nil, dtype=nil, "
  .. "*, bias=true"
local KINDS <const> = "num_features: size, eps: number, momentum: number?, affine: flag, track_running_stats: flag"

local function of_dims(name, dims, other, expected)
  local class, parse = layer(name, SPEC, KINDS, BatchNorm)
  function class:__init(...) self:__fill(parse(...)) end
  ---@param x Tensor [batch, channels, ...]
  ---@return Tensor of x's shape
  function class:forward(x)
    local given = x:dim()
    if given ~= dims and given ~= other then
      vm.raise("shape", ("expected %s input (got %dD input)"):format(expected, given))
    end
    return normalize(self, x)
  end
  return class
end

--- Batch normalization of inputs of shape [batch, channels] or [batch, channels, length].
---@param num_features integer channels
---@param eps number added to the variance, 1e-5
---@param momentum number? the batch's share in the running statistics, nil takes their plain mean, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.BatchNorm1d(3)(torch.rand(4, 3)).shape  --> torch.Size([4, 3])
---@source torch.nn.BatchNorm1d
layers.BatchNorm1d = of_dims("BatchNorm1d", 2, 3, "2D or 3D")

--- Batch normalization of images of shape [batch, channels, height, width].
---@param num_features integer channels
---@param eps number added to the variance, 1e-5
---@param momentum number? the batch's share in the running statistics, nil takes their plain mean, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.BatchNorm2d(3)(torch.rand(4, 3, 2, 2)).shape  --> torch.Size([4, 3, 2, 2])
---@source torch.nn.BatchNorm2d
layers.BatchNorm2d = of_dims("BatchNorm2d", 4, 4, "4D")

--- Batch normalization of volumes of shape [batch, channels, depth, height, width].
---@param num_features integer channels
---@param eps number added to the variance, 1e-5
---@param momentum number? the batch's share in the running statistics, nil takes their plain mean, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.BatchNorm3d(3)(torch.rand(4, 3, 2, 2, 2)).shape  --> torch.Size([4, 3, 2, 2, 2])
---@source torch.nn.BatchNorm3d
layers.BatchNorm3d = of_dims("BatchNorm3d", 5, 5, "5D")

--- Batch normalization over all processes that train together. In one process, and in evaluation, it is that of the batch;
--- there are no process groups here yet.
---@param num_features integer channels
---@param eps number added to the variance, 1e-5
---@param momentum number? the batch's share in the running statistics, nil takes their plain mean, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param process_group any of the processes, nil
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.SyncBatchNorm(3)(torch.rand(4, 3)).shape  --> torch.Size([4, 3])
---@source torch.nn.SyncBatchNorm
local SyncBatchNorm, parse_sync = layer("SyncBatchNorm", "num_features, eps=1e-5, momentum=0.1, affine=true, "
  .. "track_running_stats=true, process_group=nil, device=nil, dtype=nil, *, bias=true", KINDS, BatchNorm)
layers.SyncBatchNorm = SyncBatchNorm

function SyncBatchNorm:__init(...)
  local features, eps, momentum, affine, track, group, device, dtype, bias = parse_sync(...)
  self:__fill(features, eps, momentum, affine, track, device, dtype, bias)
  self.process_group = group
end

---@param x Tensor [batch, channels, ...]
---@return Tensor of x's shape
function SyncBatchNorm:forward(x)
  if x:dim() < 2 then vm.raise("shape", ("expected at least 2D input (got %dD input)"):format(x:dim())) end
  if x:size(1) == 0 then vm.raise("shape", "SyncBatchNorm number of input channels should be non-zero") end
  return normalize(self, x)
end

local parse_convert = signature("nn.SyncBatchNorm.convert_sync_batchnorm", "module, process_group=nil")

--- A model whose batch normalizations are SyncBatchNorm; they keep their tensors. The model itself is changed, unless it
--- is a batch normalization.
---@param module Module
---@param process_group any of the processes, nil
---@return Module
---@example nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(2)))[0]
--- --> SyncBatchNorm(2, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
---@source torch.nn.SyncBatchNorm.convert_sync_batchnorm
function SyncBatchNorm.convert_sync_batchnorm(...)
  local original, group = parse_convert(...)
  local result = original
  if original:is_instance(BatchNorm) then
    result = SyncBatchNorm(original.num_features, original.eps, original.momentum, original.affine,
      original.track_running_stats, group, {bias = original.bias ~= nil})
    for _, name in ipairs {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"} do
      if original[name] ~= nil then result[name] = original[name] end
    end
    result.training = original.training
  end
  for name, child in original:named_children() do
    result[name] = SyncBatchNorm.convert_sync_batchnorm(child, group)
  end
  return result
end

return layers
