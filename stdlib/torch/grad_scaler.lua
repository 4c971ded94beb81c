-- torch.amp.GradScaler: a loss is scaled so that float16 gradients do not vanish; steps whose gradients are infinite are
-- left out, and the scale follows. As torch/amp/grad_scaler.py.
local device = require "native.device"
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"
local unscale = require "torch.unscale"
local vm = require "native.vm"
local warn = require "torch.warn"
local is_tensor <const> = native.is_tensor

local full <const> = ops.find("full")
local update_scale <const> = ops.find_any("aten::_amp_update_scale_")

---@class GradScaler
local GradScaler = {}
GradScaler.__index, GradScaler.__name = GradScaler, "GradScaler"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

-- What a scaler keeps from one call to the next outlives the torch.scope around the call.
local function scalar(value, dtype, on) return native.keep(full({}, value, {dtype = dtype, device = on})) end

-- An optimizer's progress since the last update: "ready", "unscaled", "stepped"; whether an infinity was found, by device.
local function state_of(self, optimizer)
  local state = self._states[optimizer]
  if not state then
    state = {stage = "ready", found = {}}
    self._states[optimizer] = state
    self._order[#self._order + 1] = state
  end
  return state
end

local function forget(self) self._states, self._order = setmetatable({}, {__mode = "k"}), {} end

local function check_scale(self, name)
  if self._scale == nil then
    fail("Attempted %s but _scale is None.  This may indicate your script did not use scaler.scale(loss or outputs) "
      .. "earlier in the iteration.", name)
  end
end

-- losses: what each scaled loss was, by it, while somebody wants to know: a table with weak keys.
local scalers = {losses = nil}

local function scaled(self, outputs)
  if is_tensor(outputs) then
    if self._scale == nil then
      self._scale = scalar(self._init_scale, native.float32, outputs.device)
      self._growth_tracker = scalar(self._init_growth_tracker, native.int32, outputs.device)
    end
    local product = outputs * self._scale:to(outputs.device, {non_blocking = true})
    if scalers.losses then scalers.losses[product] = outputs end
    return product
  end
  if type(outputs) ~= "table" then vm.raise("usage", "outputs must be a Tensor or an iterable of Tensors") end
  local list = {}
  for i, each in ipairs(outputs) do list[i] = scaled(self, each) end
  return list
end

--- The outputs times the scale: scaler:scale(loss):backward().
---@param outputs Tensor|Tensor[]
---@return Tensor|Tensor[]
---@example torch.GradScaler("cpu", {init_scale = 4.0}):scale(torch.ones(2))  --> tensor([4., 4.])
function GradScaler:scale(outputs)
  if not self._enabled then return outputs end
  return scaled(self, outputs)
end

--- Divides an optimizer's gradients by the scale, for those who look at them before the step.
---@param optimizer Optimizer
---@example local scaler = torch.GradScaler("cpu")
--- local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.5})
--- scaler:scale(x:sum()):backward()
--- scaler:unscale_(optimizer)
--- x.grad  --> tensor([1.])
function GradScaler:unscale_(optimizer)
  if not self._enabled then return end
  check_scale(self, "unscale_")
  local state = state_of(self, optimizer)
  if state.stage == "unscaled" then
    fail "unscale_() has already been called on this optimizer since the last update()."
  elseif state.stage == "stepped" then
    fail "unscale_() is being called after step()."
  end
  state.found = unscale(optimizer, self._scale:double():reciprocal():float(), false)
  state.stage = "unscaled"
end

-- One flag on one device of those on several.
local function any_found(found, on)
  local total
  for _, flag in pairs(found) do
    flag = flag:to(on, {non_blocking = true})
    total = total and total + flag or flag
  end
  return total
end

