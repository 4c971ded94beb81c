-- The trainings of this process that can be looked into. Where one runs inside another, as an evaluation does that a
-- callback makes, its safe points are those of the outer one too.
local host = require "host"
local serve = require "native.serve"
local vm = require "native.vm"

local live = {}

local begun, count = setmetatable({}, {__mode = "k"}), 0  -- listener -> when it began

---Takes note of a listener: something with a `state` and a method `inner`, which is called at the safe points of the
---trainings that begin before it ends.
---@param listener table
---@param state table
---@return table[]? outers the listeners of other trainings that are running
function live.begin(listener, state)
  local outers = {}
  for other in pairs(begun) do
    if other ~= listener and other.state ~= state then outers[#outers + 1] = other end
  end
  table.sort(outers, function(a, b) return begun[a] < begun[b] end)
  count = count + 1
  begun[listener], listener.state = count, state
  return outers[1] and outers or nil
end

---@param listener table
function live.finish(listener) begun[listener], listener.state = nil, nil end

---Adds train.Attach to a list of callbacks in the program trainhost, where none is in it.
---@param list table
---@param where string
---@param given table `attach` and `dry_run` of a training
---@return table list
function live.attachable(list, where, given)
  local wanted = given.attach
  if wanted ~= nil and type(wanted) ~= "boolean" then
    vm.raise("usage", ("%s: attach must be true or false, got %s"):format(where, vm.describe(wanted)))
  end
  if wanted == false or given.dry_run or host.dry_run() or not serve.is_program() then return list end
  for _, entry in ipairs(list.entries) do
    if entry.base_name == "Attach" then return list end
  end
  list:add(require("train.callbacks.attach")())
  return list
end

return live
