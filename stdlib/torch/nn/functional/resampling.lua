-- Changes of an image's size and sampling by a grid, of torch.nn.functional.
local catalog = require "native.ops"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"
local warn = require "torch.warn"

local resampling = {}

local function op(name) return catalog.find_any("aten::" .. name) end

-- The operator of a mode for an input of 3, 4 or 5 dimensions; those that are linear also take align_corners.
local PLAIN <const> = {
  nearest = {op "upsample_nearest1d", op "upsample_nearest2d", op "upsample_nearest3d"},
  ["nearest-exact"] = {op "_upsample_nearest_exact1d", op "_upsample_nearest_exact2d", op "_upsample_nearest_exact3d"},
}
local AREA <const> = {op "adaptive_avg_pool1d", op "adaptive_avg_pool2d", op "adaptive_avg_pool3d"}
local LINEAR <const> = {
  linear = {op "upsample_linear1d"}, bilinear = {nil, op "upsample_bilinear2d"},
  trilinear = {nil, nil, op "upsample_trilinear3d"}, bicubic = {nil, op "upsample_bicubic2d"},
}
local ANTIALIASED <const> = {
  bilinear = op "_upsample_bilinear2d_aa", bicubic = op "_upsample_bicubic2d_aa", lanczos = op "_upsample_lanczos2d_aa",
}
local DIMS_OF <const> = {linear = 3, bilinear = 4, trilinear = 5}

local function fail(message, ...) vm.raise("usage", message:format(...)) end

local function list(value) return "[" .. table.concat(value, ", ") .. "]" end

-- A number for each spatial dimension.
local function for_each(value, dims, input, what)
  if type(value) ~= "table" then
    local each = {}
    for i = 1, dims do each[i] = value end
    return each
  end
  if #value == dims then return value end
  local shape = list(table.move(input.shape, 3, input:dim(), 1, {}))
  if what == "size" then
    fail("Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of %s "
      .. "and output size of %s. Please provide input tensor in (N, C, d1, d2, ...,dK) format and output size in "
      .. "(o1, o2, ...,oK) format.", shape, text.value(value))
  end
  fail("Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of "
    .. "%s and scale_factor of shape %s. Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in "
    .. "(s1, s2, ...,sK) format.", shape, text.value(value))
end

