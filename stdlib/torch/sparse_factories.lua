-- Constructors of sparse tensors, from tensors or lists, with the check of their indices.
local autograd = require "native.autograd"
local mode = require "torch.mode"
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"
local is_tensor <const> = native.is_tensor

local factories = {}

local function op(name) return ops.find_any("aten::" .. name) end

-- Note [Sparse indices are checked]
-- PyTorch leaves the indices of a new sparse tensor unchecked unless told otherwise, and operators then read where they
-- point. A host must not die of a script's mistake: here they are checked unless told otherwise.
local checked = true

local check_until <const> = mode("torch.sparse.check_sparse_tensor_invariants", "enable=true", function(enable)
  local before = checked
  checked = enable
  return function() checked = before end
end)

--- Checks of new sparse tensors until the scope ends, or in fn(...); is_enabled(), enable() and disable() for good.
--- Enabled at first, unlike PyTorch's.
---@param enable? boolean true
---@param fn? function
---@return any|scope
---@example local checks = torch.sparse.check_sparse_tensor_invariants
--- checks(false, checks.is_enabled)  --> false
factories.check_sparse_tensor_invariants = setmetatable({
  --- Are the indices of new sparse tensors checked?
  ---@return boolean
  ---@example torch.sparse.check_sparse_tensor_invariants.is_enabled()  --> true
  is_enabled = function() return checked end,
  --- Checks them from now on.
  ---@example torch.sparse.check_sparse_tensor_invariants.enable()
  --- torch.sparse.check_sparse_tensor_invariants.is_enabled()  --> true
  enable = function() checked = true end,
  --- Checks them no more.
  ---@example torch.sparse.check_sparse_tensor_invariants.disable()
  --- torch.sparse.check_sparse_tensor_invariants.is_enabled()  --> false
  --- torch.sparse.check_sparse_tensor_invariants.enable()
  disable = function() checked = false end,
}, {
  __name = "check_sparse_tensor_invariants",
  __call = function(_, ...) return check_until(...) end,
})

local function as_tensor(value, dtype, device)
  if not is_tensor(value) then return native.tensor(value, {dtype = dtype, device = device, requires_grad = false}) end
  if dtype ~= nil and value.dtype ~= dtype then value = value:to(dtype) end
  if device ~= nil then value = value:to(device) end
  return value
end

-- Indices keep int32 where a tensor has it.
local function as_indices(value, device)
  if is_tensor(value) and (value.dtype == native.int32 or value.dtype == native.int64) then
    return as_tensor(value, nil, device)
  end
  return as_tensor(value, native.int64, device)
end

local function finish(tensor, requires_grad)
  if requires_grad then tensor:requires_grad_() end
  return tensor
end

-- What checks of memory: below the transforms of torch.func, which have none.
local function validator(name)
  local validate = op(name)
  return function(...)
    if autograd.is_transforming() then return autograd.call_below(validate, ...) end
    return validate(...)
  end
end

local coo <const>, validate_coo <const> = op "sparse_coo_tensor", validator "_validate_sparse_coo_tensor_args"
local parse_coo = signature("torch.sparse_coo_tensor", "indices, values=nil, size=nil, *, dtype=nil, layout=nil, device=nil, "
  .. "pin_memory=false, requires_grad=false, check_invariants=nil, is_coalesced=nil")

-- Is it a list of integers, or a torch.Size?
local function is_size(value)
  if type(value) ~= "table" then return false end
  for i = 1, #value do
    if math.type(value[i]) ~= "integer" then return false end
  end
  return true
end

--- A sparse tensor in coordinates.
---@param indices Tensor|integer[][] [sparse dimensions, count]; or the size of an empty tensor, alone
---@param values Tensor|table [count, dense dimensions...]
---@param size? integer[] the least that holds the indices
---@param dtype? dtype the values'
---@param device? device the values'
---@param pin_memory? boolean false
---@param requires_grad? boolean false
---@param check_invariants? boolean see torch.sparse.check_sparse_tensor_invariants
---@param is_coalesced? boolean the indices are sorted and differ
---@return Tensor
---@example torch.sparse_coo_tensor({{0, 1}, {1, 0}}, {2., 3.}, {2, 2}):to_dense():tolist()
--- --> {{0.0, 2.0}, {3.0, 0.0}}
function factories.sparse_coo_tensor(...)
  local indices, values, size, dtype, _, device, _, requires_grad, check, is_coalesced = parse_coo(...)
  if values == nil and is_size(indices) then
    return finish(coo(indices, {dtype = dtype or native.get_default_dtype(), device = device}), requires_grad)
  end
  if values == nil then vm.raise("usage", "torch.sparse_coo_tensor: missing argument 'values' (a Tensor or a list)") end
  values = as_tensor(values, dtype, device)
  indices = as_tensor(indices, native.int64, values.device)
  if check == nil then check = checked end
  local options = {dtype = values.dtype, is_coalesced = is_coalesced}
  if size == nil then return finish(coo(indices, values, options), requires_grad) end  -- negative indices it refuses
  if check then validate_coo(indices, values, size, is_coalesced) end
  return finish(coo(indices, values, size, options), requires_grad)
