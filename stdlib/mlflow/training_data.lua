-- The data of a training as datasets of its run: what its loaders read, without reading it anew.
--
-- Known are tensors: those of a TensorDataset, of Subsets of one, and of lists of batches. Data that a function makes, or a
-- dataset written in Lua, have no values before they are asked for, and asking might change the training.
local is_tensor <const> = require("torch").is_tensor

local VALUES <const> = 10000  -- as many as MLflow's digest of an array reads

local function field(object, name)
  local ok, value = pcall(function() return object[name] end)
  if ok then return value end
end

-- Rows of the tensors of a dataset: those at the first of its indices, and how many there are in all.
local function rows_of(set, wanted)
  local tensors = field(set, "tensors")
  if type(tensors) == "table" and is_tensor(tensors[1]) then
    local count, rows = tensors[1]:size(0), {}
    for i, tensor in ipairs(tensors) do
      rows[i] = wanted and tensor:index_select(0, require("torch").tensor(wanted):to(tensor.device)) or tensor
    end
    return rows, count
  end
  local inner, indices = field(set, "dataset"), field(set, "indices")
  if inner == nil or indices == nil then return nil end
  local count, first = #indices, {}
  if is_tensor(indices) then indices = indices:narrow(0, 0, math.min(count, VALUES)):tolist() end
  for i, index in ipairs(wanted or {}) do first[i] = indices[index + 1] end
  if not wanted then table.move(indices, 1, math.min(count, VALUES), 1, first) end
  return rows_of(inner, first), count
end

-- A list of batches {x, y}: the first one stands for all of them in the digest.
local function rows_of_batches(list)
  local first, count = list[1], 0
  if type(first) ~= "table" or not is_tensor(first[1]) or first[1]:dim() == 0 then return nil end
  for _, batch in ipairs(list) do count = count + batch[1]:size(0) end
  return first, count
end

-- `tensor` as the first of `count` rows, without memory for the others.
local function of_shape(tensor, count)
  if tensor:size(0) == count then return tensor end
  return tensor:narrow(0, 0, 1):expand(count, table.unpack(tensor.shape, 2))
end

---The dataset behind what a training reads.
---@param data any a loader, a list of batches
---@return Dataset? nil where its values are not known
return function(data)
  if type(data) == "table" and field(data, "steps") and field(data, "data") ~= nil then data = data.data end  -- a stretch of passes
  local set, rows, count = field(data, "dataset"), nil, nil
  if set ~= nil then
    rows, count = rows_of(set)
  elseif type(data) == "table" and getmetatable(data) == nil then
    rows, count = rows_of_batches(data)
  end
  if not rows or rows[1]:dim() == 0 or rows[1]:size(0) == 0 then return nil end
  local describe = require("mlflow.data").from_tensor
  local features, targets = rows[1], is_tensor(rows[2]) and rows[2]:dim() > 0 and rows[2] or nil
  if features:size(0) == count then return describe(features, {targets = targets}) end
  local digest = describe({count = require("torch").tensor {count}, features = features}, {targets = targets}).digest
  return describe(of_shape(features, count), {targets = targets and of_shape(targets, count), digest = digest})
end
