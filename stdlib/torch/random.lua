-- torch.random: the default generators and their states, as in torch/random.py.
local device = require "native.device"
local mode = require "torch.mode"
local named = require "torch.named"
local native = require "native.tensor"
local vm = require "native.vm"
local warn = require "torch.warn"

local random = {
  default_generator = native.default_generator,
  manual_seed = native.manual_seed, seed = native.seed,
  Generator = native.Generator,
}

--- The seed of the default CPU generator.
---@return integer
---@example torch.manual_seed(7)
--- torch.random.initial_seed()  --> 7
function random.initial_seed() return native.initial_seed() end

--- The state of the default CPU generator.
---@return Tensor uint8
---@example local state = torch.random.get_rng_state()
--- local x = torch.rand(2)
--- torch.random.set_rng_state(state)
--- torch.equal(torch.rand(2), x)  --> true
function random.get_rng_state() return native.get_rng_state() end

--- Sets the state that get_rng_state gave.
---@param new_state Tensor uint8
---@example local state = torch.random.get_rng_state()
--- local x = torch.rand(2)
--- torch.random.set_rng_state(state)
--- torch.equal(torch.rand(2), x)  --> true
random.set_rng_state = named("torch.random.set_rng_state", "new_state", function(state) native.set_rng_state(state) end)

--- A generator for threads that load data; nil elsewhere, where the default one is meant.
---@return Generator?
---@example torch.random.thread_safe_generator()  --> nil
function random.thread_safe_generator() return nil end

local function devices_of(given, device_type, caller, keyword)
  local list = {}
  if given ~= nil then
    for i, index in ipairs(given) do list[i] = math.type(index) and ("%s:%d"):format(device_type, index) or index end
    return list
  end
  local count = device.count(device_type)
  if count > 1 then
    warn(("%s reports that you have %d available devices, and you have used %s without explicitly specifying which "
      .. "devices are being used; all of them are forked, which can be slow. Give '%s'."):format(
      device_type:upper(), count, caller, keyword))
  end
  for i = 0, count - 1 do list[i + 1] = ("%s:%d"):format(device_type, i) end
  return list
end

local function fork(devices, enabled, caller, keyword, device_type)
  if not enabled or device_type == "meta" then return function() end end
  if devices ~= nil and type(devices) ~= "table" then
    vm.raise("usage", "torch.random.fork_rng: devices must be a list, got " .. vm.describe(devices))
  end
  local names = devices_of(devices, device_type or device.accelerator() or "cuda", caller, keyword)
  local cpu_state, states = native.get_rng_state(), {}
  for i, name in ipairs(names) do states[i] = native.get_rng_state(name) end
  return function()
    native.set_rng_state(cpu_state)
    for i, name in ipairs(names) do native.set_rng_state(states[i], name) end
  end
end

--- What is drawn until the scope ends, or by a function, leaves the default generators as they were:
--- local _ <close> = torch.random.fork_rng()
--- local x = torch.random.fork_rng({devices = {}}, function() return torch.rand(3) end)
---@param devices? integer[]|device[] all accelerators; the CPU always
---@param enabled? boolean true
---@param device_type? string that of the accelerator
---@param fn? function is called with the arguments that follow it
---@return any scope, or the results of fn
---@example local before = torch.get_rng_state()
--- do local _ <close> = torch.random.fork_rng() torch.rand(3) end
--- torch.equal(before, torch.get_rng_state())  --> true
random.fork_rng = mode("torch.random.fork_rng",
  "devices=nil, enabled=true, _caller='fork_rng', _devices_kw='devices', device_type=nil", fork, true)

return require("host.namespace")("torch.random", {held = random})
