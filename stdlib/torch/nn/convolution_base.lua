-- What all convolutions of torch.nn share: their checks, parameters and printed text.
local allocate = require "torch.nn.allocate"
local draw_by_fan_in = require "torch.nn.draw_by_fan_in"
local per_dimension = require "torch.nn.per_dimension"
local text = require "torch.python_text"
local vm = require "native.vm"

local base = {}

local MODES <const> = {zeros = true, reflect = true, replicate = true, circular = true}

local function all_are(list, n)
  for i = 1, #list do
    if list[i] ~= n then return false end
  end
  return true
end

-- What F.pad takes, last dimension first; "same" pads the odd row at the end.
local function padding_to_both_sides(padding, kernel, dilation)
  local out = {}
  for d = #kernel, 1, -1 do
    local before, after
    if padding == "valid" then before, after = 0, 0
    elseif padding == "same" then
      local total = dilation[d] * (kernel[d] - 1)
      before = total // 2
      after = total - before
    else before, after = padding[d], padding[d] end
    out[#out + 1], out[#out + 2] = before, after
  end
  return out
end

local function check(self)
  local padding, mode = self.padding, self.padding_mode
  if self.groups <= 0 then vm.raise("usage", "groups must be a positive integer") end
  if self.in_channels % self.groups ~= 0 then vm.raise("usage", "in_channels must be divisible by groups") end
  if self.out_channels % self.groups ~= 0 then vm.raise("usage", "out_channels must be divisible by groups") end
  if type(padding) == "string" then
    if padding ~= "same" and padding ~= "valid" then
      vm.raise("usage", ("Invalid padding string '%s', should be one of 'same', 'valid'"):format(padding))
    end
    if padding == "same" and not all_are(self.stride, 1) then
      vm.raise("usage", "padding='same' is not supported for strided convolutions")
    end
  end
  if not MODES[mode] then
    vm.raise("usage", ("padding_mode must be one of zeros, reflect, replicate, circular, but got padding_mode='%s'")
      :format(tostring(mode)))
  end
end

--- Fills in a convolution of `dims` dimensions; `given` has PyTorch's arguments by name.
---@param self Module
---@param dims integer
---@param given table
---@param transposed boolean
function base.fill(self, dims, given, transposed)
  self.in_channels, self.out_channels, self.groups = given.in_channels, given.out_channels, given.groups
  for _, name in ipairs {"kernel_size", "stride", "padding", "dilation", "output_padding"} do
    local value = given[name]
    self[name] = type(value) == "string" and value or per_dimension(value, dims, name)
  end
  self.padding_mode, self.transposed = given.padding_mode, transposed
  check(self)
  if self.padding_mode ~= "zeros" then
    self._sides = padding_to_both_sides(self.padding, self.kernel_size, self.dilation)
  end
  local first, second = given.out_channels, given.in_channels
  if transposed then first, second = second, first end
  local shape = {first, second // given.groups, table.unpack(self.kernel_size)}
  self.weight = allocate.parameter(shape, given.device, given.dtype)
  self:register_parameter("bias", given.bias and allocate.parameter({given.out_channels}, given.device, given.dtype) or nil)
  self:reset_parameters()
end

base.methods = {}

--- Draws the parameters anew, as PyTorch does when it makes the layer.
---@example local layer = nn.Conv2d(1, 1, 2)
--- nn.init.zeros_(layer.weight)
--- layer:reset_parameters()
--- torch.count_nonzero(layer.weight):item()  --> 4
function base.methods:reset_parameters()
  draw_by_fan_in(self.weight, self.bias)
end

function base.methods:extra_repr()
  local parts = {self.in_channels, self.out_channels, text.fields(self, "kernel_size", "stride")}
  local function add(name, default)
    local value = self[name]
    if type(value) == "string" then parts[#parts + 1] = name .. "=" .. value
    elseif not all_are(value, default) then parts[#parts + 1] = text.pairs(name, value) end
  end
  add("padding", 0)
  add("dilation", 1)
  add("output_padding", 0)
  if self.groups ~= 1 then parts[#parts + 1] = text.fields(self, "groups") end
  if not self.bias then parts[#parts + 1] = "bias=False" end
  if self.padding_mode ~= "zeros" then parts[#parts + 1] = "padding_mode=" .. self.padding_mode end
  return table.concat(parts, ", ")
end

return base
