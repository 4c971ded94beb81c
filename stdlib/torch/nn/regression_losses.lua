-- Losses of torch.nn over the difference between a value and its target.
local functional = require "torch.nn.functional"
local loss = require "torch.nn.loss_layer"
local native = require "native.model"

local fields <const> = native.fields
local smooth_l1 <const>, huber <const> = functional.smooth_l1_loss, functional.huber_loss
local poisson <const>, gaussian <const> = functional.poisson_nll_loss, functional.gaussian_nll_loss

local layers = {}

local function of_difference(name, of)
  local class = loss(name, "size_average=nil, reduce=nil, reduction='mean'")
  ---@param input Tensor
  ---@param target Tensor of input's shape
  ---@return Tensor 0-dim, or of input's shape
  function class:forward(input, target) return of(input, target, nil, nil, fields(self).reduction) end
  return class
end

--- The absolute difference.
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.L1Loss()(torch.zeros(2), torch.tensor{1., 3.})  --> tensor(2.)
---@source torch.nn.L1Loss
layers.L1Loss = of_difference("L1Loss", functional.l1_loss)

--- The squared difference.
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.MSELoss{reduction = "none"}(torch.zeros(2), torch.tensor{1., 3.})  --> tensor([1., 9.])
---@source torch.nn.MSELoss
layers.MSELoss = of_difference("MSELoss", functional.mse_loss)

--- The squared difference below beta (divided by 2 beta), the absolute one above.
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@param beta number where the two meet, 1.0
---@example nn.SmoothL1Loss()(torch.zeros(2), torch.tensor{1., 3.})  --> tensor(1.5000)
---@source torch.nn.SmoothL1Loss
local SmoothL1Loss = loss("SmoothL1Loss", "size_average=nil, reduce=nil, reduction='mean', beta=1.0", "beta: number")
layers.SmoothL1Loss = SmoothL1Loss

---@param input Tensor
---@param target Tensor of input's shape
---@return Tensor 0-dim, or of input's shape
function SmoothL1Loss:forward(input, target)
  local f = fields(self)
  return smooth_l1(input, target, nil, nil, f.reduction, f.beta)
end

--- Half the squared difference below delta, delta times the absolute one above.
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@param delta number where the two meet, 1.0
---@example nn.HuberLoss()(torch.zeros(2), torch.tensor{1., 3.})  --> tensor(1.5000)
---@source torch.nn.HuberLoss
local HuberLoss = loss("HuberLoss", "reduction='mean', delta=1.0", "delta: number")
layers.HuberLoss = HuberLoss

---@param input Tensor
---@param target Tensor of input's shape
---@return Tensor 0-dim, or of input's shape
function HuberLoss:forward(input, target)
  local f = fields(self)
  return huber(input, target, f.reduction, f.delta)
end

--- Negative log likelihood of a Poisson distribution.
---@param log_input boolean input is given as logarithms, true
---@param full boolean adds Stirling's approximation of log(target!), false
---@param size_average boolean? deprecated, nil
---@param eps number added before a logarithm, 1e-8
---@param reduce boolean? deprecated, nil
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.PoissonNLLLoss()(torch.zeros(2), torch.ones(2))  --> tensor(1.)
---@source torch.nn.PoissonNLLLoss
local PoissonNLLLoss = loss("PoissonNLLLoss",
  "log_input=true, full=false, size_average=nil, eps=1e-8, reduce=nil, reduction='mean'",
  "log_input: flag, full: flag, eps: number")
layers.PoissonNLLLoss = PoissonNLLLoss

---@param input Tensor the expected counts, or their logarithms
---@param target Tensor the counts
---@return Tensor 0-dim, or of input's shape
function PoissonNLLLoss:forward(input, target)
  local f = fields(self)
  return poisson(input, target, f.log_input, f.full, nil, f.eps, nil, f.reduction)
end

--- Negative log likelihood of a Gaussian distribution.
---@param full boolean adds the constant log(2 pi) / 2, false
---@param eps number the least variance, 1e-6
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@example nn.GaussianNLLLoss()(torch.zeros(2), torch.ones(2), torch.ones(2))  --> tensor(0.5000)
---@source torch.nn.GaussianNLLLoss
local GaussianNLLLoss = loss("GaussianNLLLoss", "*, full=false, eps=1e-6, reduction='mean'", "full: flag, eps: number")
layers.GaussianNLLLoss = GaussianNLLLoss

---@param input Tensor the expected values
---@param target Tensor of input's shape
---@param var Tensor|number the variances: of input's shape, with a last dimension of 1, or without it
---@return Tensor 0-dim, or of input's shape
function GaussianNLLLoss:forward(input, target, var)
  local f = fields(self)
  return gaussian(input, target, var, f.full, f.eps, f.reduction)
end

return layers
