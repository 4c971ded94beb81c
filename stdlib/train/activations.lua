-- What the layers of a model give in one forward: hooks that are there for as long as they are looked at.
local native = require "native.magnitude"
local torch = require "torch"

local Activations = {}
Activations.__index = Activations

-- The layers without children, by name.
local function leaves(model)
  local names, modules = {}, {}
  for name, module in model:named_modules() do
    if #module:children() == 0 then names[#names + 1], modules[#modules + 1] = name == "" and "model" or name, module end
  end
  return names, modules
end

---Looks at the layers without children from now on, until `close`.
---@param model Module
---@return table activations
local function open(model)
  local self = setmetatable({handles = {}, names = {}, outputs = {}}, Activations)
  local place = {}
  local names, modules = leaves(model)
  for i, name in ipairs(names) do
    self.handles[i] = modules[i]:register_forward_hook(function(_, _, output)
      if type(output) == "table" then output = output[1] end
      if not torch.is_tensor(output) or not output:is_floating_point() then return end
      if not place[name] then  -- a layer that is used twice: its last output
        place[name] = #self.names + 1
        self.names[place[name]] = name
      end
      self.outputs[place[name]] = require("native.tensor").keep(output:detach())
    end)
  end
  return self
end

---Takes the hooks away.
function Activations:close()
  for _, handle in ipairs(self.handles) do handle:remove() end
  self.handles = {}
end

---The 2-norm of each layer's output, divided by the root of its number of values: what one value is like.
---@return table<string, number> by_layer
function Activations:sizes()
  local by_layer = {}
  for i, norm in ipairs(native.norms(self.outputs)) do
    by_layer[self.names[i]] = norm / math.sqrt(math.max(1, self.outputs[i]:numel()))
  end
  return by_layer
end

return {
  open = open,
  ---The names of the layers that `open` looks at.
  names = function(model) return (leaves(model)) end,
}
