-- Data for the loops: tensors, datasets and Keras's arguments of fit become loaders.
local batches = require "train.batches"
local torch = require "torch"

local data = {}

local is_tensor <const> = torch.is_tensor
local BATCH_SIZE <const> = 32  -- Keras's default

local function fail(where, message, hint, ...) require("native.vm").raise("usage", where .. ": " .. message:format(...), hint) end

-- The tensors of a list of tensors only, of as many samples each.
local function tensors_of(given)
  if is_tensor(given) then return {given} end
  if type(given) ~= "table" or getmetatable(given) ~= nil or #given < 1 or #given > 3 then return nil end
  for _, item in ipairs(given) do
    if not is_tensor(item) then return nil end
  end
  return given
end

local function is_dataset(given)
  if type(given) ~= "table" or getmetatable(given) == nil then
    if type(given) ~= "userdata" or is_tensor(given) then return false end
  end
  local ok, found = pcall(function() return given.enumerate == nil and given.get ~= nil end)
  return ok and found
end

local function same_length(tensors, where)
  for i, tensor in ipairs(tensors) do
    if tensor:dim() == 0 then fail(where, "tensor %d has no dimension of samples", nil, i) end
    if tensor:size(0) ~= tensors[1]:size(0) then
      fail(where, "the tensors must have as many samples each, got %d and %d", nil, tensors[1]:size(0), tensor:size(0))
    end
  end
end

local function loader(dataset, batch_size, shuffle)
  return torch.utils.data.DataLoader(dataset, {batch_size = batch_size, shuffle = shuffle})
end

-- In order nothing is random: the default generator is left alone, so that an evaluation in between changes no training.
local function loader_of(tensors, batch_size, shuffle)
  local dataset = torch.utils.data.TensorDataset(table.unpack(tensors))
  if shuffle then return loader(dataset, batch_size, true) end
  return torch.utils.data.DataLoader(dataset, {batch_size = batch_size, generator = torch.Generator()})
end

---A loader of `given` where it is tensors or a dataset, else `given` itself.
---@param given any tensors {x, y [, sample_weight]}, a tensor, a dataset, or what train.batches takes
---@param options table {where, batch_size, shuffle}; a batch size says that a list of tensors is no list of batches
---@return any data
---@return boolean weighted whether the third tensor of each batch is the weights of its samples
function data.loader(given, options)
  local tensors = tensors_of(given)
  if tensors and (options.tensors or options.batch_size or is_tensor(given)) then
    same_length(tensors, options.where)
    return loader_of(tensors, options.batch_size or BATCH_SIZE, options.shuffle), #tensors == 3
  end
  if options.batch_size and is_dataset(given) then return loader(given, options.batch_size, options.shuffle), false end
  if options.batch_size then
    fail(options.where, "batch_size goes with tensors and datasets, got batches", "the DataLoader has a batch_size of its own")
  end
  return given, false
end

-- A pass of so many batches that goes on where the last one ended, and begins anew when the data end.
local Stretch = {__name = "Stretch"}
Stretch.__index = Stretch

function Stretch:__len() return self.steps end

-- Walks over the pass that `index` batches are done of. Those of data that are made anew are made once more, with the random
-- numbers that this pass began with.
local function follow(self)
  if not batches.is_made_anew(self.data) then return table.pack(batches.each(self.data, nil, self.passes, self.index)) end
  local generators = require "host.generators"
  local now = generators.take()
  if self.index == 0 then
    self.random = now
  elseif self.random then
    generators.restore(self.random)
  end
  local following = table.pack(batches.each(self.data, nil, self.passes, self.index))
  if self.index > 0 then generators.restore(now) end
  return following
end

-- The next batch of the data, and of their next pass where this one has ended.
local function next_of(self)
  for _ = 1, 2 do
    self.following = self.following or follow(self)
    local index, batch = self.following[1](self.following[2], self.following[3])
    if index ~= nil then
      self.following[3], self.index = index, self.index + 1
      return batch
    end
    self.following, self.index, self.passes = nil, 0, self.passes + 1
  end
  return nil
end

---@private
---@param start? integer batches of this pass that are done
function Stretch:enumerate(start)
  local i = (start or 0) - 1
  return function()
    if i + 1 >= self.steps then return nil end
    local batch = next_of(self)
    if batch == nil then return nil end
    i = i + 1
    return i, batch
  end
end

---Where the data stand: a pass of them may span several of these.
---@return table
function Stretch:state_dict()
  return {passes = self.passes, index = self.index, random = self.index > 0 and self.random or nil,
    data = batches.has_position(self.data) and self.data:state_dict() or nil}
end

