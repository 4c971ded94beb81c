-- Python's special methods of Tensor by their names, x:__radd__(2): what Python's operators call.
local is_tensor = require("native.tensor").is_tensor
local ops = require "native.ops"
local vm = require "native.vm"

local dunders = {}

-- Operators of the same arguments.
for name, op in pairs {
  __add__ = "add", __radd__ = "add", __sub__ = "sub", __mul__ = "mul", __rmul__ = "mul", __truediv__ = "true_divide",
  __div__ = "true_divide", __floordiv__ = "floor_divide", __mod__ = "remainder", __pow__ = "pow", __matmul__ = "matmul",
  __and__ = "bitwise_and", __rand__ = "bitwise_and", __or__ = "bitwise_or", __ror__ = "bitwise_or",
  __xor__ = "bitwise_xor", __rxor__ = "bitwise_xor", __lshift__ = "bitwise_left_shift",
  __rshift__ = "bitwise_right_shift", __invert__ = "bitwise_not", __neg__ = "neg", __pos__ = "positive", __abs__ = "abs",
  __eq__ = "eq", __ne__ = "ne", __lt__ = "lt", __le__ = "le", __gt__ = "gt", __ge__ = "ge", __rsub__ = "rsub",
  __iadd__ = "add_", __isub__ = "sub_", __imul__ = "mul_", __itruediv__ = "true_divide_", __idiv__ = "true_divide_",
  __ifloordiv__ = "floor_divide_", __imod__ = "remainder_", __ipow__ = "pow_", __iand__ = "bitwise_and_",
  __ior__ = "bitwise_or_", __ixor__ = "bitwise_xor_", __ilshift__ = "bitwise_left_shift_",
  __irshift__ = "bitwise_right_shift_",
} do
  dunders[name] = ops.find_any("aten::" .. op)
end

-- Operators with the operands in the other order.
for name, op in pairs {
  __rfloordiv__ = "floor_divide", __rmod__ = "remainder", __rpow__ = "pow", __rmatmul__ = "matmul",
  __rlshift__ = "bitwise_left_shift", __rrshift__ = "bitwise_right_shift",
} do
  local of = ops.find_any("aten::" .. op)
  dunders[name] = function(x, other) return of(other, x) end
end

function dunders.__rdiv__(x, other) return x:reciprocal() * other end
dunders.__rtruediv__ = dunders.__rdiv__

function dunders.__len__(x)
  if x:dim() == 0 then vm.raise("shape", "len() of a 0-d tensor") end
  return x:size(0)
end

function dunders.__bool__(x)
  local value = x:item()
  return value ~= 0 and value ~= false
end
dunders.__nonzero__ = dunders.__bool__

function dunders.__float__(x)
  local value = x:item()
  return type(value) == "boolean" and (value and 1.0 or 0.0) or value + 0.0
end

function dunders.__int__(x)
  local value = x:item()
  if type(value) == "boolean" then return value and 1 or 0 end
  return math.tointeger(value < 0 and math.ceil(value) or math.floor(value))
end
dunders.__long__ = dunders.__int__

function dunders.__index__(x)
  if x.dtype.is_floating_point or x.dtype.is_complex or x:numel() ~= 1 then
    vm.raise("usage", "only integer tensors of a single element can be converted to an index")
  end
  return dunders.__int__(x)
end

function dunders.__contains__(x, element)
  if not is_tensor(element) and type(element) ~= "number" and type(element) ~= "boolean" then
    vm.raise("usage", "Tensor.__contains__ only supports Tensor or scalar, but you passed in a " .. vm.describe(element))
  end
  return x:eq(element):any():item()
end

function dunders.__getitem__(x, index) return x[index] end
function dunders.__setitem__(x, index, value) x[index] = value end
function dunders.__reversed__(x) return x:dim() == 0 and x or x:flip(0) end

return dunders
