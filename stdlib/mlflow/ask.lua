-- Calls of MLflow's REST API to the store that keeps the runs, a file or a server, and their answers as Lua values.
local clock = require "native.vm".clock
local json = require "native.json"
local places = require "mlflow.places"
local track = require "native.track"
local vm = require "native.vm"

local ask = {}

local deadline  -- of `within`

--- Calls a function whose questions may take so many seconds in all; past them each is an error.
---@private
---@param seconds number
---@param f function
---@return any ... what it returns
function ask.within(seconds, f, ...)
  local before = deadline
  deadline = clock() + seconds
  local found = table.pack(pcall(f, ...))
  deadline = before
  if not found[1] then error(found[2], 0) end
  return table.unpack(found, 2, found.n)
end

--- What is left of these seconds; nil: nobody counts.
---@private
---@return number?
function ask.left() return deadline and math.max(deadline - clock(), 0) end

--- Asks for what may not be there.
---@private
---@param path string "runs/get"
---@param request table
---@param uri? string of another store than the one that is open
---@return table|nil answer
---@return string|nil message
function ask.find(path, request, uri)
  places.open()
  local answer, message = track.call(path, json.encode(request), places.other(uri), ask.left())
  if not answer then return nil, message end
  return json.decode(answer)
end

--- Asks for what must be there.
---@private
---@param path string
---@param request table
---@param uri? string
---@return table answer
function ask.must(path, request, uri)
  local answer, message = ask.find(path, request, uri)
  if not answer then vm.raise("tracking", message) end
  return answer
end

return ask
