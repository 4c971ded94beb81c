-- Maximum, power-average and adaptive pooling of torch.nn.functional.
local catalog = require "native.ops"
local signature = require "torch.signature"
local sizes = require "torch.nn.functional.sizes"

local pooling = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local NO_STRIDE <const> = {}  -- the operators read it as the kernel's size

-- max_poolNd and max_poolNd_with_indices. One-number calls, which layers make at every step, go straight to the operator.
local function max_pool(name)
  local pool, with_indices = op(name), op(name .. "_with_indices")
  local spec = "input, kernel_size, stride=nil, padding=0, dilation=1, ceil_mode=false, return_indices=false"
  local parse, parse_with_indices = signature("F." .. name, spec), signature("F." .. name .. "_with_indices", spec)
  local function maxima(...)
    local input, kernel_size, stride = ...
    if select("#", ...) <= 3 and math.type(kernel_size) and (stride == nil or math.type(stride)) then
      if stride == nil then return pool(input, kernel_size) end
      return pool(input, kernel_size, stride)
    end
    local x, kernel, step, padding, dilation, ceil, indices = parse(...)
    return (indices and with_indices or pool)(x, kernel, step or NO_STRIDE, padding, dilation, ceil)
  end
  return maxima, function(...)
    local x, kernel, step, padding, dilation, ceil = parse_with_indices(...)
    return with_indices(x, kernel, step or NO_STRIDE, padding, dilation, ceil)
  end
end

local max_pool1d, max_pool1d_with_indices = max_pool "max_pool1d"
local max_pool2d, max_pool2d_with_indices = max_pool "max_pool2d"
local max_pool3d, max_pool3d_with_indices = max_pool "max_pool3d"

--- The maximum of each window of a signal.
---@param input Tensor [batch, channels, length] or without batch
---@param kernel_size integer|integer[] of the window
---@param stride? integer|integer[] between windows, kernel_size
---@param padding? integer|integer[] minus infinity on both sides, 0
---@param dilation? integer|integer[] between the window's elements, 1
---@param ceil_mode? boolean windows may reach over the end, false
---@param return_indices? boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output length]
---@return Tensor? indices int64, of the same shape
---@example F.max_pool1d(torch.tensor{{1., 3., 2., 5.}}, 2)  --> tensor([[3., 5.]])
---@source torch.nn.functional.max_pool1d
pooling.max_pool1d = max_pool1d

--- The maximum of each window of an image.
---@param input Tensor [batch, channels, height, width] or without batch
---@param kernel_size integer|integer[] of the window
---@param stride? integer|integer[] between windows, kernel_size
---@param padding? integer|integer[] minus infinity on both sides, 0
---@param dilation? integer|integer[] between the window's elements, 1
---@param ceil_mode? boolean windows may reach over the end, false
---@param return_indices? boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output height, output width]
---@return Tensor? indices int64, of the same shape
---@example F.max_pool2d(torch.arange(16.):view(1, 4, 4), 2):tolist()  --> {{{5.0, 7.0}, {13.0, 15.0}}}
---@source torch.nn.functional.max_pool2d
pooling.max_pool2d = max_pool2d

--- The maximum of each window of a volume.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param kernel_size integer|integer[] of the window
---@param stride? integer|integer[] between windows, kernel_size
---@param padding? integer|integer[] minus infinity on both sides, 0
---@param dilation? integer|integer[] between the window's elements, 1
---@param ceil_mode? boolean windows may reach over the end, false
---@param return_indices? boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output depth, output height, output width]
---@return Tensor? indices int64, of the same shape
---@example F.max_pool3d(torch.arange(8.):view(1, 2, 2, 2), 2):item()  --> 7.0
---@source torch.nn.functional.max_pool3d
pooling.max_pool3d = max_pool3d

--- max_pool1d with return_indices.
---@param input Tensor [batch, channels, length] or without batch
---@param kernel_size integer|integer[] of the window, and the rest as in max_pool1d
---@return Tensor maxima
---@return Tensor indices int64
---@example F.max_pool1d_with_indices(torch.tensor{{1., 3., 2., 5.}}, 2)  --> tensor([[3., 5.]])	tensor([[1, 3]])
---@source torch.nn.functional.max_pool1d_with_indices
pooling.max_pool1d_with_indices = max_pool1d_with_indices

