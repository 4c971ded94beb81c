-- train.MemoryMonitor: logs the memory of the process, of tensors, of Lua and of the device.
local host = require "host"
local interval = require "train.interval"
local keywords = require "host.keywords"
local options = require "train.options"
local process_memory = require "train.process_memory"

local MemoryMonitor = {__name = "MemoryMonitor", group = "metrics", errors = "disable",
  writes = {"memory_rss", "memory_native", "memory_lua"}, writes_vary = true, state_fields = {"peak", "memory"}}
MemoryMonitor.__index = MemoryMonitor

local MIB <const> = 1024 * 1024

local function on_cuda(state)
  local parameter = state.model and state.model:parameters()[1]
  return parameter and parameter.device.type == "cuda"
end

--- Says what it writes: that of the device too.
---@private
---@param state table
function MemoryMonitor:check(state)
  if not on_cuda(state) then return end
  self.writes = table.move({"memory_cuda", "memory_cuda_reserved", "memory_cuda_max"}, 1, 3, #MemoryMonitor.writes + 1,
    {table.unpack(MemoryMonitor.writes)})
end

local function write(self, state)
  local rss = process_memory()
  local logs = state.logs
  if rss then
    logs.memory_rss = rss / MIB
    self.peak = math.max(self.peak or 0, rss / MIB)
  end
  logs.memory_native = host.native_bytes().charged / MIB
  logs.memory_lua = collectgarbage("count") / 1024
  if on_cuda(state) then
    local cuda = require("torch").cuda
    logs.memory_cuda = cuda.memory_allocated() / MIB
    logs.memory_cuda_reserved = cuda.memory_reserved() / MIB
    logs.memory_cuda_max = cuda.max_memory_allocated() / MIB
  end
  if self.limit and rss and rss / MIB > self.limit and not self._told then
    self._told = true
    state:say(("warning: MemoryMonitor: the process has %.0f MiB, more than limit = %g"):format(rss / MIB, self.limit))
  end
end

function MemoryMonitor:on_train_begin() self.peak, self.memory, self._told = 0, {}, false end

function MemoryMonitor:on_batch_end(state)
  if self._every and interval.due(self._every, state, "batch_end", self.memory, "every") then write(self, state) end
end

function MemoryMonitor:on_epoch_end(state) write(self, state) end

---Logs, in MiB, at the end of each epoch: `memory_rss` (the process), `memory_native` (tensors that Lua holds), `memory_lua`,
---and where the model is on CUDA `memory_cuda`, `memory_cuda_reserved`, `memory_cuda_max`. `peak` is the greatest memory_rss.
---@param arguments? table every = also within epochs (batches, or "100ba", "30s"), limit (MiB of memory_rss: more is told once),
---errors = "disable", budget
---@return table callback
return function(arguments)
  local self = setmetatable(options.of_callback("train.MemoryMonitor", arguments,
    {every = keywords.none, limit = keywords.none}, {limit = "not_negative"}), MemoryMonitor)
  self._every = self.every and interval.parse(self.every, "train.MemoryMonitor: every")
  self.memory = {}
  return self
end
