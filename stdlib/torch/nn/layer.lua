-- What layers are made with: a class whose constructor takes Python's arguments, checks them and keeps them as fields.
local module = require "torch.nn.module"
local signature = require "torch.signature"
local typed = require "torch.nn.typed"

--- A class of layers. Without an `__init` of its own it keeps each argument in the field of its name.
---@param name string "Dropout"
---@param spec string parameters of the constructor, as torch.signature reads them: "p=0.5, inplace=false"
---@param kinds string? what the arguments must be, as torch.nn.typed reads it: "p: number, inplace: flag"
---@param base table? a class, nn.Module
---@return table class
---@return fun(...): ... parse for an `__init` of its own
---@return string[] names of the parameters
return function(name, spec, kinds, base)
  local class = module.class(name, base)
  local read, _, _, names = signature("nn." .. name, spec)
  local parse = typed(read, "nn." .. name, kinds or "", names)
  class.__signature = spec  -- what help shows

  function class:__init(...)
    local values = table.pack(parse(...))
    for i, field in ipairs(names) do self[field] = values[i] end
  end

  return class, parse, names
end