--- The optimizer's step with unscaled gradients, or none if one is infinite or NaN.
---@param optimizer Optimizer
---@param ... any for optimizer:step
---@return any what optimizer:step returns
---@example local scaler = torch.GradScaler("cpu")
--- local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.5})
--- scaler:scale(x:sum() * math.huge):backward()
--- scaler:step(optimizer)
--- x:item()  --> 1.0
function GradScaler:step(optimizer, ...)
  if not self._enabled then return optimizer:step(...) end
  if select("#", ...) > 0 and (...) ~= nil then
    fail "Closure use is not currently supported if GradScaler is enabled."
  end
  check_scale(self, "step")
  local state = state_of(self, optimizer)
  if state.stage == "stepped" then fail "step() has already been called since the last update()." end
  local result
  if optimizer._native then  -- the kernel unscales, and looks at the flag itself: the host waits for neither
    local was_unscaled = state.stage == "unscaled"
    if not was_unscaled then state.found = unscale(optimizer, scalar(1.0, native.float32, self._scale.device), true) end
    if next(state.found) == nil then fail "No inf checks were recorded for this optimizer." end
    optimizer.found_inf = any_found(state.found, self._scale.device)
    optimizer.grad_scale = not was_unscaled and self._scale or nil
    local ok
    ok, result = pcall(optimizer.step, optimizer)
    optimizer.found_inf, optimizer.grad_scale = nil, nil
    if not ok then error(result, 0) end
  else
    if state.stage == "ready" then self:unscale_(optimizer) end
    if next(state.found) == nil then fail "No inf checks were recorded for this optimizer." end
    if any_found(state.found, self._scale.device):item() == 0 then result = optimizer:step() end
  end
  state.stage = "stepped"
  return result
end

local REASON <const> = "new_scale should be a float or a 1-element torch.cuda.FloatTensor or torch.FloatTensor with "
  .. "requires_grad=False."
local parse_update = signature("GradScaler.update", "new_scale=nil")

--- The scale shrinks if a step was left out, and grows after growth_interval steps that were not.
---@param new_scale? number|Tensor sets it instead
---@example local scaler = torch.GradScaler("cpu")
--- scaler:scale(torch.ones(1))
--- scaler:update(8.0)
--- scaler:get_scale()  --> 8.0
function GradScaler:update(...)
  local new_scale = parse_update(...)
  if not self._enabled then return end
  check_scale(self, "update")
  if type(new_scale) == "number" then
    self._scale:fill_(new_scale)
  elseif new_scale ~= nil then
    if not is_tensor(new_scale) or new_scale.device.type ~= self._device or new_scale:numel() ~= 1
      or new_scale.requires_grad then
      fail(REASON)
    end
    self._scale:copy_(new_scale)
  else
    local total
    for _, state in ipairs(self._order) do
      if next(state.found) then
        local found = any_found(state.found, self._scale.device)
        total = total and total + found or found
      end
    end
    if not total then fail "No inf checks were recorded prior to update." end
    update_scale(self._scale, self._growth_tracker, total, self._growth_factor, self._backoff_factor,
      self._growth_interval)
  end
  forget(self)
end

--- The scale, 1 if scaling is switched off. Waits for the device.
---@return number
---@example torch.GradScaler("cpu"):get_scale()  --> 65536.0
function GradScaler:get_scale()
  if not self._enabled then return 1.0 end
  return self._scale and self._scale:item() or self._init_scale
end

for _, name in ipairs {"growth_factor", "backoff_factor", "growth_interval"} do
  GradScaler["get_" .. name] = function(self) return self["_" .. name] end
  GradScaler["set_" .. name] = function(self, value) self["_" .. name] = value end
end

local function growth_tracker(self)
  return self._growth_tracker and self._growth_tracker:item() or self._init_growth_tracker
end

--- Is scaling switched on?
---@return boolean
---@example torch.GradScaler("cpu", {enabled = false}):is_enabled()  --> false
function GradScaler:is_enabled() return self._enabled end

