-- Methods of Tensor that are small composites of operators, as in torch/_tensor.py.
local ops = require "native.ops"

local method = {}

-- x:rep(2, 2) is Tensor.repeat, whose name is a keyword of Lua.
method.rep = ops.find("repeat", true)

local split_sizes, split_chunks = ops.find("split_with_sizes", true), ops.find("split", true)

--- Splits into chunks of a size, or of the given sizes, along a dimension.
---@param split integer|integer[]
---@param dim? integer 0
---@return Tensor[]
function method.split(x, split, ...)
  if type(split) == "table" then return split_sizes(x, split, ...) end
  return split_chunks(x, split, ...)
end

--- Whether the dtype is a floating point one.
---@return boolean
function method.is_floating_point(x) return x.dtype.is_floating_point end

--- Whether the dtype is a complex one.
---@return boolean
function method.is_complex(x) return x.dtype.is_complex end

--- Whether the dtype has a sign.
---@return boolean
function method.is_signed(x) return x.dtype.is_signed end

--- The same type and device as another tensor.
---@param other Tensor
---@return Tensor
function method.type_as(x, other) return x:to(other) end

-- Methods that are the functions of torch/functional.lua, loaded when they are first used.
for _, name in ipairs {"norm", "stft", "unique", "unique_consecutive"} do
  local f
  method[name] = function(...)
    f = f or require("torch.functional")[name]
    return f(...)
  end
end

return method
