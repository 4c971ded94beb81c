-- Walking over data in batches: a DataLoader, a list of batches, or a function that returns an iterator.
local callable = require "host.callable"
local numbers = require "train.numbers"
local ordered = require "host.ordered"
local torch = require "torch"

local batches = {}

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

local function is_list(data) return type(data) == "table" and getmetatable(data) == nil end

local MUST <const> = "%s must be tensors {x, y}, a dataset, a DataLoader, a list of batches or a function that returns an iterator, got %s"

---A usage error unless `data` can be walked over.
function batches.check(data, where)
  if type(data) == "function" then return end
  local ok, enumerate = pcall(function() return data.enumerate end)
  if not is_list(data) and not (ok and enumerate) then
    usage(MUST:format(where, require("native.vm").describe(data)), "torch.utils.data.DataLoader(dataset, {batch_size = 64})")
  end
  if #data > 0 then return end
  local key = is_list(data) and ordered.keys(data)[1]
  if key then
    usage(MUST:format(where, ("a table with the key '%s'"):format(tostring(key))), "{x, y} has no names; a batch may have some")
  end
  usage(("%s has no batches"):format(where), ok and enumerate and data.drop_last and "drop_last leaves none" or nil)
end

---How many batches one pass has, nil when that is not known.
---@param limit? integer at most so many
---@return integer?
function batches.count(data, limit)
  if type(data) == "function" then return nil end
  return limit and math.min(limit, #data) or #data
end

---One warning where Keras's `steps` ask for more batches than there are. A limit in our words may be any.
---@param said string? what the user called the limit
---@param limit integer?
---@param where string "train.fit"
---@param name string of the data
function batches.warn_of_steps(data, said, limit, where, name)
  local count = said and batches.count(data)
  if count and limit > count then
    require("host").log.warn(("%s: %s = %d, but %s has %s: all are taken"):format(where, said, limit, name,
      numbers.counted(count, "batch")))
  end
end

---Can the position within these data be saved?
---@return boolean
function batches.has_position(data)
  return type(data) == "table" and getmetatable(data) ~= nil and data.state_dict ~= nil and data.load_state_dict ~= nil
end

---Are these made anew to go on within an epoch: neither a list nor with a position that can be loaded?
---@return boolean
function batches.is_made_anew(data) return not is_list(data) and not batches.has_position(data) end

-- What `iterate` gives, without its first `count` batches and from batch `limit` on nothing.
local function bounded(iterate, state, control, count, limit, skips)
  local number = count - 1
  for _ = 1, skips and count or 0 do
    control = iterate(state, control)
    if control == nil then return function() return nil end end
  end
  return function()
    if limit and number + 1 >= limit then return nil end
    local batch
    control, batch = iterate(state, control)
    if control == nil then return nil end
    number = number + 1
    return number, batch
  end
end

---For-values over the batches: `for i, batch in batches.each(data, limit) do`, i from 0.
---@param data any
---@param limit? integer at most so many
---@param epoch? integer given to a function
---@param start? integer so many of the epoch are done: goes on after them; a loader has been told by load_state_dict
function batches.each(data, limit, epoch, start)
  start = start or 0
  if is_list(data) then
    local i, last = start - 1, batches.count(data, limit) - 1
    return function()
      if i >= last then return nil end
      i = i + 1
      return i, data[i + 1]
    end
  end
  if type(data) == "function" then
    local next_batch, state, control, close = data(epoch)
    if not callable(next_batch) then
      usage("a function as data must return an iterator, got " .. require("native.vm").describe(next_batch),
        "function(epoch) return next_batch end, where next_batch() gives {x, y} and at the end nil")
    end
    local function iterate(s, before)
      local batch = next_batch(s, before)
      return batch, batch
    end
    return bounded(iterate, state, control, start, limit, true), nil, nil, close
  end
  local iterate, state, control, close = data:enumerate(start)
  if not limit and start == 0 then return iterate, state, control, close end
  return bounded(iterate, state, control, start, limit, not batches.has_position(data)), nil, nil, close
end

local is_tensor <const>, rows <const> = torch.is_tensor, require("native.magnitude").rows

-- The first tensor of a batch; by name in sorted order.
local function first_tensor(batch)
  if is_tensor(batch) then return batch end
  if type(batch) ~= "table" then return nil end
  for _, item in ipairs(batch) do
    local found = first_tensor(item)
    if found then return found end
  end
  for _, name in ipairs(ordered.keys(batch)) do
    local found = type(name) == "string" and first_tensor(batch[name])
    if found then return found end
  end
  return nil
end

---The number of samples in a batch: the first dimension of its first tensor, else the length of its first table.
---@return integer
function batches.samples(batch)
  local first = type(batch) == "table" and batch[1]
  local count = rows(first)
  if count then return count end
  local tensor = first_tensor(batch)
  if tensor then return rows(tensor) end
  if type(first) == "table" then return #first end
  return 1
end

---The batch with its tensors on `device`.
function batches.to(batch, device)
  if is_tensor(batch) then return batch:to(device) end
  if type(batch) ~= "table" then return batch end
  local moved = {}
  for key, item in pairs(batch) do moved[key] = batches.to(item, device) end
  return moved
end

return batches
