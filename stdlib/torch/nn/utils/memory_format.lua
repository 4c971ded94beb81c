-- nn.utils.memory_format: convolution weights in another order of memory.
local named = require "torch.named"
local native = require "native.model"

local formats = {}

-- Is the module of a class of one of these names, or of one made from it?
local function is_one_of(module, names)
  local class = native.class_of(module)
  while class do
    if names[class.__name] then return true end
    class = rawget(class, "__base")
  end
  return false
end

local function converter(name, classes)
  local convert
  convert = named("nn.utils." .. name, "module, memory_format", function(module, memory_format)
    if is_one_of(module, classes) then
      module.weight.data = module.weight:detach():clone({memory_format = memory_format})
    end
    for _, child in ipairs(module:children()) do convert(child, memory_format) end
    return module
  end)
  return convert
end

--- Puts the weights of two-dimensional convolutions, in place, into a memory format; the values stay.
---@param module Module it and all below
---@param memory_format memory_format such as torch.channels_last
---@return Module module
---@example local conv = nn.Conv2d(2, 3, 2)
--- nn.utils.convert_conv2d_weight_memory_format(conv, torch.channels_last)
--- conv.weight:is_contiguous({memory_format = torch.channels_last})  --> true
---@source torch.nn.utils.convert_conv2d_weight_memory_format
formats.convert_conv2d_weight_memory_format = converter("convert_conv2d_weight_memory_format",
  {Conv2d = true, ConvTranspose2d = true})

--- Puts the weights of three-dimensional convolutions, in place, into a memory format; the values stay.
---@param module Module it and all below
---@param memory_format memory_format such as torch.channels_last_3d
---@return Module module
---@example local conv = nn.Conv3d(2, 3, 2)
--- nn.utils.convert_conv3d_weight_memory_format(conv, torch.channels_last_3d)
--- conv.weight:is_contiguous({memory_format = torch.channels_last_3d})  --> true
---@source torch.nn.utils.convert_conv3d_weight_memory_format
formats.convert_conv3d_weight_memory_format = converter("convert_conv3d_weight_memory_format",
  {Conv3d = true, ConvTranspose3d = true})

return formats
