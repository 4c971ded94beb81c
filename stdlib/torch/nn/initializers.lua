-- torch.nn.init: fills tensors in place, drawing from the default generator in PyTorch's order.
local named = require "torch.named"
local torch = require "torch"
local vm = require "native.vm"
local warn = require "torch.warn"

local init = {}

-- Every initializer writes without history and returns its tensor.
local function fill(tensor, method, ...)
  local data = tensor:detach()
  data[method](data, ...)
  return tensor
end

-- The same of random numbers, drawn by a generator if one is given.
local function draw(tensor, method, a, b, generator)
  if generator == nil then return fill(tensor, method, a, b) end
  return fill(tensor, method, a, b, {generator = generator})
end

local GAINS <const> = {
  linear = 1, conv1d = 1, conv2d = 1, conv3d = 1, conv_transpose1d = 1, conv_transpose2d = 1, conv_transpose3d = 1,
  sigmoid = 1, tanh = 5.0 / 3, relu = math.sqrt(2.0), selu = 3.0 / 4,
}

--- The factor that keeps a layer's output variance through the given nonlinearity.
---@param nonlinearity string
---@param param? number the slope of leaky_relu, 0.01 by default
---@return number
---@example nn.init.calculate_gain("tanh")  --> 1.6666666666667
init.calculate_gain = named("nn.init.calculate_gain", "nonlinearity, param=nil", function(nonlinearity, param)
  if nonlinearity == "leaky_relu" then
    local slope = param or 0.01
    if type(slope) ~= "number" then
      vm.raise("usage", ("negative_slope %s not a valid number"):format(vm.describe(param)))
    end
    return math.sqrt(2.0 / (1 + slope ^ 2))
  end
  return GAINS[nonlinearity] or vm.raise("usage", "Unsupported nonlinearity " .. tostring(nonlinearity))
end)

