-- train.Throughput: samples, batches and tokens a second, and the share of time spent waiting for data.
local batches = require "train.batches"
local keywords = require "host.keywords"
local logs = require "train.logs"
local options = require "train.options"

-- In the last group: at a batch's end the others are done, so that the time until the next batch is the data's.
local Throughput = {__name = "Throughput", group = "checkpoint", errors = "disable",
  writes = {"samples_per_second", "batches_per_second", "data_wait"}, state_fields = {"batches", "samples"}}
Throughput.__index = Throughput

local function rate(amount, seconds) return amount / math.max(seconds, 1e-9) end

-- The logs of an epoch, read as late as they are asked for.
local function show(self, state)
  local function add(name, f)
    self._shown[#self._shown + 1] = name
    logs.set_lazy(state.logs, name, f)
  end
  self._shown = {}
  add("batches_per_second", function() return rate(self._batches, self._last - self._began) end)
  add("data_wait", function() return self._waited / math.max(self._last - self._began, 1e-9) end)
  if self._samples > 0 then add("samples_per_second", function() return rate(self._samples, self._last - self._began) end) end
  if self._tokens > 0 then add("tokens_per_second", function() return rate(self._tokens, self._last - self._began) end) end
end

function Throughput:on_train_begin() self.batches, self.samples = 0, 0 end

function Throughput:on_epoch_begin()
  self._began = self.clock()
  self._last, self._waited, self._batches, self._samples, self._tokens, self._shown = self._began, 0, 0, 0, 0, nil
end

function Throughput:on_batch_begin()
  if not self._began then self:on_epoch_begin() end
  self._waited = self._waited + self.clock() - self._last
end

-- Samples that are rows of whole numbers are tokens.
local function tokens_of(self, state)
  if self.tokens then
    local count, vm = self.tokens(state.inputs, state), require "native.vm"
    return type(count) == "number" and count or vm.raise("usage", "tokens must return a number, got " .. vm.describe(count))
  end
  local input = type(state.inputs) == "table" and state.inputs[1] or state.inputs
  if not require("torch").is_tensor(input) or input:dim() ~= 2 then return 0 end
  if input:is_floating_point() or input:is_complex() or tostring(input.dtype) == "torch.bool" then return 0 end
  return input:numel()
end

function Throughput:on_batch_end(state)
  if not self._began then return end
  self._batches = self._batches + 1
  if state.inputs ~= nil then
    self._samples = self._samples + (state.samples or batches.samples(state.inputs))
    self._tokens = self._tokens + tokens_of(self, state)
  end
  self._last = self.clock()
  local meta = getmetatable(state.logs)
  if not (meta and meta.__name == "logs") then return end
  if not self._shown then show(self, state) end
  for _, name in ipairs(self._shown) do logs.stale(state.logs, name) end
end

function Throughput:on_epoch_end()
  self.batches, self.samples = (self.batches or 0) + self._batches, (self.samples or 0) + self._samples
end

---Logs how fast the training goes, over each epoch without its validation: `samples_per_second`, `batches_per_second`,
---`tokens_per_second` where samples are rows of whole numbers, and `data_wait`, the share of the time (0 to 1) that was spent
---waiting for the next batch.
---@param arguments? table tokens = function(batch, state) returning how many tokens a batch has, clock = function() returning
---seconds, errors = "disable", budget
---@return table callback
return function(arguments)
  local self = setmetatable(options.of_callback("train.Throughput", arguments,
    {tokens = keywords.none, clock = keywords.none}, {tokens = "function", clock = "function"}), Throughput)
  self.clock = self.clock or require("host").clock
  return self
end