local function resample(input, size, scale_factor, mode, align_corners, recompute, antialias)
  if mode == "nearest" or mode == "area" or mode == "nearest-exact" then
    if align_corners ~= nil then
      fail "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
    end
  elseif align_corners == nil then
    align_corners = false
  end
  local ndim = input:dim()
  local dims = ndim - 2
  local output, factors
  if size ~= nil and scale_factor ~= nil then
    fail "only one of size or scale_factor should be defined"
  elseif size ~= nil then
    output = for_each(size, dims, input, "size")
    for i = 1, dims do
      if not math.tointeger(output[i]) then
        fail("expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got size with "
          .. "%s at place %d", vm.describe(output[i]), i - 1)
      end
    end
  elseif scale_factor ~= nil then
    factors = for_each(scale_factor, dims, input, "scale_factor")
  else
    fail "either size or scale_factor should be defined"
  end
  if recompute and size ~= nil then fail "recompute_scale_factor is not meaningful with an explicit size." end
  if recompute or mode == "area" and not output then
    output = {}
    for i = 1, dims do output[i] = math.tointeger((input:size(i + 1) * factors[i]) // 1) end
    factors = nil
  end
  if antialias and not (ANTIALIASED[mode] and ndim == 4) then
    fail("Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input")
  end

  local of = PLAIN[mode] and PLAIN[mode][dims]
  if of then return of(input, output, factors) end
  if mode == "area" and AREA[dims] then return AREA[dims](input, output) end
  if mode == "lanczos" and ndim == 4 then
    if align_corners then fail "Lanczos mode does not support align_corners=True" end
    if not antialias then fail "Lanczos mode requires antialias=True" end
  end
  of = antialias and ANTIALIASED[mode] or LINEAR[mode] and LINEAR[mode][dims]
  if of then return of(input, output, align_corners, factors) end
  if DIMS_OF[mode] and ndim >= 3 and ndim <= 5 then
    fail("Got %dD input, but %s mode needs %dD input", ndim, mode, DIMS_OF[mode])
  end
  fail("Input Error: Only 3D, 4D and 5D input Tensors supported (got %dD) for the modes: nearest | linear | bilinear | "
    .. "bicubic | trilinear | lanczos | area | nearest-exact (got %s)", ndim, text.value(mode))
end

local parse_interpolate = signature("F.interpolate", "input, size=nil, scale_factor=nil, mode='nearest', "
  .. "align_corners=nil, recompute_scale_factor=nil, antialias=false")

--- Resizes a signal, an image or a volume.
---@param input Tensor [batch, channels, ...] of one, two or three spatial dimensions
---@param size? integer|integer[] the output's spatial size; or else scale_factor
---@param scale_factor? number|number[] output size over input size
---@param mode? string nearest, linear, bilinear, bicubic, trilinear, lanczos, area or nearest-exact; 'nearest'
---@param align_corners? boolean the corners' centres stay where they are, false; linear modes only
---@param recompute_scale_factor? boolean the factor is computed again from the sizes, false
---@param antialias? boolean for bilinear, bicubic and lanczos, false
---@return Tensor [batch, channels, ...]
---@example F.interpolate(torch.tensor{{{1., 2.}}}, {scale_factor = 2})  --> tensor([[[1., 1., 2., 2.]]])
---@source torch.nn.functional.interpolate
function resampling.interpolate(...) return (resample(parse_interpolate(...))) end

local parse_upsample = signature("F.upsample", "input, size=nil, scale_factor=nil, mode='nearest', align_corners=nil")
local parse_nearest = signature("F.upsample_nearest", "input, size=nil, scale_factor=nil")
local parse_bilinear = signature("F.upsample_bilinear", "input, size=nil, scale_factor=nil")

local function deprecated(name)
  warn(("`nn.functional.%s` is deprecated. Use `nn.functional.interpolate` instead."):format(name))
end

--- interpolate under its old name; deprecated.
---@param input Tensor [batch, channels, ...]
---@param size? integer|integer[]
---@param scale_factor? number|number[]
---@param mode? string 'nearest'
---@param align_corners? boolean
---@return Tensor [batch, channels, ...]
---@example F.upsample(torch.tensor{{{1., 2.}}}, {scale_factor = 2})  --> tensor([[[1., 1., 2., 2.]]])
---@source torch.nn.functional.upsample
function resampling.upsample(...)
  local input, size, factor, mode, align_corners = parse_upsample(...)
  deprecated "upsample"
  return (resample(input, size, factor, mode, align_corners))
end

--- interpolate with mode 'nearest'; deprecated.
---@param input Tensor [batch, channels, ...]
---@param size? integer|integer[]
---@param scale_factor? integer
---@return Tensor [batch, channels, ...]
---@example F.upsample_nearest(torch.tensor{{{1., 2.}}}, {scale_factor = 2})  --> tensor([[[1., 1., 2., 2.]]])
---@source torch.nn.functional.upsample_nearest
function resampling.upsample_nearest(...)
  local input, size, factor = parse_nearest(...)
  deprecated "upsample_nearest"
  return (resample(input, size, factor, "nearest"))
end

--- interpolate with mode 'bilinear' and aligned corners; deprecated.
---@param input Tensor [batch, channels, height, width]
---@param size? integer|integer[]
---@param scale_factor? number|number[]
---@return Tensor [batch, channels, ...]
---@example F.upsample_bilinear(torch.tensor{{{{0., 1.}, {2., 3.}}}}, {size = {1, 3}}):flatten()
--- --> tensor([0.0000, 0.5000, 1.0000])
---@source torch.nn.functional.upsample_bilinear
function resampling.upsample_bilinear(...)
  local input, size, factor = parse_bilinear(...)
  deprecated "upsample_bilinear"
  return (resample(input, size, factor, "bilinear", true))
end

local sampler <const>, generator <const> = op "grid_sampler", op "affine_grid_generator"
local parse_sample = signature("F.grid_sample",
  "input, grid, mode='bilinear', padding_mode='zeros', align_corners=nil")
local parse_grid = signature("F.affine_grid", "theta, size, align_corners=nil")

--- The numbers of grid_sample's modes.
resampling.GRID_SAMPLE_INTERPOLATION_MODES = {bilinear = 0, nearest = 1, bicubic = 2}
--- The numbers of grid_sample's padding modes.
resampling.GRID_SAMPLE_PADDING_MODES = {zeros = 0, border = 1, reflection = 2}

local function corners_changed()
  warn("Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
    .. "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.")
  return false
end

--- Reads an image at the places of a grid.
---@param input Tensor [batch, channels, height, width] or with depth
---@param grid Tensor [batch, output height, output width, 2] in -1 to 1, or with depth and 3
---@param mode? string bilinear, nearest or bicubic; 'bilinear'
---@param padding_mode? string zeros, border or reflection; 'zeros'
---@param align_corners? boolean -1 and 1 are the centres of the corners' pixels, false
---@return Tensor [batch, channels, output height, output width] or with depth
---@example local image = torch.tensor{{{{1., 2.}, {3., 4.}}}}
--- local corner = torch.tensor{{{{1., -1.}}}}
--- F.grid_sample(image, corner, {align_corners = true}):item()  --> 2.0
---@source torch.nn.functional.grid_sample
function resampling.grid_sample(...)
  local input, grid, mode, padding, align_corners = parse_sample(...)
  local mode_number = resampling.GRID_SAMPLE_INTERPOLATION_MODES[mode]
  local padding_number = resampling.GRID_SAMPLE_PADDING_MODES[padding]
  if not mode_number then
    fail("nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '%s'",
      text.value(mode))
  end
  if not padding_number then
    fail("nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '%s'",
      text.value(padding))
  end
  if align_corners == nil then align_corners = corners_changed() end
  return sampler(input, grid, mode_number, padding_number, align_corners)
end

--- The sampling grid of affine maps, for grid_sample.
---@param theta Tensor [batch, 2, 3] or [batch, 3, 4]
---@param size integer[] of the output: batch, channels, (depth,) height, width
---@param align_corners? boolean as in grid_sample, false
---@return Tensor [batch, height, width, 2] or [batch, depth, height, width, 3]
---@example F.affine_grid(torch.eye(2, 3):unsqueeze(0), {1, 1, 2, 2}, {align_corners = true}).shape
--- --> torch.Size([1, 2, 2, 2])
---@source torch.nn.functional.affine_grid
function resampling.affine_grid(...)
  local theta, size, align_corners = parse_grid(...)
  if align_corners == nil then align_corners = corners_changed() end
  if not theta:is_floating_point() then
    fail("Expected theta to have floating point type, but got %s", tostring(theta.dtype))
  end
  local count = type(size) == "table" and #size or 0
  local shown = count > 0 and not getmetatable(size) and list(size) or tostring(size)
  if count ~= 4 and count ~= 5 then
    fail("affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size %s.", shown)
  end
  local rows = count - 2
  if theta:dim() ~= 3 or theta:size(-2) ~= rows or theta:size(-1) ~= rows + 1 then
    fail("Expected a batch of %dD affine matrices of shape Nx%dx%d for size %s. Got %s.", rows, rows, rows + 1, shown,
      tostring(theta.shape))
  end
  if align_corners and math.min(table.unpack(size, 3)) == 1 then
    warn("Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True. This is not "
      .. "an intended use case of affine_grid. See the documentation of affine_grid for details.")
  elseif math.min(table.unpack(size)) <= 0 then
    fail("Expected non-zero, positive output size. Got %s", shown)
  end
  return generator(theta, size, align_corners)
end

return resampling