--- max_pool2d with return_indices.
---@param input Tensor [batch, channels, height, width] or without batch
---@param kernel_size integer|integer[] of the window, and the rest as in max_pool2d
---@return Tensor maxima
---@return Tensor indices int64
---@example select(2, F.max_pool2d_with_indices(torch.arange(16.):view(1, 4, 4), 2)):tolist()  --> {{{5, 7}, {13, 15}}}
---@source torch.nn.functional.max_pool2d_with_indices
pooling.max_pool2d_with_indices = max_pool2d_with_indices

--- max_pool3d with return_indices.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param kernel_size integer|integer[] of the window, and the rest as in max_pool3d
---@return Tensor maxima
---@return Tensor indices int64
---@example select(2, F.max_pool3d_with_indices(torch.arange(8.):view(1, 2, 2, 2), 2)):item()  --> 7
---@source torch.nn.functional.max_pool3d_with_indices
pooling.max_pool3d_with_indices = max_pool3d_with_indices

-- Operators of one dimension take no None in the output size.
local function adaptive_maxima(dims)
  local name = ("adaptive_max_pool%dd"):format(dims)
  local pool = op(name)
  local spec = "input, output_size, return_indices=false"
  local parse, parse_with_indices = signature("F." .. name, spec), signature("F." .. name .. "_with_indices", spec)
  return function(...)
    local input, size, with_indices = parse(...)
    local maxima, indices = pool(input, dims == 1 and size or sizes.or_input(size, input, dims))
    if with_indices then return maxima, indices end
    return maxima
  end, function(...)
    local input, size = parse_with_indices(...)
    return pool(input, dims == 1 and size or sizes.or_input(size, input, dims))
  end
end

local adaptive_max_pool1d, adaptive_max_pool1d_with_indices = adaptive_maxima(1)
local adaptive_max_pool2d, adaptive_max_pool2d_with_indices = adaptive_maxima(2)
local adaptive_max_pool3d, adaptive_max_pool3d_with_indices = adaptive_maxima(3)

--- Maxima over as many windows as the output size asks for.
---@param input Tensor [batch, channels, length] or without batch
---@param output_size integer
---@param return_indices? boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output_size]
---@return Tensor? indices int64, of the same shape
---@example F.adaptive_max_pool1d(torch.tensor{{1., 3., 2., 5.}}, 2)  --> tensor([[3., 5.]])
---@source torch.nn.functional.adaptive_max_pool1d
pooling.adaptive_max_pool1d = adaptive_max_pool1d

--- Maxima over as many windows as the output size asks for.
---@param input Tensor [batch, channels, height, width] or without batch
---@param output_size integer|integer[] one number for both or {height, width}, None keeps the input's
---@param return_indices? boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output height, output width]
---@return Tensor? indices int64, of the same shape
---@example F.adaptive_max_pool2d(torch.arange(16.):view(1, 4, 4), 2):tolist()  --> {{{5.0, 7.0}, {13.0, 15.0}}}
---@source torch.nn.functional.adaptive_max_pool2d
pooling.adaptive_max_pool2d = adaptive_max_pool2d

--- Maxima over as many windows as the output size asks for.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param output_size integer|integer[] one number for all or {depth, height, width}, None keeps the input's
---@param return_indices? boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output depth, output height, output width]
---@return Tensor? indices int64, of the same shape
---@example F.adaptive_max_pool3d(torch.arange(8.):view(1, 2, 2, 2), 1):item()  --> 7.0
---@source torch.nn.functional.adaptive_max_pool3d
pooling.adaptive_max_pool3d = adaptive_max_pool3d

--- adaptive_max_pool1d with return_indices.
---@param input Tensor [batch, channels, length] or without batch
---@param output_size integer
---@return Tensor maxima
---@return Tensor indices int64
---@example F.adaptive_max_pool1d_with_indices(torch.tensor{{1., 3., 2., 5.}}, 2)  --> tensor([[3., 5.]])	tensor([[1, 3]])
---@source torch.nn.functional.adaptive_max_pool1d_with_indices
pooling.adaptive_max_pool1d_with_indices = adaptive_max_pool1d_with_indices

--- adaptive_max_pool2d with return_indices.
---@param input Tensor [batch, channels, height, width] or without batch
---@param output_size integer|integer[]
---@return Tensor maxima
---@return Tensor indices int64
---@example select(2, F.adaptive_max_pool2d_with_indices(torch.arange(16.):view(1, 4, 4), 2)):tolist()
--- --> {{{5, 7}, {13, 15}}}
---@source torch.nn.functional.adaptive_max_pool2d_with_indices
pooling.adaptive_max_pool2d_with_indices = adaptive_max_pool2d_with_indices

