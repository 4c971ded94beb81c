-- What losses of torch.nn are made with: the reduction, by its name or by the deprecated arguments, and weights as buffers.
local layer = require "torch.nn.layer"
local native = require "native.model"
local reduction = require "torch.nn.functional.reduction"

local KINDS <const> = {size_average = "flag?", reduce = "flag?", reduction = "reduction"}
local BUFFERS <const> = {weight = true, pos_weight = true}
local DEPRECATED <const> = {size_average = true, reduce = true}

--- A class of losses whose constructor keeps its arguments: weights in buffers, the others in fields.
---@param name string "NLLLoss"
---@param spec string parameters of the constructor, the reduction and the deprecated ones among them
---@param kinds string? of the others, as torch.nn.typed reads it
---@param check? fun(self: Module) what else must hold
---@return table class
return function(name, spec, kinds, check)
  local list = {kinds}
  for field, kind in pairs(KINDS) do
    if spec:find(field .. "=", 1, true) and not (kinds or ""):find(field .. ":", 1, true) then
      list[#list + 1] = field .. ": " .. kind
    end
  end
  local class, parse, names = layer(name, spec, table.concat(list, ", "))
  local positions = {}
  for i, field in ipairs(names) do positions[field] = i end

  function class:__init(...)
    local values = table.pack(parse(...))
    local average, reduce = values[positions.size_average or 0], values[positions.reduce or 0]
    for i, field in ipairs(names) do
      if BUFFERS[field] then native.register_buffer(self, field, values[i])
      elseif field == "reduction" then self.reduction = reduction.name(values[i], average, reduce)
      elseif not DEPRECATED[field] then self[field] = values[i] end
    end
    if check then check(self) end
  end

  return class
end
