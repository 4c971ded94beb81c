-- Fractional pooling and the partial inverses of maximum pooling, of torch.nn.functional.
local catalog = require "native.ops"
local signature = require "torch.signature"
local sizes = require "torch.nn.functional.sizes"
local text = require "torch.python_text"
local vm = require "native.vm"

local unpooling = {}

local function op(name) return catalog.find_any("aten::" .. name) end

-- fractional_max_poolNd and its variant that always gives indices.
local function fractional(dims)
  local name = ("fractional_max_pool%dd"):format(dims)
  local pool, rand = op(name), op "rand"
  local spec = "input, kernel_size, output_size=nil, output_ratio=nil, return_indices=false, _random_samples=nil"
  local parse, parse_with_indices = signature("F." .. name, spec), signature("F." .. name .. "_with_indices", spec)

  local function run(input, kernel, size, ratio, samples)
    if size == nil and ratio == nil then
      vm.raise("usage", name .. " requires specifying either an output_size or an output_ratio")
    end
    if size == nil then
      if dims == 2 and type(ratio) == "table" and #ratio > 2 then
        vm.raise("usage", name .. " requires output_ratio to either be a single Int or tuple of Ints.")
      end
      size = {}
      local ratios = sizes.each(ratio, dims)
      for i = 1, dims do size[i] = math.tointeger((input:size(i - 1 - dims) * ratios[i]) // 1) end
    end
    if samples == nil then
      local batch = input:dim() == dims + 1 and 1 or input:size(0)
      samples = rand({batch, input:size(-dims - 1), dims}, {dtype = input.dtype, device = input.device})
    end
    return pool(input, kernel, size, samples)
  end

  return function(...)
    local input, kernel, size, ratio, with_indices, samples = parse(...)
    local maxima, indices = run(input, kernel, size, ratio, samples)
    if with_indices then return maxima, indices end
    return maxima
  end, function(...)
    local input, kernel, size, ratio, _, samples = parse_with_indices(...)
    local maxima, indices = run(input, kernel, size, ratio, samples)
    return maxima, indices
  end
end

local fractional_max_pool2d, fractional_max_pool2d_with_indices = fractional(2)
local fractional_max_pool3d, fractional_max_pool3d_with_indices = fractional(3)

--- Maxima of windows at random places (Graham 2014), so that the output may be any size below the input's.
---@param input Tensor [batch, channels, height, width] or without batch
---@param kernel_size integer|integer[] of the window
---@param output_size? integer|integer[] or else output_ratio
---@param output_ratio? number|number[] output size over input size, between 0 and 1
---@param return_indices? boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output height, output width]
---@return Tensor? indices int64, of the same shape
---@example F.fractional_max_pool2d(torch.ones(1, 1, 6, 6), 2, {output_size = 4}).shape  --> torch.Size([1, 1, 4, 4])
---@source torch.nn.functional.fractional_max_pool2d
unpooling.fractional_max_pool2d = fractional_max_pool2d

--- Maxima of windows at random places (Graham 2014), so that the output may be any size below the input's.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param kernel_size integer|integer[] of the window
---@param output_size? integer|integer[] or else output_ratio
---@param output_ratio? number|number[] output size over input size, between 0 and 1
---@param return_indices? boolean also gives where the maxima were, false
---@return Tensor maxima [batch, channels, output depth, output height, output width]
---@return Tensor? indices int64, of the same shape
---@example F.fractional_max_pool3d(torch.ones(1, 1, 6, 6, 6), 2, {output_size = 4}).shape  --> torch.Size([1, 1, 4, 4, 4])
---@source torch.nn.functional.fractional_max_pool3d
unpooling.fractional_max_pool3d = fractional_max_pool3d

--- fractional_max_pool2d with return_indices.
---@param input Tensor [batch, channels, height, width] or without batch
---@param kernel_size integer|integer[] of the window, and the rest as in fractional_max_pool2d
---@return Tensor maxima
---@return Tensor indices int64
---@example local maxima, indices = F.fractional_max_pool2d_with_indices(torch.ones(1, 1, 6, 6), 2, {output_ratio = 0.5})
--- indices.shape  --> torch.Size([1, 1, 3, 3])
---@source torch.nn.functional.fractional_max_pool2d_with_indices
unpooling.fractional_max_pool2d_with_indices = fractional_max_pool2d_with_indices

--- fractional_max_pool3d with return_indices.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param kernel_size integer|integer[] of the window, and the rest as in fractional_max_pool3d
---@return Tensor maxima
---@return Tensor indices int64
---@example local maxima, indices = F.fractional_max_pool3d_with_indices(torch.ones(1, 1, 6, 6, 6), 2, {output_ratio = 0.5})
--- indices.shape  --> torch.Size([1, 1, 3, 3, 3])
---@source torch.nn.functional.fractional_max_pool3d_with_indices
unpooling.fractional_max_pool3d_with_indices = fractional_max_pool3d_with_indices