--- scale, growth_factor, backoff_factor, growth_interval and _growth_tracker; empty if scaling is switched off.
---@return table
---@example torch.GradScaler("cpu"):state_dict().growth_interval  --> 2000
function GradScaler:state_dict()
  if not self._enabled then return {} end
  return {scale = self:get_scale(), growth_factor = self._growth_factor, backoff_factor = self._backoff_factor,
    growth_interval = self._growth_interval, _growth_tracker = growth_tracker(self)}
end

--- Takes a state over; nothing happens if scaling is switched off.
---@param state_dict table
---@example local scaler = torch.GradScaler("cpu")
--- scaler:load_state_dict(torch.GradScaler("cpu", {init_scale = 8.0}):state_dict())
--- scaler:get_scale()  --> 8.0
function GradScaler:load_state_dict(state_dict)
  if not self._enabled then return end
  if type(state_dict) ~= "table" or next(state_dict) == nil then
    fail "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
  end
  for _, name in ipairs {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"} do
    if type(state_dict[name]) ~= "number" then fail("GradScaler.load_state_dict: '%s' is missing", name) end
  end
  self._init_scale, self._init_growth_tracker = state_dict.scale, state_dict._growth_tracker
  if self._scale then self._scale:fill_(self._init_scale) end
  if self._growth_tracker then self._growth_tracker:fill_(self._init_growth_tracker) end
  self._growth_factor, self._backoff_factor = state_dict.growth_factor, state_dict.backoff_factor
  self._growth_interval = state_dict.growth_interval
end

local OPTIONS <const> = "init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=true"

local function check(name, value, expected, is)
  if not is then fail("torch.amp.GradScaler: argument '%s' must be %s, got %s", name, expected, vm.describe(value)) end
end

local function check_number(name, value) check(name, value, "a number", type(value) == "number") end

local function new(on, init_scale, growth_factor, backoff_factor, growth_interval, enabled)
  check("device", on, "a string", type(on) == "string")
  check_number("init_scale", init_scale)
  check_number("growth_factor", growth_factor)
  check_number("backoff_factor", backoff_factor)
  check("growth_interval", growth_interval, "an integer", math.type(growth_interval) == "integer")
  check("enabled", enabled, "a boolean", type(enabled) == "boolean")
  if on == "cuda" and enabled and device.count("cuda") == 0 then
    warn "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling."
    enabled = false
  end
  local self = setmetatable({_device = on, _enabled = enabled}, GradScaler)
  if enabled then
    if growth_factor <= 1 then fail "The growth factor must be > 1.0." end
    if backoff_factor >= 1 then fail "The backoff factor must be < 1.0." end
    self._init_scale, self._init_growth_tracker = init_scale, 0
    self._growth_factor, self._backoff_factor, self._growth_interval = growth_factor, backoff_factor, growth_interval
    forget(self)
  end
  return self
end

local parse = signature("torch.amp.GradScaler", "device='cuda', " .. OPTIONS)

--- A scaler of losses for float16: scaler:scale(loss):backward(), scaler:step(opt), scaler:update().
---@param device? string "cuda"
---@param init_scale? number 65536
---@param growth_factor? number 2
---@param backoff_factor? number 0.5
---@param growth_interval? integer 2000
---@param enabled? boolean true
---@return GradScaler
---@example local scaler = torch.GradScaler("cpu")
--- local x = torch.ones(1, {requires_grad = true})
--- local optimizer = torch.optim.SGD({x}, {lr = 0.5})
--- scaler:scale(x:sum()):backward()
--- scaler:step(optimizer)
--- scaler:update()
--- x:item()  --> 0.5
function scalers.GradScaler(...) return new(parse(...)) end

--- torch.cuda.amp.GradScaler, torch.cpu.amp.GradScaler: for one type of device.
---@param on string
---@return fun(...): GradScaler
function scalers.on(on)
  local parse_on = signature(("torch.%s.amp.GradScaler"):format(on), OPTIONS)
  return function(...) return new(on, parse_on(...)) end
end

return scalers
