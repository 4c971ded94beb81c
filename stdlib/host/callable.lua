-- What can be called: functions, and values such as modules whose metatable, hidden or not, has __call.

---@param value any
---@return boolean
return function(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return meta ~= nil and rawget(meta, "__call") ~= nil
end
