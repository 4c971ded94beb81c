-- Losses of the difference between a value and its target, of torch.nn.functional.
local catalog = require "native.ops"
local reduction = require "torch.nn.functional.reduction"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"
local warn = require "torch.warn"

local regression = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local is_same_size <const>, broadcast <const> = op "is_same_size", op "broadcast_tensors"

local INVALID <const> = "Invalid reduction mode: %s. Expected one of 'none', 'mean', 'sum'."

-- PyTorch broadcasts these with a warning; the warning's cause is nearly always a mistake.
local function same_shape(input, target)
  if is_same_size(input, target) then return input, target end
  warn(("Using a target size (%s) that is different to the input size (%s). This will likely lead to incorrect results due "
    .. "to broadcasting. Please ensure they have the same size."):format(tostring(target.shape), tostring(input.shape)))
  return table.unpack(broadcast({input, target}))
end

local function check_weight(input, weight)
  if not is_same_size(weight, input) then vm.raise("shape", "Weights and input must have the same size.") end
end

-- mse_loss and l1_loss: with weights the mean is the weighted one.
local function distance(name, of_difference)
  local of = op(name)
  local parse = signature("F." .. name,
    "input, target, size_average=nil, reduce=nil, reduction='mean', weight=nil")
  return function(...)
    local input, target, average, reduce, how, weight = parse(...)
    local x, y = same_shape(input, target)
    if weight == nil then return of(x, y, reduction.number(how, average, reduce)) end
    how = reduction.name(how, average, reduce)
    check_weight(input, weight)
    local loss = of_difference(x - y) * weight
    if how == "mean" then return loss:sum() / weight:sum() end
    return reduction.apply(loss, how, INVALID)
  end
end

--- The squared difference.
---@param input Tensor
---@param target Tensor of input's shape; others are broadcast, with a warning
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@param weight Tensor? of input's shape, nil
---@return Tensor 0-dim, or of input's shape
---@example F.mse_loss(torch.zeros(2), torch.tensor{1., 3.}, {reduction = "none"})  --> tensor([1., 9.])
---@source torch.nn.functional.mse_loss
regression.mse_loss = distance("mse_loss", function(x) return x:pow(2) end)

--- The absolute difference.
---@param input Tensor
---@param target Tensor of input's shape; others are broadcast, with a warning
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@param weight Tensor? of input's shape, nil
---@return Tensor 0-dim, or of input's shape
---@example F.l1_loss(torch.zeros(2), torch.tensor{1., 3.})  --> tensor(2.)
---@source torch.nn.functional.l1_loss
regression.l1_loss = distance("l1_loss", function(x) return x:abs() end)

local smooth_l1 <const>, l1 <const>, huber <const> = op "smooth_l1_loss", op "l1_loss", op "huber_loss"
local parse_smooth = signature("F.smooth_l1_loss",
  "input, target, size_average=nil, reduce=nil, reduction='mean', beta=1.0")
local parse_huber = signature("F.huber_loss", "input, target, reduction='mean', delta=1.0, weight=nil")

--- The squared difference below beta (divided by 2 beta), the absolute one above.
---@param input Tensor
---@param target Tensor of input's shape; others are broadcast, with a warning
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@param beta number where the two meet, 1.0
---@return Tensor 0-dim, or of input's shape
---@example F.smooth_l1_loss(torch.zeros(2), torch.tensor{1., 3.})  --> tensor(1.5000)
---@source torch.nn.functional.smooth_l1_loss
function regression.smooth_l1_loss(...)
  local input, target, average, reduce, how, beta = parse_smooth(...)
  local x, y = same_shape(input, target)
  local number = reduction.number(how, average, reduce)
  if beta == 0 then return l1(x, y, number) end
  return smooth_l1(x, y, number, beta)
end

--- Half the squared difference below delta, delta times the absolute one above.
---@param input Tensor
---@param target Tensor of input's shape; others are broadcast, with a warning
---@param reduction string over all elements, 'mean'
---@param delta number where the two meet, 1.0
---@param weight Tensor? of input's shape, nil
---@return Tensor 0-dim, or of input's shape
---@example F.huber_loss(torch.zeros(2), torch.tensor{1., 3.})  --> tensor(1.5000)
---@source torch.nn.functional.huber_loss
function regression.huber_loss(...)
  local input, target, how, delta, weight = parse_huber(...)
  local x, y = same_shape(input, target)
  if weight == nil then return huber(x, y, reduction.number(how), delta) end
  check_weight(input, weight)
  return reduction.apply(huber(x, y, 0, delta) * weight, how, INVALID)
end

local poisson <const> = op "poisson_nll_loss"
local parse_poisson = signature("F.poisson_nll_loss", "input, target, log_input=true, full=false, size_average=nil, "
  .. "eps=1e-8, reduce=nil, reduction='mean'")

--- Negative log likelihood of a Poisson distribution.
---@param input Tensor the expected counts, or their logarithms
---@param target Tensor the counts
---@param log_input boolean input is given as logarithms, true
---@param full boolean adds Stirling's approximation of log(target!), false
---@param size_average boolean? deprecated, nil
---@param eps number added before a logarithm, 1e-8
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input's shape
---@example F.poisson_nll_loss(torch.zeros(2), torch.ones(2))  --> tensor(1.)
---@source torch.nn.functional.poisson_nll_loss
function regression.poisson_nll_loss(...)
  local input, target, log_input, full, average, eps, reduce, how = parse_poisson(...)
  return poisson(input, target, log_input, full, eps, reduction.number(how, average, reduce))
end

local parse_gaussian = signature("F.gaussian_nll_loss", "input, target, var, full=false, eps=1e-6, reduction='mean'")

-- A variance of other size must differ in one dimension of size 1, or lack the last.
local function fitted_variance(input, var)
  if is_same_size(input, var) then return var end
  local size, of_var = input.shape, var.shape
  local all = table.concat(of_var, ",")
  if all == table.concat(size, ",", 1, #size - 1) and #of_var == #size - 1 then return var:unsqueeze(-1) end
  if #size == #of_var then
    local sum = 0
    for i = 1, #size do
      if size[i] ~= of_var[i] then sum = sum + of_var[i] end
    end
    if sum == 1 then return var end
  end
  vm.raise("shape", "var is of incorrect size")
end

--- Negative log likelihood of a Gaussian distribution.
---@param input Tensor the expected values
---@param target Tensor of input's shape
---@param var Tensor|number the variances: of input's shape, with a last dimension of 1, or without it
---@param full boolean adds the constant log(2 pi) / 2, false
---@param eps number the least variance, 1e-6
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input's shape
---@example F.gaussian_nll_loss(torch.zeros(2), torch.ones(2), torch.ones(2))  --> tensor(0.5000)
---@source torch.nn.functional.gaussian_nll_loss
function regression.gaussian_nll_loss(...)
  local input, target, var, full, eps, how = parse_gaussian(...)
  if type(var) == "number" then
    if var < 0 then vm.raise("usage", "var has negative entry/entries") end
    var = var * op "ones_like"(input)
  elseif var:lt(0):any():item() then
    vm.raise("usage", "var has negative entry/entries")
  end
  var = fitted_variance(input, var)
  if how ~= "none" and how ~= "mean" and how ~= "sum" then
    vm.raise("usage", text.value(how) .. " is not valid")
  end
  var = var:clone()
  var:detach():clamp_({min = eps})  -- the gradient knows nothing of it
  local loss = 0.5 * (var:log() + (input - target) ^ 2 / var)
  if full then loss = loss + 0.5 * math.log(2 * math.pi) end
  return reduction.apply(loss, how, "%s is not valid")
end

return regression
