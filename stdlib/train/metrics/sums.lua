-- Metrics whose state are sums: float64, on the device of the values, read by result() alone.
--
-- self.sums holds a number or a tensor for each of the class's fields, nothing before the first update.
local classes = require "train.metrics.classes"
local keep = require("native.tensor").keep
local vm = require "native.vm"

local sums = {}

---Refuses a state of other options, whose sums mean something else.
---@param self table
---@param options string those of the other
---@param what string "merge"
function sums.check_options(self, options, what)
  if options ~= self._options then
    vm.raise("usage", ("%s: cannot %s: options %s, not %s"):format(self.__name, what, tostring(options), self._options))
  end
end

---The options that give the sums their meaning, as text: "threshold=0.5 top_k=None".
---@param self table
---@param names string[]
---@return string
function sums.options_text(self, names)
  local list = {}
  for i, name in ipairs(names) do
    local value = self[name]
    if type(value) == "table" then value = table.concat(value, ",") end
    list[i] = ("%s=%s"):format(name, tostring(value))
  end
  return #list > 0 and table.concat(list, " ") or "none"
end

-- A single sum on the CPU is read at once: Note [Sums on the host].
local function kept(value)
  if type(value) == "number" then return value end
  if value.is_cpu and value:dim() == 0 then return value:item() end
  return keep(value)
end

-- A value of another metric, for this one: on the device of its sums.
local function beside(value, own)
  return type(value) == "userdata" and type(own) == "userdata" and value:to(own.device) or value
end

---Refuses values of another number of outputs, which a sum would broadcast.
---@param self table
---@param own any
---@param value any
function sums.check_outputs(self, own, value)
  if type(own) ~= "userdata" or type(value) ~= "userdata" or own:dim() == 0 or own:size(0) == value:size(0) then return end
  vm.raise("shape", ("%s: values of %d outputs, expected %d as before"):format(self.__name, value:size(0), own:size(0)))
end

---Adds to the sums. The tensors are new ones: those held may have been made in inference mode.
---@param self table
---@param values table<string, number|Tensor>
function sums.add(self, values)
  local held = self.sums
  for _, field in ipairs(self.FIELDS) do
    local value, own = values[field], held[field]
    if own ~= nil then sums.check_outputs(self, own, value) end
    if value ~= nil then held[field] = kept(own ~= nil and own + value or value) end
  end
end

---A sum as a number, or as a list of numbers.
---@param value number|Tensor
---@return number|number[]
function sums.read(value) return type(value) == "userdata" and value:tolist() or value end

---The class of metrics with these sums: it has reset, merge, state_dict and load_state_dict; update calls sums.add.
---@param name string
---@param fields string[]
---@param direction? string "min" or "max"
---@return table class
function sums.class(name, fields, direction)
  local Class = {__name = name, direction = direction, needs_output = true, FIELDS = fields}
  Class.__index = Class

  ---Forgets everything.
  function Class:reset() self.sums, self.wrong = {}, nil end

  ---Adds what another metric of the same class and options has seen.
  function Class:merge(other)
    sums.check_options(self, other._options, "merge")
    classes.confirm(other)
    local values = {}
    for _, field in ipairs(fields) do values[field] = beside(other.sums[field], self.sums[field]) end
    sums.add(self, values)
  end

  ---What a checkpoint keeps.
  ---@return table<string, any>
  function Class:state_dict()
    classes.confirm(self)
    local state = {options = self._options}
    for _, field in ipairs(fields) do state[field] = self.sums[field] end
    return state
  end

  ---Goes on where state_dict was taken.
  function Class:load_state_dict(state)
    sums.check_options(self, state.options, "load")
    self.sums = {}
    for _, field in ipairs(fields) do
      local value = state[field]
      if value ~= nil then self.sums[field] = type(value) == "number" and value or keep(value:detach():clone()) end
    end
  end

  return Class
end

return sums
