-- torch.cuda.memory, torch.cuda.random and torch.cuda.streams: files of PyTorch's package, whose functions torch.cuda has.
local namespace = require "host.namespace"

local NAMES <const> = {
  memory = "empty_cache max_memory_allocated max_memory_cached max_memory_reserved mem_get_info memory_allocated "
    .. "memory_cached memory_reserved memory_stats memory_stats_as_nested_dict memory_summary is_initialized "
    .. "reset_accumulated_memory_stats reset_max_memory_allocated reset_max_memory_cached reset_peak_memory_stats",
  random = "current_device device_count get_rng_state get_rng_state_all initial_seed is_initialized manual_seed "
    .. "manual_seed_all seed seed_all set_rng_state set_rng_state_all",
  streams = "Event Stream",
}

local parts = {}
for part, names in pairs(NAMES) do
  parts[part] = namespace("torch.cuda." .. part, {files = {["torch.cuda"] = names}})
end
return parts
