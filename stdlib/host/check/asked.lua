-- What a function of the library asks of its keywords, without running it: keywords.check is the first thing it calls.
local keywords = require "host.keywords"

local Caught = {}

---@param f function
---@param count? integer how many tables it is called with, 1
---@return {where: string, defaults: table}? asked nil if it asks nothing
return function(f, count)
  local check, arguments = keywords.check, {}
  for i = 1, count or 1 do arguments[i] = {} end
  local _ <close> = setmetatable({}, {__close = function() keywords.check = check end})
  function keywords.check(where, _, defaults) error(setmetatable({where = where, defaults = defaults}, Caught), 0) end
  local ok, caught = pcall(f, table.unpack(arguments))
  if ok or getmetatable(caught) ~= Caught then return nil end
  return caught
end
