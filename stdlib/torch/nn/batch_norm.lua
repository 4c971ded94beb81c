-- Batch normalization for inputs of given dimensions: the classes BatchNorm1d and BatchNorm2d.
local allocate = require "torch.nn.allocate"
local functional = require "torch.nn.functional"
local module = require "torch.nn.module"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local fields <const>, batch_norm <const> = native.fields, functional.batch_norm

local BatchNorm = module.class("BatchNorm")
local parse = require "torch.nn.typed"(signature("nn.BatchNorm", "num_features, eps=1e-5, momentum=0.1, affine=true, "
  .. "track_running_stats=true, device=nil, dtype=nil, bias=true"), "nn.BatchNorm",
  "num_features: size, eps: number, momentum: number?, affine: flag, track_running_stats: flag")

---@param num_features integer channels
---@param eps number added to the variance, 1e-5
---@param momentum number? the batch's share in the running statistics, nil takes their plain mean, 0.1
---@param affine boolean has a weight and a bias, true
---@param track_running_stats boolean keeps running statistics, true
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param bias boolean with affine, has a bias, true
---@example nn.BatchNorm1d(3)(torch.rand(4, 3)).shape  --> torch.Size([4, 3])
---@source torch.nn.BatchNorm2d
function BatchNorm:__init(...)
  local features, eps, momentum, affine, track, device, dtype, bias = parse(...)
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
function BatchNorm:reset_running_stats()
  if not self.track_running_stats then return end
  self.running_mean:zero_()
  self.running_var:fill_(1)
  self.num_batches_tracked:zero_()
end

--- Sets the weight to 1, the bias to 0 and the running statistics to those of no data.
function BatchNorm:reset_parameters()
  self:reset_running_stats()
  if self.weight then self.weight:detach():fill_(1.0) end
  if self.bias then self.bias:detach():zero_() end
end

---@param x Tensor [batch, channels, ...] of the dimensions of the class
---@return Tensor of x's shape
function BatchNorm:forward(x)
  local f, training = fields(self), self.training
  local dims = x:dim()
  if dims ~= self.dims and dims ~= self.other_dims then
    vm.raise("shape", ("expected %s input (got %dD input)"):format(self.expected, dims))
  end
  local factor = f.momentum or 0.0
  local tracked = f.num_batches_tracked
  if training and tracked then
    tracked:add_(1)
    if not f.momentum then factor = 1.0 / tracked:item() end  -- cumulative average
  end
  return batch_norm(x, f.running_mean, f.running_var, f.weight, f.bias,
    training or f.running_mean == nil, factor, f.eps)
end

function BatchNorm:extra_repr()
  return self.num_features .. ", " .. text.pairs("eps", self.eps, "momentum", self.momentum, "affine", self.affine,
    "bias", self.bias ~= nil, "track_running_stats", self.track_running_stats)
end

return BatchNorm