--- fan_in and fan_out of a weight of at least two dimensions.
---@return integer fan_in, integer fan_out
---@example nn.init.calculate_fan_in_and_fan_out(torch.ones(4, 3, 2, 2))  --> 12	16
function init.calculate_fan_in_and_fan_out(tensor)
  local shape = tensor.shape
  if #shape < 2 then
    vm.raise("shape", "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
  end
  local field = 1
  for i = 3, #shape do field = field * shape[i] end
  return shape[2] * field, shape[1] * field
end

local function fan(tensor, mode)
  local chosen = tostring(mode):lower()
  if chosen ~= "fan_in" and chosen ~= "fan_out" then
    vm.raise("usage", ("Mode %s not supported, please use one of ['fan_in', 'fan_out']"):format(chosen))
  end
  local fan_in, fan_out = init.calculate_fan_in_and_fan_out(tensor)
  return chosen == "fan_in" and fan_in or fan_out
end

local function unchanged(tensor)
  warn "Initializing zero-element tensors is a no-op"
  return tensor
end

local function initializer(name, spec, fn)
  init[name] = named("nn.init." .. name, spec, fn)
end

--- Fills with numbers drawn evenly from a to b.
---@param tensor Tensor filled in place
---@param a number 0.0
---@param b number 1.0
---@param generator? Generator the default one
---@return Tensor tensor
---@example nn.init.uniform_(torch.empty(3), 0, 1):lt(1):all()  --> tensor(True)
---@source torch.nn.init.uniform_
initializer("uniform_", "tensor, a=0.0, b=1.0, generator=nil", function(t, ...) return draw(t, "uniform_", ...) end)
--- Fills with numbers of a normal distribution.
---@param tensor Tensor filled in place
---@param mean number 0.0
---@param std number 1.0
---@param generator? Generator the default one
---@return Tensor tensor
---@example nn.init.normal_(torch.empty(3), 0, 0.02).shape  --> torch.Size([3])
---@source torch.nn.init.normal_
initializer("normal_", "tensor, mean=0.0, std=1.0, generator=nil", function(t, ...) return draw(t, "normal_", ...) end)
--- Fills with one value.
---@param tensor Tensor filled in place
---@param val number
---@return Tensor tensor
---@example nn.init.constant_(torch.empty(2), 0.5)  --> tensor([0.5000, 0.5000])
---@source torch.nn.init.constant_
initializer("constant_", "tensor, val", function(t, val) return fill(t, "fill_", val) end)
--- Fills with ones.
---@param tensor Tensor filled in place
---@return Tensor tensor
---@example nn.init.ones_(torch.empty(2))  --> tensor([1., 1.])
---@source torch.nn.init.ones_
initializer("ones_", "tensor", function(t) return fill(t, "fill_", 1.0) end)
--- Fills with zeros.
---@param tensor Tensor filled in place
---@return Tensor tensor
---@example nn.init.zeros_(torch.empty(2))  --> tensor([0., 0.])
---@source torch.nn.init.zeros_
initializer("zeros_", "tensor", function(t) return fill(t, "zero_") end)

--- Fills with numbers drawn evenly, of a range that keeps variances (Glorot and Bengio, 2010).
---@param tensor Tensor filled in place
---@param gain number 1.0
---@param generator? Generator the default one
---@return Tensor tensor
---@example nn.init.xavier_uniform_(torch.empty(3, 4), nn.init.calculate_gain("relu")).shape  --> torch.Size([3, 4])
---@source torch.nn.init.xavier_uniform_
initializer("xavier_uniform_", "tensor, gain=1.0, generator=nil", function(t, gain, generator)
  local fan_in, fan_out = init.calculate_fan_in_and_fan_out(t)
  local bound = math.sqrt(3.0) * (gain * math.sqrt(2.0 / (fan_in + fan_out)))
  return draw(t, "uniform_", -bound, bound, generator)
end)

--- Fills with normal numbers, of a deviation that keeps variances (Glorot and Bengio, 2010).
---@param tensor Tensor filled in place
---@param gain number 1.0
---@param generator? Generator the default one
---@return Tensor tensor
---@example nn.init.xavier_normal_(torch.empty(3, 4)).shape  --> torch.Size([3, 4])
---@source torch.nn.init.xavier_normal_
initializer("xavier_normal_", "tensor, gain=1.0, generator=nil", function(t, gain, generator)
  local fan_in, fan_out = init.calculate_fan_in_and_fan_out(t)
  return draw(t, "normal_", 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)
end)

--- Fills with numbers drawn evenly, of a range that keeps variances through rectifiers (He et al., 2015).
---@param tensor Tensor filled in place
---@param a number slope of the rectifier below 0, 0
---@param mode string "fan_in" or "fan_out", 'fan_in'
---@param nonlinearity string of calculate_gain, 'leaky_relu'
---@param generator? Generator the default one
---@return Tensor tensor
---@example nn.init.kaiming_uniform_(torch.empty(3, 4), {a = math.sqrt(5)}).shape  --> torch.Size([3, 4])
---@source torch.nn.init.kaiming_uniform_
initializer("kaiming_uniform_", "tensor, a=0, mode='fan_in', nonlinearity='leaky_relu', generator=nil",
  function(t, a, mode, kind, generator)
    if t:numel() == 0 then return unchanged(t) end
    local bound = math.sqrt(3.0) * (init.calculate_gain(kind, a) / math.sqrt(fan(t, mode)))
    return draw(t, "uniform_", -bound, bound, generator)
  end)

--- Fills with normal numbers, of a deviation that keeps variances through rectifiers (He et al., 2015).
---@param tensor Tensor filled in place
---@param a number slope of the rectifier below 0, 0
---@param mode string "fan_in" or "fan_out", 'fan_in'
---@param nonlinearity string of calculate_gain, 'leaky_relu'
---@param generator? Generator the default one
---@return Tensor tensor
---@example nn.init.kaiming_normal_(torch.empty(3, 4), {nonlinearity = "relu"}).shape  --> torch.Size([3, 4])
---@source torch.nn.init.kaiming_normal_
initializer("kaiming_normal_", "tensor, a=0, mode='fan_in', nonlinearity='leaky_relu', generator=nil",
  function(t, a, mode, kind, generator)
    if t:numel() == 0 then return unchanged(t) end
    return draw(t, "normal_", 0.0, init.calculate_gain(kind, a) / math.sqrt(fan(t, mode)), generator)
  end)

-- The normal's probability below x.
local function cdf(x)
  return (1.0 + torch.erf(torch.tensor(x / math.sqrt(2.0), {dtype = torch.float64})):item()) / 2.0
end

-- Bounds that hold enough of the distribution: draw again what falls outside.
local function redraw_outside(data, mean, std, a, b, drawn)
  local as_stored = {dtype = data.dtype}
  local low, high = torch.tensor(a, as_stored):item(), torch.tensor(b, as_stored):item()
  data:normal_(mean, std, drawn)
  while true do
    local outside = data:lt(low) | data:gt(high)
    if not outside:any():item() then return end
    data:copy_(torch.where(outside, torch.empty_like(data):normal_(mean, std, drawn), data))
  end
end

-- Far in a tail: draw evenly between the bounds and accept with the density's probability.
local function accept_by_density(data, mean, std, a, b, drawn)
  local mode = math.max(a, math.min(mean, b))
  local log_peak = -0.5 * ((mode - mean) / std) ^ 2
  local candidates, chance = torch.empty_like(data), torch.empty_like(data)
  local function rejected()
    candidates:sub_(mean):div_(std):pow_(2):mul_(-0.5):sub_(log_peak)
    return chance:uniform_(0.0, 1.0, drawn):log_():gt(candidates)
  end
  data:uniform_(a, b, drawn)
  candidates:copy_(data)
  local pending = rejected()
  while pending:any():item() do
    candidates:uniform_(a, b, drawn)
    data:copy_(torch.where(pending, candidates, data))
    local again = rejected()
    pending = torch.where(pending, again, pending)
  end
end

--- Fills with numbers of a normal distribution, drawn again where they are not between a and b.
---@param tensor Tensor filled in place
---@param mean number 0.0
---@param std number 1.0
---@param a number -2.0
---@param b number 2.0
---@param generator? Generator the default one
---@return Tensor tensor
---@example nn.init.trunc_normal_(torch.empty(3), {std = 0.02}).shape  --> torch.Size([3])
---@source torch.nn.init.trunc_normal_
initializer("trunc_normal_", "tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=nil", function(t, mean, std, a, b, generator)
  if mean < a - 2 * std or mean > b + 2 * std then
    warn "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect."
  end
  local share = cdf((b - mean) / std) - cdf((a - mean) / std)
  local sample = share > 0.3 and redraw_outside or accept_by_density
  sample(t:detach(), mean, std, a, b, {generator = generator or torch.random.default_generator})
  return t
end)

init._calculate_fan_in_and_fan_out, init._calculate_correct_fan = init.calculate_fan_in_and_fan_out, fan

return require("host.namespace")("torch.nn.init", {held = init, files = {
  ["torch.nn.structured_initializers"] = "eye_ dirac_ orthogonal_ sparse_",
}})
