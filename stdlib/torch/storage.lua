-- Storages: the memory behind tensors, of which several may be views. x:untyped_storage() in bytes, x:storage() in
-- elements. Elements count from 0, as PyTorch's do.
local named = require "torch.named"
local native = require "native.tensor"
local ops = require "native.ops"
local vm = require "native.vm"

local storages = {}

---@class Storage
local Storage = {__name = "Storage"}
local methods = {}
local fields = setmetatable({}, {__mode = "k"})  -- storage -> a tensor of all elements

local function fail(message, ...) vm.raise("usage", message:format(...)) end

--- Is it a storage?
---@param value any
---@return boolean
---@example torch.is_storage(torch.ones(2):untyped_storage())  --> true
function storages.is_storage(value) return type(value) == "table" and fields[value] ~= nil end
local is_storage <const> = storages.is_storage

-- All of the memory behind a tensor as a tensor of a dtype.
local function all_of(x, dtype)
  local bytes = x:_storage_bytes()
  if dtype == native.uint8 then return bytes end
  return bytes[{native.slice(0, #bytes // dtype.itemsize * dtype.itemsize)}]:view(dtype)
end

-- The memory may have grown behind another tensor.
local function elements(self)
  local values = fields[self] or fail("expected a storage, got %s: call storage:method(...)", vm.describe(self))
  if values:_storage_bytes().nbytes - values.nbytes >= values:element_size() then
    values = all_of(values, values.dtype)
    fields[self] = native.keep(values)
  end
  return values
end

local function of_tensor(x, dtype)
  local self = setmetatable({}, Storage)
  fields[self] = native.keep(all_of(x, dtype))  -- no scope finds it behind the storage
  return self
end

--- The memory behind the tensor, in bytes: that of all its views.
---@return Storage
---@example torch.ones(4):narrow(0, 1, 2):untyped_storage():nbytes()  --> 16
function storages.untyped_storage(x) return of_tensor(x, native.uint8) end

--- The memory behind the tensor, in elements of its dtype.
---@return Storage
---@example torch.tensor{1., 2.}:storage():tolist()  --> {1.0, 2.0}
function storages.storage(x) return of_tensor(x, x.dtype) end

--- A storage of so many bytes, not initialized.
---@param size? integer 0
---@param device? device the CPU
---@return Storage
---@example torch.UntypedStorage(4):nbytes()  --> 4
storages.UntypedStorage = named("torch.UntypedStorage", "size=0, *, device=nil", function(size, device)
  return of_tensor(ops.find "empty"(size, {dtype = native.uint8, device = device or "cpu"}), native.uint8)
end)

--- The address of its memory: storages with the same one are one.
---@return integer
function methods:data_ptr() return elements(self):data_ptr() end

--- How many bytes.
---@return integer
function methods:nbytes() return elements(self).nbytes end

--- How many elements: bytes, if it has no dtype.
---@return integer
function methods:size() return elements(self):size(0) end

--- The bytes of an element.
---@return integer
function methods:element_size() return elements(self):element_size() end

--- Its elements as a table.
---@return number[]
function methods:tolist() return elements(self):tolist() end

--- A storage of its own with the same elements.
---@return Storage
function methods:clone()
  local values = elements(self)
  return of_tensor(values:clone(), values.dtype)
end

--- Takes the elements of another storage of the same size over.
---@param source Storage
---@param non_blocking? boolean false
---@return Storage itself
methods.copy_ = named("Storage.copy_", "self, source, non_blocking=false", function(self, source, non_blocking)
  local to, from = elements(self), elements(source)
  if to:size(0) ~= from:size(0) then
    fail("Storage.copy_: expected a storage of %d elements, got %d", to:size(0), from:size(0))
  end
  to:copy_(from, non_blocking)
  return self
end)

--- Sets all elements.
---@param value number
---@return Storage itself
methods.fill_ = named("Storage.fill_", "self, value", function(self, value)
  elements(self):fill_(value)
  return self
end)

--- More memory behind the same tensors: what they hold stays. It never shrinks, so that no tensor reads beyond its end.
---@param size integer elements
---@return Storage itself
methods.resize_ = named("Storage.resize_", "self, size", function(self, size)
  local values = elements(self)
  if math.type(size) ~= "integer" or size < values:size(0) then
    fail("Storage.resize_: expected at least the %d elements that tensors may look at, got %s", values:size(0),
      vm.describe(size))
  end
  local grown = values:detach()  -- the other keeps its size if there is no memory
  grown:resize_({size})
  fields[self] = native.keep(grown)
  return self
end)

--- The same on the CPU, a copy if it is elsewhere.
---@return Storage
function methods:cpu()
  local values = elements(self)
  if values.device.type == "cpu" then return self end
  return of_tensor(values:cpu(), values.dtype)
end

local attributes = {device = true, dtype = true, is_cuda = true, is_sparse = true}

-- All elements, and the place of one of them. Within what is known the memory is not asked whether it has grown.
local function place(self, key)
  if math.type(key) ~= "integer" then
    if type(key) == "number" then fail("storage: an index must be an integer, got %s", vm.describe(key)) end
    fail("a storage has no '%s'", tostring(key))
  end
  local values = fields[self]
  if values and key >= 0 and key < values:size(0) then return values, key end
  values = elements(self)
  local count = values:size(0)
  if key < -count or key >= count then fail("index %d out of range for storage of size %d", key, count) end
  return values, key
end

function Storage:__index(key)
  if methods[key] then return methods[key] end
  if attributes[key] then return elements(self)[key] end
  local values, at = place(self, key)
  return values[at]:item()
end

function Storage:__newindex(key, value)
  local values, at = place(self, key)
  values[at] = value
end

function Storage:__len() return elements(self):size(0) end
function Storage.__eq(a, b)
  return is_storage(a) and is_storage(b) and a:data_ptr() == b:data_ptr() and a.device == b.device and a:nbytes() == b:nbytes()
end
function Storage:__tostring()
  local values = elements(self)
  return ("Storage of %d x %s on %s"):format(values:size(0), tostring(values.dtype), tostring(values.device))
end

return storages