-- The size to which windows of these sizes go back: the one that was given, if it can be.
local function unpooled_size(input, kernel, stride, padding, given)
  local count, dims = #kernel, input:dim()
  local size = {}
  for i = 1, count do
    size[i] = (input:size(dims - count + i - 1) - 1) * stride[i] + kernel[i] - 2 * padding[i]
  end
  if given ~= nil then
    if #given == count + 2 then given = table.move(given, 3, #given, 1, {}) end
    if #given ~= count then
      vm.raise("usage", ("output_size should be a sequence containing %d or %d elements, but it has a length of '%d'")
        :format(count, count + 2, #given))
    end
    for i = 1, count do
      local least, most = size[i] - stride[i], size[i] + stride[i]
      if not (least < given[i] and given[i] < most) then
        vm.raise("usage", ('invalid output_size "%s" (dim %d must be between %d and %d)'):format(
          text.value(given), i - 1, least, most))
      end
    end
    size = given
  end
  for i = 1, count do
    if size[i] < 0 then
      vm.raise("usage", ("max_unpooling: output_size must contain non-negative spatial dimensions, but got "
        .. "output_size[%d]=%d"):format(i - 1, size[i]))
    end
  end
  return size
end

local function max_unpool(dims, run)
  local parse = signature(("F.max_unpool%dd"):format(dims),
    "input, indices, kernel_size, stride=nil, padding=0, output_size=nil")
  return function(...)
    local input, indices, kernel, stride, padding, output = parse(...)
    kernel = sizes.each(kernel, dims)
    stride = stride == nil and kernel or sizes.each(stride, dims)
    padding = sizes.each(padding, dims)
    return (run(input, indices, unpooled_size(input, kernel, stride, padding, output), stride, padding))
  end
end

local unpool2d <const>, unpool3d <const> = op "max_unpool2d", op "max_unpool3d"

--- Puts maxima back to where max_pool1d found them, zeros elsewhere.
---@param input Tensor [batch, channels, length] or without batch
---@param indices Tensor int64 that max_pool1d gave
---@param kernel_size integer|integer[] of the window
---@param stride? integer|integer[] between windows, kernel_size
---@param padding? integer|integer[] that was added to the input, 0
---@param output_size? integer[] which of the possible sizes, the least
---@return Tensor [batch, channels, output length]
---@example F.max_unpool1d(torch.tensor{{3.}}, torch.tensor{{1}}, 2)  --> tensor([[0., 3.]])
---@source torch.nn.functional.max_unpool1d
unpooling.max_unpool1d = max_unpool(1, function(input, indices, size)
  return unpool2d(input:unsqueeze(-1), indices:unsqueeze(-1), {size[1], 1}):squeeze(-1)
end)

--- Puts maxima back to where max_pool2d found them, zeros elsewhere.
---@param input Tensor [batch, channels, height, width] or without batch
---@param indices Tensor int64 that max_pool2d gave
---@param kernel_size integer|integer[] of the window
---@param stride? integer|integer[] between windows, kernel_size
---@param padding? integer|integer[] that was added to the input, 0
---@param output_size? integer[] which of the possible sizes, the least
---@return Tensor [batch, channels, output height, output width]
---@example local maxima, places = F.max_pool2d(torch.tensor{{{1., 2.}, {3., 4.}}}, 2, {return_indices = true})
--- F.max_unpool2d(maxima, places, 2):tolist()  --> {{{0.0, 0.0}, {0.0, 4.0}}}
---@source torch.nn.functional.max_unpool2d
unpooling.max_unpool2d = max_unpool(2, function(input, indices, size) return unpool2d(input, indices, size) end)

--- Puts maxima back to where max_pool3d found them, zeros elsewhere.
---@param input Tensor [batch, channels, depth, height, width] or without batch
---@param indices Tensor int64 that max_pool3d gave
---@param kernel_size integer|integer[] of the window
---@param stride? integer|integer[] between windows, kernel_size
---@param padding? integer|integer[] that was added to the input, 0
---@param output_size? integer[] which of the possible sizes, the least
---@return Tensor [batch, channels, output depth, output height, output width]
---@example local maxima, places = F.max_pool3d(torch.arange(8.):view(1, 2, 2, 2), 2, {return_indices = true})
--- F.max_unpool3d(maxima, places, 2):flatten()  --> tensor([0., 0., 0., 0., 0., 0., 0., 7.])
---@source torch.nn.functional.max_unpool3d
unpooling.max_unpool3d = max_unpool(3, unpool3d)

return unpooling
