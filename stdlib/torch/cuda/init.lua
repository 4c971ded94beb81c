-- torch.cuda, as in torch/cuda/__init__.py. Without a GPU its questions have answers and its deeds are errors.
local context = require "native.context"
local memory = require "torch.device_memory"
local mode = require "torch.mode"
local named = require "torch.named"
local native = require "native.tensor"
local of = require "native.device"
local signature = require "torch.signature"
local vm = require "native.vm"

local cuda = {}

-- A CUDA device of what the user gave: an index, a name, a device, or nil for the current one.
local function device_of(device)
  if device == nil then return "cuda" end
  if math.type(device) and math.tointeger(device) then
    device = math.tointeger(device)
    if device < 0 then vm.raise("usage", ("torch.cuda: invalid device index %d"):format(device)) end
    return ("cuda:%d"):format(device)
  end
  local given = native.device(device)
  if given.type ~= "cuda" then
    vm.raise("usage", ("Expected a cuda device, but got: %s"):format(tostring(given)))
  end
  return given
end

-- A function of a device alone.
local function of_device(name, f) return named("torch.cuda." .. name, "device=nil", f) end

-- --- What there is

---@return boolean
function cuda.is_available() return of.count("cuda") > 0 end

---@return integer
function cuda.device_count() return of.count("cuda") end

--- Has CUDA been used?
---@return boolean
function cuda.is_initialized() return cuda.is_available() and of.is_initialized("cuda") end

--- Makes CUDA ready, which its first use does by itself.
function cuda.init() of.require("cuda") end

---@return integer
function cuda.current_device() return of.current("cuda") end

--- Makes a device the current one; a negative index changes nothing.
---@param device device|integer
cuda.set_device = named("torch.cuda.set_device", "device", function(device)
  if math.type(device) == "integer" and device < 0 then return end
  of.exchange(device_of(device))
end)

local function enter_device(device)
  if device == nil or math.type(device) == "integer" and device < 0 then return function() end end
  local before = of.exchange(device_of(device))
  return function() of.exchange(("cuda:%d"):format(before)) end
end

--- Another current device until the scope ends, or while a function runs:
--- local _ <close> = torch.cuda.device(1)
---@param device device|integer nil or a negative index: no change
---@param fn? function is called with the arguments that follow it
cuda.device = mode("torch.cuda.device", "device=nil", enter_device)

--- The device of a tensor; no change for one that is on no GPU.
---@param obj Tensor
cuda.device_of = mode("torch.cuda.device_of", "obj", function(obj)
  return enter_device(obj.is_cuda and obj.device or nil)
end)

--- Name, memory in bytes, compute capability, processors ... of a device.
---@param device? device|integer
---@return table
cuda.get_device_properties = of_device("get_device_properties", function(device)
  return of.cuda_properties(device_of(device))
end)

---@param device? device|integer
---@return string
cuda.get_device_name = of_device("get_device_name", function(device)
  return cuda.get_device_properties(device).name
end)

---@param device? device|integer
---@return integer major
---@return integer minor
cuda.get_device_capability = of_device("get_device_capability", function(device)
  local properties = cuda.get_device_properties(device)
  return properties.major, properties.minor
end)

---@param device device|integer
---@param peer_device device|integer
---@return boolean
cuda.can_device_access_peer = named("torch.cuda.can_device_access_peer", "device, peer_device", function(device, peer)
  of.require("cuda")
  return of.cuda_can_access_peer(device_of(device), device_of(peer))
end)

--- Can bfloat16 be computed with, if need be by emulation?
---@param including_emulation? boolean true
---@return boolean
cuda.is_bf16_supported = named("torch.cuda.is_bf16_supported", "including_emulation=true", function(emulated)
  if not cuda.is_available() then return false end
  return emulated or cuda.get_device_properties().major >= 8
end)

--- Is TF32 there?
---@return boolean
function cuda.is_tf32_supported() return cuda.is_available() and cuda.get_device_properties().major >= 8 end

--- Waits for all work on a device.
---@param device? device|integer
cuda.synchronize = of_device("synchronize", function(device) of.synchronize(device_of(device)) end)

-- --- Memory

-- Nothing used yet is no error where only a number is asked for.
local function ready() return cuda.is_initialized() end

for name, f in pairs(memory("torch.cuda", device_of, ready)) do cuda[name] = f end

--- The peaks begin again, one name for each as PyTorch had before.
cuda.reset_max_memory_allocated, cuda.reset_max_memory_cached =
  cuda.reset_peak_memory_stats, cuda.reset_peak_memory_stats
cuda.memory_cached, cuda.max_memory_cached = cuda.memory_reserved, cuda.max_memory_reserved

-- --- Streams and events

local parse_stream = signature("torch.cuda.Stream", "device=nil, priority=0")

--- A new stream: work in it is done in order, beside that of other streams.
---@param device? device|integer
---@param priority? integer 0; -1 is served first
---@return Stream
function cuda.Stream(...)
  local device, priority = parse_stream(...)
  return of.new_stream(device_of(device), priority)
end

local parse_event = signature("torch.cuda.Event",
  "enable_timing=false, blocking=false, interprocess=false, external=false")

--- A point in a stream's work: `event:record()`, `event:synchronize()`, `start:elapsed_time(stop)` in milliseconds.
---@param enable_timing? boolean false
---@return Event
function cuda.Event(...)
  local enable_timing, _, interprocess, external = parse_event(...)
  if interprocess or external then
    vm.raise("usage", "torch.cuda.Event: events of other processes and graphs are not supported")
  end
  return of.new_event("cuda", enable_timing)
