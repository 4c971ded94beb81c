-- What a training came from, in its run: the script, the version of trainhost, seed and threads. (The git commit is
-- tagged where the run starts.)
local host = require "host"
local torch = require "torch"

local FOLDER <const> = "source"

local known = setmetatable({}, {__mode = "k"})  -- runs that have it

---Logs it, once for a run of this process.
---@param run table
return function(run)
  if known[run] then return end
  known[run] = true
  run:set_tag("trainhost.version", host.version)
  run:set_tag("trainhost.seed", torch.initial_seed())
  run:set_tag("trainhost.num_threads", torch.get_num_threads())
  if host.script and host.file.exists(host.script) then run:log_artifact(host.script, FOLDER) end
end
