-- Datasets: `#set` samples, `set[i]` is the table of fields of sample i, counted from 0.
--
-- Those made of tensors are native: loaders read them in C++ threads. Any table with `get` and `len` is a dataset too.
local keywords = require "host.keywords"
local native = require "native.data"
local vm = require "native.vm"
require "torch"  -- what a Tensor can do is defined there

local dataset = {}

local function class_length(self) return dataset.length(self) end

local function describe_class(name) return function(self) return ("%s(%d samples)"):format(name, #self) end end

-- The metatable of a dataset class: integers are samples, other keys methods.
local function class(name, methods)
  local meta = {__name = name, __tostring = describe_class(name)}
  function meta.__index(self, key)
    if type(key) == "number" then return dataset.sample(self, key) end
    return methods[key]
  end
  meta.__len = class_length
  return meta
end

local native_methods = {}
--- The fields of sample `index` as a table.
function native_methods:get(index) return self.native:get(index) end
function native_methods:len() return #self.native end

local TensorDataset = class("TensorDataset", native_methods)
local NativeSubset = class("Subset", native_methods)
local NativeConcat = class("ConcatDataset", native_methods)

--- The native dataset behind one of ours, or nil for a dataset that is written in Lua.
function dataset.native_of(set)
  local inner = type(set) == "table" and rawget(set, "native")
  return type(inner) == "userdata" and inner or nil
end

-- What `#set` says for a table without `len`: by its __len, else the samples that it lists; nil if there are none.
local function length_of(set)
  local meta = getmetatable(set)
  local len = type(meta) == "table" and rawget(meta, "__len")
  if len and len ~= class_length then return #set end  -- class_length asks here
  if rawlen(set) > 0 then return rawlen(set) end
  return nil
end

--- How many samples a dataset has; a usage error for what is no dataset.
---@return integer
function dataset.length(set, where)
  local inner = dataset.native_of(set)
  if inner then return #inner end
  where = where or "dataset"
  if type(set) ~= "table" or type(set.get) ~= "function" then
    vm.raise("usage", ("%s: expected a dataset, got %s"):format(where, vm.describe(set)),
      "a dataset is a TensorDataset, or a table with get(self, i) and len or __len")
  end
  local len = set.len
  if type(len) == "function" then len = len(set) end
  if len == nil then len = length_of(set) end
  if len == nil then
    vm.raise("usage", where .. ": the dataset has get but no length", "give it len = count, a method len, or __len")
  end
  local count = math.tointeger(len)
  if not count or count < 0 then
    vm.raise("usage", ("%s: the dataset's 'len' must be a count of samples or return one, got %s"):format(where,
      vm.describe(len)))
  end
  return count
end

-- What `get` returned as a table of fields: several values, or one table without metatable, or one value.
local function fields_of(first, ...)
  if select("#", ...) > 0 then return {first, ...} end
  if type(first) == "table" and getmetatable(first) == nil then return first end
  return {first}
end

--- The fields of sample `index`, counted from 0; -1 is the last one.
---@return table
function dataset.sample(set, index)
  local i, count = math.tointeger(index), dataset.length(set)
  if not i or i < -count or i >= count then
    vm.raise("usage", ("sample index %s is out of range, expected %d to %d"):format(tostring(index), -count, count - 1))
  end
  if i < 0 then i = i + count end
  local inner = dataset.native_of(set)
  if inner then return inner:get(i) end
  local sample = fields_of(set:get(i))
  if next(sample) == nil then
    vm.raise("usage", ("the dataset's get(%d) returned nothing, expected the fields of the sample"):format(i))
  end
  return sample
end

local Dataset = {__name = "Dataset", __tostring = describe_class("Dataset")}
function Dataset.__index(self, key)
  if type(key) == "number" then return dataset.sample(self, key) end
  return nil
end
Dataset.__len = class_length

--- A dataset written in Lua: `Dataset{len = 10, get = function(self, i) return x, y end}`.
--- `get` returns the fields of sample i (from 0) as values, as a list, or by name; `len` is a number or a function.
---@param fields table with `get`, `len` and whatever else `get` needs
---@example local squares = torch.utils.data.Dataset{len = 3, get = function(self, i) return i, i * i end}
--- squares[2]  --> {2, 4}
function dataset.Dataset(fields)
  local set = setmetatable(fields, Dataset)
  dataset.length(set, "Dataset")
  return set
end

local function check_transforms(transforms, count)
  local checked = {}
  for position, transform in pairs(transforms or {}) do
    if math.type(position) ~= "integer" or position < 1 or position > count then
      vm.raise("usage", ("TensorDataset: 'transforms' is a table by position, 1 to %d, got the key %s"):format(count,
        vm.describe(position)))
    end
    checked[position] = keywords.check("TensorDataset: transforms[" .. position .. "]", transform,
      {divisor = 1, mean = keywords.none, std = keywords.none})
  end
  return checked
end

--- Sample i is the i-th entry of each tensor: `TensorDataset(x, y)`.
--- Keyword `transforms = {[1] = {divisor = 255, mean = 0.5, std = 0.25}}` turns the numbers of a tensor into float32
--- (x / divisor - mean) / std while batches are made, so that images stay bytes in memory; `mean` and `std` are
--- numbers or one for each channel.
---@param ... Tensor|table tensors with equal first dimensions, then keywords
---@example local set = torch.utils.data.TensorDataset(torch.arange(3), torch.arange(3) * 10)
--- set[2]  --> {tensor(2), tensor(20)}
function dataset.TensorDataset(...)
  local tensors, given = keywords.split(...)
  local options = keywords.check("TensorDataset", given, {transforms = keywords.none})
  tensors.n = nil
  local transforms = check_transforms(options.transforms, #tensors)
  return setmetatable({tensors = tensors, transforms = transforms, native = native.tensor_dataset(tensors, transforms)},
    TensorDataset)
end

local lua_subset, lua_concat = {}, {}
function lua_subset:get(i) return dataset.sample(self.dataset, self.indices[i + 1]) end
function lua_subset:len() return #self.indices end

function lua_concat:len() return self.ends[#self.ends] end
function lua_concat:get(i)
  local d = 1
  while i >= self.ends[d] do d = d + 1 end
  return dataset.sample(self.datasets[d], i - (self.ends[d - 1] or 0))
end

local LuaSubset, LuaConcat = class("Subset", lua_subset), class("ConcatDataset", lua_concat)

--- The samples of `set` at `indices` (0-based), in that order.
---@param indices integer[]|Tensor
---@example local set = torch.utils.data.TensorDataset(torch.arange(3))
--- #torch.utils.data.Subset(set, {0, 2})  --> 2
function dataset.Subset(set, indices)
  local count = dataset.length(set, "Subset")
  local inner = dataset.native_of(set)
  if inner then
    return setmetatable({dataset = set, indices = indices, native = native.subset(inner, indices)}, NativeSubset)
  end
  local list = type(indices) == "userdata" and indices:tolist() or indices
  for _, index in ipairs(list) do
    if math.type(index) ~= "integer" or index < 0 or index >= count then
      vm.raise("usage", ("Subset: index %s is out of range, expected 0 to %d"):format(tostring(index), count - 1))
    end
  end
  return setmetatable({dataset = set, indices = list}, LuaSubset)
end

--- Several datasets one after the other.
---@param sets table list of datasets with the same fields
---@example local set = torch.utils.data.TensorDataset(torch.arange(3))
--- #torch.utils.data.ConcatDataset{set, set}  --> 6
function dataset.ConcatDataset(sets)
  if type(sets) ~= "table" or #sets == 0 then
    vm.raise("usage", "ConcatDataset: expected a list of at least one dataset, got " .. vm.describe(sets))
  end
  local inner, ends = {}, {}
  for i, set in ipairs(sets) do
    ends[i] = (ends[i - 1] or 0) + dataset.length(set, "ConcatDataset")
    inner[#inner + 1] = dataset.native_of(set)
  end
  if #inner == #sets then return setmetatable({datasets = sets, native = native.concat(inner)}, NativeConcat) end
  return setmetatable({datasets = sets, ends = ends}, LuaConcat)
end

return dataset