end

local validate_compressed <const> = validator "_validate_sparse_compressed_tensor_args"

-- Without a size: as many compressed rows as the indices say, as many plain ones as the greatest index needs.
local function compressed(make, layout, rows, columns, values, size, options)
  rows, columns = as_indices(rows, options.device), as_indices(columns, options.device)
  values = as_tensor(values, options.dtype, options.device)
  local check = options.check
  if check == nil then check = checked end
  if size ~= nil and check then validate_compressed(rows, columns, values, size, layout) end
  local result
  if size == nil then result = make(rows, columns, values, {dtype = values.dtype, layout = layout, device = values.device})
  else result = make(rows, columns, values, size, {dtype = values.dtype, layout = layout, device = values.device}) end
  if size == nil and check then validate_compressed(rows, columns, values, result.shape, layout) end
  return finish(result, options.requires_grad)
end

local OPTIONS <const> = "size=nil, *, dtype=nil, layout=nil, device=nil, pin_memory=false, requires_grad=false, "
  .. "check_invariants=nil"

local function of_layout(kind, spec)
  local make, parse = op(("sparse_%s_tensor"):format(kind)), signature(("torch.sparse_%s_tensor"):format(kind), spec .. OPTIONS)
  return function(...)
    local rows, columns, values, size, dtype, layout, device, _, requires_grad, check = parse(...)
    if kind ~= "compressed" then
      layout = native["sparse_" .. kind]
    elseif layout == nil then
      vm.raise("usage", "torch.sparse_compressed_tensor: keyword 'layout' is required, such as torch.sparse_csr")
    end
    return compressed(make, layout, rows, columns, values, size,
      {dtype = dtype, device = device, requires_grad = requires_grad, check = check})
  end
end

--- A matrix, or a batch of them, in compressed rows.
---@param crow_indices Tensor|integer[] [rows + 1], where each row begins
---@param col_indices Tensor|integer[] [count]
---@param values Tensor|table [count]
---@param size? integer[]
---@return Tensor
---@example torch.sparse_csr_tensor({0, 1, 2}, {1, 0}, {5., 6.}, {2, 2}):to_dense():tolist()  --> {{0.0, 5.0}, {6.0, 0.0}}
factories.sparse_csr_tensor = of_layout("csr", "crow_indices, col_indices, values, ")

--- A matrix, or a batch of them, in compressed columns.
---@param ccol_indices Tensor|integer[] [columns + 1], where each column begins
---@param row_indices Tensor|integer[] [count]
---@param values Tensor|table [count]
---@param size? integer[]
---@return Tensor
---@example torch.sparse_csc_tensor({0, 1, 2}, {1, 0}, {5., 6.}, {2, 2}):to_dense():tolist()  --> {{0.0, 6.0}, {5.0, 0.0}}
factories.sparse_csc_tensor = of_layout("csc", "ccol_indices, row_indices, values, ")

--- A matrix, or a batch of them, in compressed rows of blocks.
---@param crow_indices Tensor|integer[] [rows of blocks + 1]
---@param col_indices Tensor|integer[] [count]
---@param values Tensor|table [count, block rows, block columns]
---@param size? integer[]
---@return Tensor
---@example torch.sparse_bsr_tensor({0, 1}, {1}, {{{1., 2.}, {3., 4.}}}, {2, 4}):to_dense():tolist()
--- --> {{0.0, 0.0, 1.0, 2.0}, {0.0, 0.0, 3.0, 4.0}}
factories.sparse_bsr_tensor = of_layout("bsr", "crow_indices, col_indices, values, ")

--- A matrix, or a batch of them, in compressed columns of blocks.
---@param ccol_indices Tensor|integer[] [columns of blocks + 1]
---@param row_indices Tensor|integer[] [count]
---@param values Tensor|table [count, block rows, block columns]
---@param size? integer[]
---@return Tensor
---@example torch.sparse_bsc_tensor({0, 0, 1}, {0}, {{{1., 2.}, {3., 4.}}}, {2, 4}):to_dense():tolist()
--- --> {{0.0, 0.0, 1.0, 2.0}, {0.0, 0.0, 3.0, 4.0}}
factories.sparse_bsc_tensor = of_layout("bsc", "ccol_indices, row_indices, values, ")

--- A matrix in the compressed layout that `layout` names.
---@param compressed_indices Tensor|integer[]
---@param plain_indices Tensor|integer[]
---@param values Tensor|table
---@param size? integer[]
---@param layout layout torch.sparse_csr, sparse_csc, sparse_bsr or sparse_bsc
---@return Tensor
---@example local x = torch.sparse_compressed_tensor({0, 1, 2}, {1, 0}, {5., 6.}, {2, 2}, {layout = torch.sparse_csr})
--- x.layout  --> torch.sparse_csr
factories.sparse_compressed_tensor = of_layout("compressed", "compressed_indices, plain_indices, values, ")

return factories
