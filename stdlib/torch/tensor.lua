-- Methods of Tensor that are small composites of operators, as in torch/_tensor.py.
local native = require "native.tensor"
local ops = require "native.ops"

local method = {}

-- x:rep(2, 2) is Tensor.repeat, whose name is a keyword of Lua.
method.rep = ops.find("repeat", true)

local split_sizes, split_chunks = ops.find("split_with_sizes", true), ops.find("split", true)
local split_named

--- Splits into chunks of a size, or of the given sizes, along a dimension.
---@param split_size integer|integer[]
---@param dim? integer 0
---@return Tensor[]
---@example torch.arange(5):split({1, 4})  --> {tensor([0]), tensor([1, 2, 3, 4])}
function method.split(x, split_size, ...)
  if math.type(split_size) then return split_chunks(x, split_size, ...) end
  if type(split_size) == "table" and split_size[1] then return split_sizes(x, split_size, ...) end
  split_named = split_named or require("torch.shapes").split_method
  return split_named(x, split_size, ...)
end

local nonzero <const> = ops.find("nonzero", true)
local nonzero_named

--- The positions of what is not zero: a row each, or with {as_tuple = true} a list with a tensor for each dimension.
---@return Tensor|Tensor[]
---@example torch.tensor{0, 5, 7}:nonzero():tolist()  --> {{1}, {2}}
function method.nonzero(x, options)
  if options == nil then return nonzero(x) end
  nonzero_named = nonzero_named or require("torch.shapes").nonzero
  return nonzero_named(x, options)
end

--- Whether the dtype is a floating point one.
---@return boolean
---@example torch.tensor{1, 2}:is_floating_point()  --> false
function method.is_floating_point(x) return x.dtype.is_floating_point end

--- Whether the dtype is a complex one.
---@return boolean
---@example torch.zeros(2, {dtype = torch.complex64}):is_complex()  --> true
function method.is_complex(x) return x.dtype.is_complex end

--- Whether the dtype has a sign.
---@return boolean
---@example torch.zeros(2, {dtype = torch.uint8}):is_signed()  --> false
function method.is_signed(x) return x.dtype.is_signed end

--- The same type and device as another tensor.
---@param other Tensor
---@return Tensor
---@example torch.ones(2):type_as(torch.tensor{1})  --> tensor([1, 1])
function method.type_as(x, other) return x:to(other) end

--- As a sparse COO tensor.
---@return Tensor
---@example torch.tensor{0., 5., 0.}:to_sparse_coo():indices()  --> tensor([[1]])
function method.to_sparse_coo(x) return x:to_sparse() end

--- Does nothing: the threads of a program, workers among them, share all tensors.
---@return Tensor
---@example local x = torch.ones(2)
--- x:share_memory_() == x  --> true
function method.share_memory_(x) return x end

--- Always true: see share_memory_.
---@return boolean
---@example torch.ones(2):is_shared()  --> true
function method.is_shared(_) return true end

-- Methods in files of their own, loaded when one is first called.
local files = {
  ["torch.functional"] = "norm stft",
  ["torch.distinct"] = "unique unique_consecutive",
  ["torch.decompositions"] = "lu",
  ["torch.removed"] = "solve lstsq eig symeig",
  ["torch.arrays"] = "type",
  ["torch.tensor_methods"] = "apply_ map_ map2_ new new_tensor dim_order module_load reinforce resize resize_as xpu "
    .. "ipu mtia",
  ["torch.storage"] = "untyped_storage storage",
  ["torch.dunders"] = [[__add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ __mul__ __rmul__ __imul__ __truediv__ __div__
    __rtruediv__ __rdiv__ __itruediv__ __idiv__ __floordiv__ __rfloordiv__ __ifloordiv__ __mod__ __rmod__ __imod__ __pow__
    __rpow__ __ipow__ __matmul__ __rmatmul__ __and__ __rand__ __iand__ __or__ __ror__ __ior__ __xor__ __rxor__ __ixor__
    __lshift__ __rlshift__ __ilshift__ __rshift__ __rrshift__ __irshift__ __invert__ __neg__ __pos__ __abs__ __eq__ __ne__
    __lt__ __le__ __gt__ __ge__ __len__ __bool__ __nonzero__ __int__ __long__ __index__ __float__ __contains__ __getitem__
    __setitem__ __reversed__]],
}
for module, names in pairs(files) do
  for name in names:gmatch "%S+" do
    method[name] = function(...)
      local f = require(module)[name]
      native.methods[name] = f
      return f(...)
    end
  end
end

return method
