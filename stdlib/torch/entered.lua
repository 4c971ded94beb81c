-- A mode that has been entered and is left once: at the end of a `<close>` scope, or when a function has run under it.
local meta = { __name = "scope" }

function meta.__close(scope)
  local leave = scope.leave
  scope.leave = nil
  if leave then leave() end
end

--- What an entered mode gives back: `local _ <close> = torch.autocast("cpu")`, or what fn(...) returns under it.
---@param leave function|userdata undoes the entering; or a scope of the native modules, which does
---@param fn? function
---@return any
return function(leave, fn, ...)
  local scope = type(leave) == "function" and setmetatable({leave = leave}, meta) or leave
  if fn == nil then return scope end
  local _ <close> = scope
  return fn(...)
end
