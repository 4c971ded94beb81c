-- torch.cuda.memory_summary and memory_stats_as_nested_dict: the allocator's statistics in other forms.
local cuda = require "torch.cuda"
local named = require "torch.named"
local of = require "native.device"

local summary = {}

--- The allocator's statistics in tables: stats.allocated_bytes.all.peak ...
---@param device? device|integer
---@return table
summary.memory_stats_as_nested_dict = named("torch.cuda.memory_stats_as_nested_dict", "device=nil", function(device)
  local nested = {}
  for key, value in pairs(cuda.memory_stats(device)) do
    local at = nested
    for part in key:gmatch "([^.]+)%." do
      at[part] = at[part] or {}
      at = at[part]
    end
    at[key:match "[^.]+$"] = value
  end
  return nested
end)

local UNITS <const> = {"B", "KiB", "MiB", "GiB", "TiB"}

local function size_text(bytes)
  local unit = 1
  while bytes >= 10240 and unit < #UNITS do bytes, unit = bytes / 1024, unit + 1 end
  return ("%.0f %s"):format(bytes, UNITS[unit])
end

--- The memory statistics as a table to print.
---@param device? device|integer
---@param abbreviated? boolean false; has no effect, the table is short
---@return string
summary.memory_summary = named("torch.cuda.memory_summary", "device=nil, abbreviated=false", function(device)
  of.require("cuda")
  local stats = cuda.memory_stats(device)
  local lines = {("PyTorch CUDA memory summary, device %s"):format(tostring(device or cuda.current_device())),
    ("%-22s %12s %12s %12s %12s"):format("", "current", "peak", "total", "freed")}
  for _, row in ipairs {
    {"allocated memory", "allocated_bytes", size_text}, {"active memory", "active_bytes", size_text},
    {"requested memory", "requested_bytes", size_text}, {"reserved memory", "reserved_bytes", size_text},
    {"non-releasable memory", "inactive_split_bytes", size_text}, {"allocations", "allocation", tostring},
    {"active allocations", "active", tostring}, {"reserved segments", "segment", tostring},
    {"non-releasable allocs", "inactive_split", tostring},
  } do
    local figures = {}
    for i, what in ipairs {"current", "peak", "allocated", "freed"} do
      figures[i] = row[3](stats[("%s.all.%s"):format(row[2], what)] or 0)
    end
    lines[#lines + 1] = ("%-22s %12s %12s %12s %12s"):format(row[1], table.unpack(figures))
  end
  return table.concat(lines, "\n")
end)

return summary
