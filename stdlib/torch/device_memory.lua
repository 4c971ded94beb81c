-- The memory functions that torch.cuda and torch.accelerator share.
local named = require "torch.named"
local of = require "native.device"
local ordered = require "host.ordered"
local vm = require "native.vm"

--- @param space string "torch.cuda"
--- @param device_of fun(device: any): any the device that a user's argument means
--- @param ready fun(): any nil, or false where the statistics are empty: nothing has been used
--- @return table functions
return function(space, device_of, ready)
  local memory = {}

  -- Each takes the device alone.
  local function of_device(name, f) return named(space .. "." .. name, "device=nil", f) end

  -- The statistics; empty before first use.
  local function stats(device)
    if ready() == false then return {} end
    return of.memory_stats(device_of(device))
  end

  --- The allocator's statistics by name, sorted: "allocated_bytes.all.peak" ...
  ---@param device? device|integer
  ---@return table<string, integer>
  memory.memory_stats = of_device("memory_stats", function(device)
    local all, sorted = stats(device), ordered.new()
    for _, key in ipairs(ordered.keys(all)) do sorted[key] = all[key] end
    return sorted
  end)

  for name, key in pairs {
    memory_allocated = "allocated_bytes.all.current", max_memory_allocated = "allocated_bytes.all.peak",
    memory_reserved = "reserved_bytes.all.current", max_memory_reserved = "reserved_bytes.all.peak",
  } do
    --- Bytes of device memory: in tensors (allocated) or held by the allocator (reserved), now or at most.
    ---@param device? device|integer
    ---@return integer
    memory[name] = of_device(name, function(device) return stats(device)[key] or 0 end)
  end

  --- The peaks begin again at what is used now.
  ---@param device? device|integer
  memory.reset_peak_memory_stats = of_device("reset_peak_memory_stats", function(device)
    of.reset_peak(device_of(device))
  end)

  ---@param device? device|integer
  memory.reset_accumulated_memory_stats = of_device("reset_accumulated_memory_stats", function(device)
    of.reset_accumulated(device_of(device))
  end)

  --- Gives memory that no tensor holds back to the device. Tensors that a script has let go of are collected first.
  function memory.empty_cache()
    if ready() == false then return end
    vm.collect()
    of.empty_cache(device_of())
  end

  --- Bytes that are free, and all there are.
  ---@param device? device|integer
  ---@return integer free
  ---@return integer total
  memory.mem_get_info = of_device("mem_get_info", function(device) return of.memory_info(device_of(device)) end)

  return memory
end
