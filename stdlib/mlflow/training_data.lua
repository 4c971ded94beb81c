-- The data of a training as datasets of its run: what its loaders read, without reading it anew.
--
-- Known are tensors: those of a TensorDataset, of Subsets of one, and of lists of batches. Data that a function makes, or a
-- dataset written in Lua, have no values before they are asked for, and asking might change the training.
local data = require "mlflow.data"
local inner <const> = require("train.data").inner
local torch = require "torch"

local is_tensor <const> = torch.is_tensor

local function field(object, name)
  local ok, value = pcall(function() return object[name] end)
  if ok then return value end
end

-- The rows of a tensor at the first of its indices: as many as a digest reads. `nth(i)`: the index of row i.
local function rows_at(tensor, count, nth)
  local wanted = {}
  for i = 1, math.min(count, data.rows_read(tensor)) do wanted[i] = nth(i - 1) end
  return tensor:index_select(0, torch.tensor(wanted, {dtype = torch.int64}):to(tensor.device))
end

-- Rows of the tensors of a dataset, the first of its indices alone where it has such, and how many there are in all.
local function rows_of(set, count, nth)
  local tensors = field(set, "tensors")
  if type(tensors) == "table" and is_tensor(tensors[1]) then
    if not nth then return tensors, tensors[1]:size(0) end
    local rows = {}
    for i, tensor in ipairs(tensors) do rows[i] = rows_at(tensor, count, nth) end
    return rows, count
  end
  local within, indices = field(set, "dataset"), field(set, "indices")
  if within == nil or indices == nil then return nil end
  local function at(i)
    if nth then i = nth(i) end
    if is_tensor(indices) then return indices[i]:item() end
    return indices[i + 1]
  end
  return rows_of(within, count or #indices, at)
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
---@param given any a loader, a list of batches
---@return Dataset? nil where its values are not known
return function(given)
  given = inner(given)
  local set, rows, count = field(given, "dataset"), nil, nil
  if set ~= nil then
    rows, count = rows_of(set)
  elseif type(given) == "table" and getmetatable(given) == nil then
    rows, count = rows_of_batches(given)
  end
  if not rows or rows[1]:dim() == 0 or rows[1]:size(0) == 0 then return nil end
  local features, targets = rows[1], is_tensor(rows[2]) and rows[2]:dim() > 0 and rows[2] or nil
  return data.from_tensor(of_shape(features, count), {targets = targets and of_shape(targets, count),
    digest = data.digest(features, targets, count)})
end