end

---@param device? device|integer
---@return Stream
cuda.current_stream = of_device("current_stream", function(device) return of.current_stream(device_of(device)) end)

---@param device? device|integer
---@return Stream
cuda.default_stream = of_device("default_stream", function(device) return of.default_stream(device_of(device)) end)

--- New work goes to that stream from now on; nil changes nothing.
---@param stream? Stream
cuda.set_stream = named("torch.cuda.set_stream", "stream=nil", function(stream)
  if stream ~= nil then of.set_stream(stream) end
end)

--- New work goes to a stream until the scope ends, or while a function runs:
--- local _ <close> = torch.cuda.stream(side)
---@param stream Stream? nil: no change
---@param fn? function is called with the arguments that follow it
cuda.stream = mode("torch.cuda.stream", "stream=nil", function(stream)
  if stream == nil then return function() end end
  local device = of.exchange(stream.device)
  local before = of.set_stream(stream)
  return function()
    of.set_stream(before)
    of.exchange(("cuda:%d"):format(device))
  end
end)

--- The scope of torch.cuda.stream, by its class's name.
cuda.StreamContext = cuda.stream

--- Is a graph being captured? Never: Lua has no CUDA graphs.
---@return boolean
function cuda.is_current_stream_capturing() return false end

--- Lets go of memory that other processes use no more. Nothing is shared with other processes from Lua.
function cuda.ipc_collect() of.require("cuda") end

-- --- Random numbers

--- Seeds the current device's generator; without a GPU nothing is seeded.
---@param seed integer
cuda.manual_seed = named("torch.cuda.manual_seed", "seed", function(seed)
  if cuda.is_available() then native.device_manual_seed(seed, "cuda") end
end)

--- Seeds all devices' generators.
---@param seed integer
cuda.manual_seed_all = named("torch.cuda.manual_seed_all", "seed", function(seed)
  for i = 0, cuda.device_count() - 1 do native.device_manual_seed(seed, ("cuda:%d"):format(i)) end
end)

--- Seeds the current device's generator from the system's entropy.
function cuda.seed()
  if cuda.is_available() then cuda.manual_seed(native.Generator():seed()) end
end

--- Seeds the generators of all devices from the system's entropy.
function cuda.seed_all()
  if cuda.is_available() then cuda.manual_seed_all(native.Generator():seed()) end
end

---@return integer
function cuda.initial_seed() return native.initial_seed("cuda") end

---@param device? device|integer
---@return Tensor uint8
cuda.get_rng_state = of_device("get_rng_state", function(device) return native.get_rng_state(device_of(device)) end)

---@return Tensor[]
function cuda.get_rng_state_all()
  local states = {}
  for i = 0, cuda.device_count() - 1 do states[i + 1] = cuda.get_rng_state(i) end
  return states
end

---@param new_state Tensor uint8
---@param device? device|integer
cuda.set_rng_state = named("torch.cuda.set_rng_state", "new_state, device=nil", function(new_state, device)
  if cuda.is_available() then native.set_rng_state(new_state, device_of(device)) end
end)

---@param new_states Tensor[]
cuda.set_rng_state_all = named("torch.cuda.set_rng_state_all", "new_states", function(new_states)
  for i, state in ipairs(new_states) do cuda.set_rng_state(state, i - 1) end
end)

-- --- Versions, and how LibTorch was built

local build <const> = context.show_config()

--- Had half precision and MAGMA a part in the build?
cuda.has_half, cuda.has_magma = true, build:find("Magma", 1, true) ~= nil

--- The architectures that kernels were built for: {"sm_80", "compute_90"}; empty without CUDA.
---@return string[]
function cuda.get_arch_list()
  local list = {}
  if not cuda.is_available() then return list end
  for architecture in context.show_config():gmatch "code=([%w_]+)" do list[#list + 1] = architecture end
  return list
end

--- The flags of nvcc for them.
---@return string
function cuda.get_gencode_flags()
  local flags = {}
  for i, each in ipairs(cuda.get_arch_list()) do
    local kind, number = each:match "^(%a+)_(.+)$"
    flags[i] = ("-gencode compute=compute_%s,code=%s_%s"):format(number, kind, number)
  end
  return table.concat(flags, " ")
end

--- 12040 for CUDA 12.4: of the runtime, and of what the driver supports.
---@return integer runtime
---@return integer driver
function cuda.versions() return of.cuda_versions() end

--- cuDNN's version, 90100 for 9.1, or nil.
---@return integer?
cuda.cudnn_version = context.cudnn_version

cuda.amp = require "torch.amp_of"("cuda", "float16")

--- The generators that torch.cuda.manual_seed_all seeds, from index 0 of the devices.
cuda.default_generators = {}
for i = 1, cuda.device_count() do cuda.default_generators[i] = native.device_generator(("cuda:%d"):format(i - 1)) end

return require("host.namespace")("torch.cuda", {
  held = cuda, modules = {nvtx = "torch.cuda.nvtx"},
  files = {["torch.errors"] = "OutOfMemoryError AcceleratorError", ["torch.cuda.parts"] = "memory random streams",
    ["torch.cuda.summary"] = "memory_summary memory_stats_as_nested_dict"},
  find = function(name) return name:find "Tensor$" and require("torch.tensor_types").cuda[name] or nil end,
})