---@param state table of state_dict
function Stretch:load_state_dict(state)
  self.passes, self.index, self.random, self.following = state.passes, state.index, state.random, nil
  if state.data and batches.has_position(self.data) then self.data:load_state_dict(state.data) end
end

---@param given any data
---@param steps integer batches of each pass
function data.stretch(given, steps) return setmetatable({data = given, steps = steps, passes = 0, index = 0}, Stretch) end

---The first `count` batches, the same in each pass.
function data.first(given, count)
  local list = {}
  for _, batch in batches.each(given, count) do list[#list + 1] = batch end
  return list
end

local function whole(where, name, value)
  local n = math.type(value) and math.tointeger(value)
  if not n or n < 1 then fail(where, "%s must be a whole number of 1 or more, got %s", nil, name, require("native.vm").describe(value)) end
  return n
end

-- Keras's validation_split: the last samples, before any shuffling.
local function split(tensors, fraction, where)
  if type(fraction) ~= "number" or fraction <= 0 or fraction >= 1 then
    fail(where, "validation_split must be a number between 0 and 1, got %s", nil, require("native.vm").describe(fraction))
  end
  local count = tensors[1]:size(0)
  local first = math.floor(count * (1 - fraction))
  if first == 0 or first == count then
    fail(where, "validation_split = %s of %d samples leaves no samples on one side", nil, tostring(fraction), count)
  end
  local head, tail = {}, {}
  for i, tensor in ipairs(tensors) do
    head[i], tail[i] = tensor:narrow(0, 0, first), tensor:narrow(0, first, count - first)
  end
  return head, tail
end

local function one_name(a, where, ours, keras)
  if a[keras] == nil then return end
  if a[ours] ~= nil then fail(where, "%s and %s are the same; give one", nil, ours, keras) end
  a[ours], a[keras] = a[keras], nil
end

---Puts Keras's arguments of fit in the place of ours: a.train and a.valid are loaders then.
---@param a table the arguments of train.fit, changed in place
function data.of_fit(a)
  local where = "train.fit"
  one_name(a, where, "valid", "validation_data")
  if a.validation_steps ~= nil then a.validation_steps = whole(where, "validation_steps", a.validation_steps) end
  one_name(a, where, "limit_valid_batches", "validation_steps")
  local shuffle = a.shuffle ~= false
  local splits = a.validation_split ~= nil and a.validation_split ~= 0 and a.valid == nil  -- as in Keras the data win
  local tensors = tensors_of(a.train)
  local is_tensors = tensors and (a.batch_size or not a.step or is_tensor(a.train)) and true or false
  if a.batch_size then a.batch_size = whole(where, "batch_size", a.batch_size) end
  if a.sample_weight ~= nil then
    if not (is_tensors and #tensors == 2) then fail(where, "sample_weight goes with train = {x, y}") end
    if not is_tensor(a.sample_weight) then
      fail(where, "sample_weight must be a tensor, got %s", nil, require("native.vm").describe(a.sample_weight))
    end
    tensors = {tensors[1], tensors[2], a.sample_weight}
  end
  if is_tensors then
    same_length(tensors, where .. ": train")
    if splits then tensors, a.valid = split(tensors, a.validation_split, where) end
  elseif splits then
    fail(where, "validation_split goes with train = {x, y}, got batches", "torch.utils.data.random_split splits a dataset")
  end
  if is_tensors or a.batch_size then
    a.train, a.weighted = data.loader(is_tensors and tensors or a.train,
      {where = where .. ": train", batch_size = a.batch_size, tensors = is_tensors, shuffle = shuffle})
  end
  if a.shuffle and not is_tensors and not a.batch_size then
    fail(where, "shuffle goes with tensors and datasets, got batches", "the DataLoader has a shuffle of its own")
  end
  if a.valid ~= nil then
    local pair = tensors_of(a.valid)
    local size = a.validation_batch_size or (is_dataset(a.valid) or pair) and a.batch_size or nil
    if pair or is_dataset(a.valid) then
      a.valid, a.weighted_valid = data.loader(a.valid, {where = where .. ": valid", batch_size = size or BATCH_SIZE,
        tensors = is_tensors or not a.step, shuffle = false})
    elseif a.validation_batch_size then
      fail(where, "validation_batch_size goes with tensors and datasets, got batches", "the DataLoader has a batch_size of its own")
    end
  end
  if a.steps_per_epoch then
    batches.check(a.train, where .. ": train")
    a.train = data.stretch(a.train, whole(where, "steps_per_epoch", a.steps_per_epoch))
  end
  if a.overfit_batches then
    a.train = data.first(a.train, whole(where, "overfit_batches", a.overfit_batches))
    if a.valid ~= nil then a.valid, a.weighted_valid = a.train, a.weighted end
  end
end

return data
