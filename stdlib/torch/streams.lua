-- torch.Stream and torch.Event: work in order on an accelerator, and points in it.
local native = require "native.tensor"
local of = require "native.device"
local signature = require "torch.signature"

local streams = {}

-- A device, the index of one of the accelerator's, or where new work goes.
local function device_of(device)
  if device == nil then return of.accelerator() or "cpu" end
  if math.type(device) == "integer" then return native.device((of.accelerator() or "cpu") .. ":" .. device) end
  return device
end

local parse_stream = signature("torch.Stream", "device=nil, priority=0")

--- A new stream: work in it is done in order, beside that of other streams.
---@param device? device the accelerator's current one
---@param priority? integer 0; a negative one is served first
---@return Stream
---@example torch.Stream("cpu").device  --> cpu
function streams.Stream(...)
  local device, priority = parse_stream(...)
  return of.new_stream(device_of(device), priority)
end

local parse_event = signature("torch.Event", "device=nil, enable_timing=false, blocking=false, interprocess=false")

--- A point in a stream's work, to wait for or to measure time between.
---@param device? device the accelerator
---@param enable_timing? boolean false
---@return Event
---@example torch.Event("cpu"):query()  --> true
function streams.Event(...)
  local device, enable_timing = parse_event(...)
  return of.new_event(device_of(device), enable_timing)
end

return streams
