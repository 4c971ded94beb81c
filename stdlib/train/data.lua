-- Data for the loops: tensors, datasets and Keras's arguments of fit become loaders.
local batches = require "train.batches"
local keras = require "train.keras"
local numbers = require "train.numbers"
local options = require "train.options"
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

local function check_samples(given, where)
  if #given == 0 then require("native.vm").raise("usage", where .. " has no samples") end
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

---A loader of `given` where it is tensors or a dataset, else `given` itself. Has a batch in any case.
---@param given any tensors {x, y [, sample_weight]}, a tensor, a dataset, or what train.batches takes
---@param wanted table {where, batch_size, name = "batch_size", shuffle, tensors}; a batch size, or `tensors`, says that a
---list of tensors is no list of batches
---@return any data
---@return boolean weighted whether the third tensor of each batch is the weights of its samples
function data.loader(given, wanted)
  local tensors = tensors_of(given)
  if tensors and (wanted.tensors or wanted.batch_size or is_tensor(given)) then
    same_length(tensors, wanted.where)
    check_samples(tensors[1], wanted.where)
    return loader_of(tensors, wanted.batch_size or BATCH_SIZE, wanted.shuffle), #tensors == 3
  end
  if is_dataset(given) then
    check_samples(given, wanted.where)
    return loader(given, wanted.batch_size or BATCH_SIZE, wanted.shuffle), false
  end
  batches.check(given, wanted.where)
  if wanted.batch_size then
    fail(wanted.where, "%s goes with tensors and datasets, got batches", "the DataLoader has a batch_size of its own",
      wanted.name or "batch_size")
  end
  return given, false
end

-- A pass of so many batches that goes on where the last one ended, and begins anew when the data end; `ends`: as in Keras it
-- ends with them.
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

local function tell_end(self)
  if self.told then return end
  self.told = true
  require("host").log.warn(("train.fit: steps_per_epoch = %d, but train ran out of data after %s: %s"):format(self.steps,
    numbers.counted(self.index, "batch"), self.ends and "the epoch ends there" or "it begins anew within the epoch"))
end

-- The next batch of the data, and of their next pass where this one has ended.
local function next_of(self, is_first)
  for _ = 1, 2 do
    self.following = self.following or follow(self)
    local index, batch = self.following[1](self.following[2], self.following[3])
    if index ~= nil then
      self.following[3], self.index = index, self.index + 1
      return batch
    end
    local is_short = self.ends and not is_first
    if is_short or self.index > 0 and self.index < self.steps then tell_end(self) end
    self.following, self.index, self.passes = nil, 0, self.passes + 1
    if is_short then return nil end
  end
  return nil
end

---@private
---@param start? integer batches of this pass that are done
function Stretch:enumerate(start)
  local i = (start or 0) - 1
  return function()
    if i + 1 >= self.steps then return nil end
    local batch = next_of(self, i < 0)
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
---@param ends boolean a pass ends where the data do
function data.stretch(given, steps, ends)
  return setmetatable({data = given, steps = steps, ends = ends, passes = 0, index = 0}, Stretch)
end

---The data that an epoch of steps_per_epoch batches reads; what is no such epoch itself.
---@param given any
function data.inner(given) return getmetatable(given) == Stretch and given.data or given end

---The first `count` batches, the same in each pass.
function data.first(given, count)
  local list = {}
  for _, batch in batches.each(given, count) do list[#list + 1] = batch end
  return list
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

---Puts Keras's arguments of fit in the place of ours: a.train and a.valid are loaders then.
---@param a table the arguments of train.fit, changed in place
---@param said table<string, string> what the user called those that have another name now
function data.of_fit(a, said)
  local where = "train.fit"
  local train, valid = where .. ": " .. (said.train or "train"), where .. ": " .. (said.valid or "valid")
  local shuffle = a.shuffle ~= false
  local splits = a.validation_split ~= nil and a.validation_split ~= 0 and a.valid == nil  -- as in Keras the data win
  local tensors = tensors_of(a.train)
  local is_tensors = tensors and (a.batch_size or not a.step or is_tensor(a.train)) and true or false
  if a.sample_weight ~= nil then tensors = keras.weighted(where, "train", a.train, a.sample_weight) end
  if is_tensors then
    same_length(tensors, train)
    if splits then tensors, a.valid = split(tensors, a.validation_split, where) end
  elseif splits then
    if not is_dataset(a.train) then batches.check(a.train, train) end
    fail(where, "validation_split goes with train = {x, y}, got %s", "torch.utils.data.random_split splits a dataset",
      is_dataset(a.train) and "a dataset" or "batches")
  end
  local is_loader = not is_tensors and not is_dataset(a.train)
  a.train, a.weighted = data.loader(is_tensors and tensors or a.train,
    {where = train, batch_size = a.batch_size, tensors = is_tensors, shuffle = shuffle})
  if a.shuffle and is_loader then
    fail(where, "shuffle goes with tensors and datasets, got batches", "the DataLoader has a shuffle of its own")
  end
  if a.valid ~= nil then
    local of_samples = tensors_of(a.valid) or is_dataset(a.valid)
    a.valid, a.weighted_valid = data.loader(a.valid, {where = valid, name = "validation_batch_size",
      batch_size = a.validation_batch_size or of_samples and a.batch_size or nil,
      tensors = is_tensors or not tensors})  -- beside a list of tensors that are batches it is one too
  end
  if a.steps_per_epoch then
    a.train = data.stretch(a.train, a.steps_per_epoch, a.compat == "keras")
  end
  if a.overfit_batches then
    a.train = data.first(a.train, a.overfit_batches)
    if a.valid ~= nil then a.valid, a.weighted_valid = a.train, a.weighted end
  end
end

---The data of train.evaluate and train.predict: a.data is what can be walked over then.
---@param where string
---@param a table the arguments, changed in place
---@param said table<string, string> what the user called those that have another name now
---@return boolean weighted
function data.of_pass(where, a, said)
  local name = said.data or "data"
  options.check(where, a, {batch_size = "positive_count", limit_batches = "positive_count"}, said)
  local weighted
  a.data, weighted = data.loader(a.data, {where = ("%s: %s"):format(where, name), batch_size = a.batch_size,
    tensors = where == "train.evaluate" and not a.step})
  batches.warn_of_steps(a.data, said.limit_batches, a.limit_batches, where, name)
  return weighted
end

return data
