-- Modes as functions: entered until a scope ends, or while a function runs.
local entered = require "torch.entered"
local keywords = require "host.keywords"
local signature = require "torch.signature"

--- A function mode(arguments ...) that enters and gives a scope, mode(arguments ..., fn, ...) the results of fn(...).
--- The arguments may be given by name: mode({name = value}, fn, ...).
---@param name string as the user writes it: "torch.autocast"
---@param spec string its parameters, as torch.signature reads them
---@param enter fun(...): function|userdata what leaves it again, or a scope of the native modules
---@return function
return function(name, spec, enter)
  local parse, required, most = signature(name, spec)

  -- Where the function to be called stands, nil if there is none: after the keywords, after all arguments, or before.
  local function place(...)
    for i = 1, select("#", ...) do
      local value = select(i, ...)
      if i > most or i > required and type(value) == "function" then return i end
      if keywords.is(value) then return i + 1 end
    end
  end

  return function(...)
    local at = place(...)
    if not at then return entered(enter(parse(...))) end
    local own = table.pack(...)
    return entered(enter(parse(table.unpack(own, 1, at - 1))), select(at, ...))
  end
end
