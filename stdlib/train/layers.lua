-- The parameters of a training by name and layer, and tensors looked at on the host: for callbacks that watch them.
local gradients = require "train.gradients"
local native = require "native.magnitude"
local torch = require "torch"

local is_tensor <const> = torch.is_tensor

local layers = {}
layers.__index = layers

local function parameters_of(state)
  return (state.model and #state.model:parameters() or 0) + (state.optimizer and #gradients.parameters(state) or 0)
end

---The parameters of the model, and those that only the optimizer has.
---@param state table
---@return table layers names, tensors, layer_of (the layer's name of each), order (the layers' names), members (indices by
---layer), on_cpu
function layers.new(state)
  local self = setmetatable({names = {}, tensors = {}, layer_of = {}, order = {}, members = {}, classes = {}}, layers)
  local known = {}
  local function add(name, tensor, layer)
    local i = #self.names + 1
    self.names[i], self.tensors[i], self.layer_of[i], known[tensor] = name, tensor, layer, true
    if not self.members[layer] then
      self.members[layer] = {}
      self.order[#self.order + 1] = layer
    end
    table.insert(self.members[layer], i)
  end
  if state.model then
    for name, module in state.model:named_modules() do self.classes[name == "" and "model" or name] = module:_get_name() end
    for name, tensor in state.model:named_parameters() do add(name, tensor, name:match("^(.*)%.[^.]*$") or "model") end
  end
  if state.optimizer then
    for i, tensor in ipairs(gradients.parameters(state)) do
      if not known[tensor] then add("parameter " .. i - 1, tensor, "parameter " .. i - 1) end
    end
  end
  self.on_cpu, self.count = true, parameters_of(state)
  for _, tensor in ipairs(self.tensors) do self.on_cpu = self.on_cpu and tensor.device.type == "cpu" end
  return self
end

---Are there as many parameters as when this was made?
function layers:is_current(state) return parameters_of(state) == self.count end

---A layer as a message names it: "layer '0' (Linear)".
function layers:layer(name)
  if name == "model" and self.classes.model then return ("the model (%s)"):format(self.classes.model) end
  local class = self.classes[name]
  if not class then return name end
  return ("layer '%s' (%s)"):format(name, class)
end

---A parameter as a message names it: "'0.weight' of layer '0' (Linear)".
function layers:title(i)
  if self.names[i] == self.layer_of[i] then return self.names[i] end
  return ("'%s' of %s"):format(self.names[i], self:layer(self.layer_of[i]))
end

---The norm of each parameter's gradient, false where there is none.
function layers:gradient_norms() return native.norms(self.tensors, true) end

---How far each parameter is from its copy, and the norm of the copy.
---@param copies Tensor[]
---@return number[] changes
---@return number[] norms
function layers:changes(copies) return native.distances(self.tensors, copies), native.norms(copies) end

---Does any parameter of this layer have a gradient?
function layers:has_gradient(name)
  for _, i in ipairs(self.members[name]) do
    if self.tensors[i].grad ~= nil then return true end
  end
  return false
end

---Numbers of parameters as one for each layer: the root of the sum of their squares.
---@param norms (number|false)[]
---@return table<string, number> by_layer without layers that have none
---@return number total
function layers:by_layer(norms)
  local by_layer, total = {}, 0
  for _, name in ipairs(self.order) do
    local sum, found = 0, false
    for _, i in ipairs(self.members[name]) do
      local norm = norms[i]
      if norm then sum, found = sum + norm * norm, true end
    end
    if found then
      by_layer[name] = math.sqrt(sum)
      total = total + sum
    end
  end
  return by_layer, math.sqrt(total)
end

---Calls `visit(tensor, path)` for the tensors in a batch.
---@param value any
---@param path string
---@param visit function
---@return any what `visit` returned first, if not nil
function layers.each_tensor(value, path, visit)
  if is_tensor(value) then return visit(value, path) end
  if type(value) ~= "table" then return nil end
  for _, key in ipairs(require("host.ordered").keys(value)) do
    local step = math.type(key) == "integer" and ("[%d]"):format(key) or "." .. tostring(key)
    local found = layers.each_tensor(value[key], path .. step, visit)
    if found ~= nil then return found end
  end
end

---"NaN (3 of 100 values)" for a tensor with values that are not finite, else nil.
---@param tensor Tensor
---@return string?
function layers.fault(tensor)
  if tensor.is_sparse then tensor = tensor:coalesce():values() end
  if tensor:numel() == 0 or not (tensor:is_floating_point() or tensor:is_complex()) then return nil end
  local _ <close> = torch.no_grad()
  local count = tensor:numel() - tensor:isfinite():sum():item()
  if count == 0 then return nil end
  local nans = tensor:isnan():sum():item()
  local kind = nans == count and "NaN" or nans == 0 and "infinite" or "NaN and infinite"
  return tensor:numel() == 1 and kind or ("%s (%d of %d values)"):format(kind, count, tensor:numel())
end

return layers
