-- Weights of classes as weights of samples, as Keras's class_weight.
local torch = require "torch"
local ordered = require "host.ordered"

local function usage(message, hint) require("native.vm").raise("usage", "train.fit: " .. message, hint) end

local function table_of(weights)
  local most = -1
  for _, key in ipairs(ordered.keys(weights)) do
    local class = math.type(key) and math.tointeger(key)
    if not class or class < 0 then usage(("class_weight must be by class, a whole number, got the key %s"):format(tostring(key))) end
    if type(weights[key]) ~= "number" then
      usage(("class_weight[%d] must be a number, got %s"):format(class, require("native.vm").describe(weights[key])))
    end
    most = math.max(most, class)
  end
  if most < 0 then usage "class_weight is empty" end
  if weights[0] == nil and #weights == most then
    usage("class_weight has no class 0", "classes are counted from 0: class_weight = {[0] = 1.0, [1] = 5.0}")
  end
  local list = {}
  for class = 0, most do list[class + 1] = (weights[class] or 1) + 0.0 end
  list[most + 2] = 1.0  -- of the classes that are not named
  return torch.tensor(list), most + 1
end

---@param weights table|Tensor class -> weight, classes from 0; a class that is not named counts 1
---@return fun(target: Tensor): Tensor weights of the samples of a target: class indices, or one-hot rows
return function(weights)
  local lookup, rest
  if torch.is_tensor(weights) then
    if weights:dim() ~= 1 then usage("class_weight must have one dimension, got shape " .. tostring(weights.shape)) end
    lookup, rest = torch.cat {weights, torch.ones(1, {dtype = weights.dtype, device = weights.device})}, #weights
  elseif type(weights) == "table" and getmetatable(weights) == nil then
    lookup, rest = table_of(weights)
  else
    usage("class_weight must be a table by class, got " .. require("native.vm").describe(weights))
  end
  return function(target)
    if target:dim() == 2 and target:size(1) > 1 then target = target:argmax(1) end
    if target:dim() == 2 then target = target:squeeze(1) end
    lookup = lookup:to(target.device)
    return lookup[target:to(torch.int64):clamp(0, rest)]
  end
end
