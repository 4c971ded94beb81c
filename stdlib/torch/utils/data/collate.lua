-- Samples of a dataset written in Lua, put together into a batch as PyTorch's default_collate does.
local torch = require "torch"
local vm = require "native.vm"

local MOST_DEPTH <const> = 64

local collate

local function shape_text(tensor) return "[" .. table.concat(tensor.shape, ", ") .. "]" end

local function stack(tensors, where)
  local is_same_size, first = torch.is_same_size, tensors[1]
  for i, tensor in ipairs(tensors) do
    if not torch.is_tensor(tensor) then
      vm.raise("usage", ("collate: %s of sample %d of the batch is %s, of sample 0 a tensor"):format(where, i - 1,
        vm.describe(tensor)))
    end
    if not is_same_size(tensor, first) then
      vm.raise("shape", ("collate: %s of sample %d of the batch has the shape %s, that of sample 0 has %s")
        :format(where, i - 1, shape_text(tensor), shape_text(first)))
    end
  end
  return torch.stack(tensors)
end

-- Integers become int64; with any float among them float64, as in PyTorch; booleans bool; strings stay a list.
local function collate_field(values, where, depth)
  local first, kind = values[1], type(values[1])
  if torch.is_tensor(first) then return stack(values, where) end
  for i, value in ipairs(values) do
    if type(value) ~= kind then
      vm.raise("usage", ("collate: %s of sample %d of the batch is %s, of sample 0 %s"):format(where, i - 1,
        vm.describe(value), vm.describe(first)))
    end
  end
  if kind == "table" then return collate(values, where, depth + 1) end
  if kind == "string" then return values end
  if kind == "boolean" then return torch.tensor(values) end
  if kind == "number" then
    for _, value in ipairs(values) do
      if math.type(value) == "float" then return torch.tensor(values, {dtype = torch.float64}) end
    end
    return torch.tensor(values)
  end
  vm.raise("usage", ("collate: %s is %s, expected a tensor, number, boolean, string or table of these"):format(where,
    vm.describe(first)))
end

function collate(samples, where, depth)
  if depth > MOST_DEPTH then
    vm.raise("usage", ("collate: samples are nested deeper than %d levels (a table inside itself?)"):format(MOST_DEPTH))
  end
  local batch = {}
  for key in pairs(samples[1]) do
    local name = (where and where .. "." or "field ") .. tostring(key)
    local values = {}
    for i, sample in ipairs(samples) do
      if sample[key] == nil then
        vm.raise("usage", ("collate: sample %d of the batch has no %s, sample 0 has"):format(i - 1, name))
      end
      values[i] = sample[key]
    end
    batch[key] = collate_field(values, name, depth)
  end
  return batch
end

--- Puts samples together field by field: tensors are stacked, numbers become a tensor, strings a list.
---@param samples table[] tables with the same fields, by position or by name
---@return table batch with those fields
---@example torch.utils.data.default_collate{{1, 2.5}, {3, 4.5}}
--- --> {tensor([1, 3]), tensor([2.5000, 4.5000], dtype=torch.float64)}
return function(samples)
  if type(samples) ~= "table" or type(samples[1]) ~= "table" then
    vm.raise("usage", "default_collate: argument 'samples' must be a list of tables, got " .. vm.describe(samples))
  end
  return collate(samples, nil, 0)
end
