-- Where what is not finite in a step has come from: the data, a weight, the output of a layer, the loss or a gradient.
local generators = require "host.generators"
local layers = require "train.layers"
local native = require "native.magnitude"
local torch = require "torch"

local cause = {}

local function of_data(inputs)
  return layers.each_tensor(inputs, "batch", function(tensor, path)
    local fault = layers.fault(tensor)
    return fault and {kind = "data", name = path, text = ("the data is %s in %s"):format(fault, path)} or nil
  end)
end

local function of_weight(known)
  local i = native.first_not_finite(known.tensors)
  if not i then return nil end
  return {kind = "weight", name = known.names[i], layer = known.layer_of[i],
    text = ("the weight %s is %s"):format(known:title(i), layers.fault(known.tensors[i]:detach()))}
end

-- The layer whose output is the first that is not finite, seen in a second forward that leaves no trace.
local function of_output(state, known)
  local batch = state.inputs
  if not state.model or type(batch) ~= "table" or batch[1] == nil then return nil end
  local found
  local handles, buffers = {}, {}
  local random = generators.take()
  for _, buffer in ipairs(state.model:buffers()) do buffers[#buffers + 1] = {buffer, buffer:detach():clone()} end
  for name, module in state.model:named_modules() do
    if #module:children() == 0 then
      handles[#handles + 1] = module:register_forward_hook(function(_, _, output)
        if found or not torch.is_tensor(output) then return end
        local fault = layers.fault(output)
        if fault then
          name = name == "" and "model" or name
          found = {kind = "output", name = name, layer = name, text = ("the output of %s is %s"):format(known:layer(name), fault)}
        end
      end)
    end
  end
  pcall(function()
    local _ <close> = torch.no_grad()
    state.model(batch[1])
  end)
  for _, handle in ipairs(handles) do handle:remove() end
  local _ <close> = torch.no_grad()
  for _, pair in ipairs(buffers) do pair[1]:copy_(pair[2]) end
  generators.restore(random)
  return found
end

-- Gradients flow from the loss to the first layer: the last one in the model is nearest to where it began.
local function of_gradients(known, indices)
  local last = indices[#indices]
  local grad = known.tensors[last].grad
  local fault = grad ~= nil and layers.fault(grad) or "not finite"
  local others = #indices > 1 and (", and %d more"):format(#indices - 1) or ""
  return {kind = "gradient", name = known.names[last], layer = known.layer_of[last],
    text = ("the gradient of %s is %s%s"):format(known:title(last), fault, others)}
end

---What is not finite in the current step.
---@param state table
---@param known table train.layers
---@param loss number
---@param index? integer of a gradient that is not finite
---@return table found {kind, name, layer, text}
function cause.find(state, known, loss, index)
  local found = of_data(state.inputs) or of_weight(known)
  if found then return found end
  if type(loss) == "number" and loss - loss ~= 0 then
    return of_output(state, known) or {kind = "loss", name = "loss",
      text = ("the loss is %s"):format(loss ~= loss and "NaN" or loss > 0 and "inf" or "-inf")}
  end
  local indices = {}
  while index do
    indices[#indices + 1] = index
    index = native.first_not_finite(known.tensors, true, index + 1)
  end
  return of_gradients(known, indices)
end

---The same of the step before, whose gradients may be gone.
---@param inputs any its batch
---@param known table train.layers
---@param indices integer[] of the gradients that were not finite
---@return table found
function cause.find_late(inputs, known, indices)
  return of_data(inputs) or of_weight(known) or #indices > 0 and of_gradients(known, indices)
    or {kind = "loss", name = "loss", text = "the loss is not finite"}
end

return cause
