-- Lists of hooks, and the handles by which they are taken out: of modules and of optimizers.
--
-- A list is never changed, a new one takes its place: who runs through one is not disturbed by hooks that come and go.
-- The key of no hooks is nil.
local vm = require "native.vm"

local hook_list = {}

local function remove(self)
  local kind = getmetatable(self)
  local holder = self.of[1]
  if holder == nil then return end
  local lists = kind.lists_of(holder)
  local old, fresh = rawget(lists, self.key) or {}, {}
  for _, entry in ipairs(old) do
    if entry ~= self.entry then fresh[#fresh + 1] = entry end
  end
  if #fresh == #old then return end
  lists[self.key] = #fresh > 0 and fresh or nil
  kind.changed(holder)
end

local WEAK <const> = {__mode = "v"}

--- What adds to the lists of one kind of holder: add(holder, key, entry, prepend) -> handle. An entry is a table with
--- the hook in `call`. A handle does not keep its holder.
---@param lists_of fun(holder): table where the lists are
---@param changed? fun(holder) called after a list came or went
---@return fun(holder: any, key: string, entry: table, prepend: boolean?): RemovableHandle
function hook_list.of(lists_of, changed)
  local Handle = {__name = "RemovableHandle", lists_of = lists_of, changed = changed or function() end}
  Handle.__index = {remove = remove}
  Handle.__close = remove
  return function(holder, key, entry, prepend)
    local call = entry.call
    local meta = getmetatable(call)
    if type(call) ~= "function" and not (type(meta) == "table" and meta.__call) and type(call) ~= "userdata" then
      vm.raise("usage", "a hook must be a function, got " .. vm.describe(call))
    end
    local lists = lists_of(holder)
    local fresh = table.move(rawget(lists, key) or {}, 1, #(rawget(lists, key) or {}), 1, {})
    table.insert(fresh, prepend and 1 or #fresh + 1, entry)
    lists[key] = fresh
    Handle.changed(holder)
    return setmetatable({of = setmetatable({holder}, WEAK), key = key, entry = entry}, Handle)
  end
end

return hook_list