--- adaptive_max_pool3d with return_indices.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param output_size integer|integer[]
---@return Tensor maxima
---@return Tensor indices int64
---@example select(2, F.adaptive_max_pool3d_with_indices(torch.arange(8.):view(1, 2, 2, 2), 1)):item()  --> 7
---@source torch.nn.functional.adaptive_max_pool3d_with_indices
pooling.adaptive_max_pool3d_with_indices = adaptive_max_pool3d_with_indices

local function adaptive_average(dims)
  local name = ("adaptive_avg_pool%dd"):format(dims)
  local pool, parse = op(name), signature("F." .. name, "input, output_size")
  return function(...)
    local input, size = parse(...)
    return pool(input, sizes.or_input(size, input, dims))
  end
end

--- Means over as many windows as the output size asks for.
---@param input Tensor [batch, channels, height, width] or without batch
---@param output_size integer|integer[] one number for both or {height, width}, None keeps the input's
---@return Tensor [batch, channels, output height, output width]
---@example F.adaptive_avg_pool2d(torch.arange(4.):view(1, 2, 2), 1)  --> tensor([[[1.5000]]])
---@source torch.nn.functional.adaptive_avg_pool2d
pooling.adaptive_avg_pool2d = adaptive_average(2)

--- Means over as many windows as the output size asks for.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param output_size integer|integer[] one number for all or {depth, height, width}, None keeps the input's
---@return Tensor [batch, channels, output depth, output height, output width]
---@example F.adaptive_avg_pool3d(torch.arange(8.):view(1, 2, 2, 2), 1):item()  --> 3.5
---@source torch.nn.functional.adaptive_avg_pool3d
pooling.adaptive_avg_pool3d = adaptive_average(3)

-- (sum of x^p over the window)^(1/p), from the mean; an infinite p is a maximum.
local function power_average(dims, maximum)
  local name = ("lp_pool%dd"):format(dims)
  local average, sign, relu = op(("avg_pool%dd"):format(dims)), op "sign", op "relu"
  local parse = signature("F." .. name, "input, norm_type, kernel_size, stride=nil, ceil_mode=false")
  return function(...)
    local input, power, kernel, stride, ceil = parse(...)
    if power == math.huge then return maximum(input:abs(), kernel, stride, 0, 1, ceil) end
    if power == -math.huge then return -maximum(-input:abs(), kernel, stride, 0, 1, ceil) end
    local mean = average(input:pow(power), kernel, stride or NO_STRIDE, 0, ceil)
    local count = 1
    if type(kernel) == "table" then
      for i = 1, #kernel do count = count * kernel[i] end
    else
      count = kernel ^ dims // 1 | 0
    end
    return (sign(mean) * relu(mean:abs())):mul(count):pow(1.0 / power)
  end
end

--- The p-norm of each window of a signal.
---@param input Tensor [batch, channels, length] or without batch
---@param norm_type number p
---@param kernel_size integer of the window
---@param stride? integer between windows, kernel_size
---@param ceil_mode? boolean windows may reach over the end, false
---@return Tensor [batch, channels, output length]
---@example F.lp_pool1d(torch.tensor{{3., 4.}}, 2, 2)  --> tensor([[5.]])
---@source torch.nn.functional.lp_pool1d
pooling.lp_pool1d = power_average(1, max_pool1d)

--- The p-norm of each window of an image.
---@param input Tensor [batch, channels, height, width] or without batch
---@param norm_type number p
---@param kernel_size integer|integer[] of the window
---@param stride? integer|integer[] between windows, kernel_size
---@param ceil_mode? boolean windows may reach over the end, false
---@return Tensor [batch, channels, output height, output width]
---@example F.lp_pool2d(torch.tensor{{{3., 4.}, {0., 0.}}}, 2.0, 2):item()  --> 5.0
---@source torch.nn.functional.lp_pool2d
pooling.lp_pool2d = power_average(2, max_pool2d)

--- The p-norm of each window of a volume.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param norm_type number p
---@param kernel_size integer|integer[] of the window
---@param stride? integer|integer[] between windows, kernel_size
---@param ceil_mode? boolean windows may reach over the end, false
---@return Tensor [batch, channels, output depth, output height, output width]
---@example F.lp_pool3d(torch.ones(1, 2, 2, 2), 1.0, 2):item()  --> 8.0
---@source torch.nn.functional.lp_pool3d
pooling.lp_pool3d = power_average(3, max_pool3d)

return pooling
