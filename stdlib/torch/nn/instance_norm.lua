-- Instance normalization of torch.nn: each channel of each sample by its own statistics.
local NormBase = require("torch.nn.batch_norm").NormBase
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local native = require "native.model"
local vm = require "native.vm"
local warn = require "torch.warn"

local fields <const>, instance_norm <const> = native.fields, functional.instance_norm

local layers = {}

local SPEC <const> = "num_features, eps=1e-5, momentum=0.1, affine=false, track_running_stats=false, device=nil, "
  .. "dtype=nil, *, bias=true"
local KINDS <const> = "num_features: size, eps: number, momentum: number?, affine: flag, track_running_stats: flag"

local function check_channels(f, x, at)
  local channels = x:size(at)
  if channels == f.num_features then return end
  if f.affine then
    vm.raise("shape", ("expected input's size at dim=%d to match num_features (%d), but got: %d."):format(at,
      f.num_features, channels))
  end
  warn(("input's size at dim=%d does not match num_features. You can silence this warning by not passing in num_features, "
    .. "which is not used because affine=False"):format(at))
end

-- Running statistics in a state dict from before they were optional.
local function upgrade(self, state, prefix, metadata, errors)
  if metadata.version == nil and not self.track_running_stats then
    local keys = {}
    for _, name in ipairs {"running_mean", "running_var"} do
      local key = prefix .. name
      if state[key] ~= nil then
        keys[#keys + 1] = ('"%s"'):format(key)
        state[key] = nil
      end
    end
    if #keys > 0 then
      errors[#errors + 1] = ("Unexpected running stats buffer(s) {names} for {klass} with track_running_stats=False. If "
        .. "state_dict is a checkpoint saved before 0.4.0, this may be expected because {klass} does not track running "
        .. "stats by default since 0.4.0. Please remove these keys from state_dict. If the running stats are actually "
        .. "needed, instead set track_running_stats=True in {klass} to enable them. See the documentation of {klass} for "
        .. "details."):gsub("{(%a+)}", {names = table.concat(keys, " and "), klass = native.class_of(self).__name})
    end
  end
  NormBase._upgrade_state_dict(self, state, prefix, metadata)
end

local function of_dims(dims)
  local class, parse = layer(("InstanceNorm%dd"):format(dims), SPEC, KINDS, NormBase)
  local unbatched = dims + 1

  class._upgrade_state_dict = upgrade
  function class:__init(...) self:__fill(parse(...)) end

  ---@param x Tensor [batch, channels, ...] or without batch
  ---@return Tensor of x's shape
  function class:forward(x)
    local f, given = fields(self), x:dim()
    if given ~= unbatched and given ~= unbatched + 1 then
      vm.raise("shape", ("expected %dD or %dD input (got %dD input)"):format(unbatched, unbatched + 1, given))
    end
    check_channels(f, x, given - unbatched)
    local by_sample = self.training or not f.track_running_stats
    if given == unbatched then x = x:unsqueeze(0) end
    local y = instance_norm(x, f.running_mean, f.running_var, f.weight, f.bias, by_sample, f.momentum or 0.0, f.eps)
    return given == unbatched and y:squeeze(0) or y
  end

  return class
end

--- Instance normalization of signals of shape [batch, channels, length].
---@param num_features integer channels
---@param eps number added to the variance, 1e-5
---@param momentum number? the sample's share in the running statistics, 0.1
---@param affine boolean has a weight and a bias, false
---@param track_running_stats boolean keeps running statistics, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.InstanceNorm1d(1)(torch.tensor{{{1., 3.}}})  --> tensor([[[-1.0000,  1.0000]]])
---@source torch.nn.InstanceNorm1d
layers.InstanceNorm1d = of_dims(1)

--- Instance normalization of images of shape [batch, channels, height, width].
---@param num_features integer channels
---@param eps number added to the variance, 1e-5
---@param momentum number? the sample's share in the running statistics, 0.1
---@param affine boolean has a weight and a bias, false
---@param track_running_stats boolean keeps running statistics, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.InstanceNorm2d(3)(torch.rand(4, 3, 2, 2)).shape  --> torch.Size([4, 3, 2, 2])
---@source torch.nn.InstanceNorm2d
layers.InstanceNorm2d = of_dims(2)

--- Instance normalization of volumes of shape [batch, channels, depth, height, width].
---@param num_features integer channels
---@param eps number added to the variance, 1e-5
---@param momentum number? the sample's share in the running statistics, 0.1
---@param affine boolean has a weight and a bias, false
---@param track_running_stats boolean keeps running statistics, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.InstanceNorm3d(3)(torch.rand(4, 3, 2, 2, 2)).shape  --> torch.Size([4, 3, 2, 2, 2])
---@source torch.nn.InstanceNorm3d
layers.InstanceNorm3d = of_dims(3)

return layers
