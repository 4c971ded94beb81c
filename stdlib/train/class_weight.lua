-- Weights of classes as weights of samples, as Keras's class_weight.
local torch = require "torch"
local ordered = require "host.ordered"

local function usage(message, hint) require("native.vm").raise("usage", "train.fit: " .. message, hint) end

local EXAMPLE <const> = "class_weight = {[0] = 1.0, [1] = 5.0}"

-- The weights that stand under names, under the classes that may be meant: "{[0] = 1.0, [1] = 5.0}".
local function numbered(weights)
  local list = {}
  for i, key in ipairs(ordered.keys(weights)) do
    list[i] = ("[%s] = %s"):format(math.tointeger(tonumber(key)) or i - 1, tostring(weights[key]))
  end
  return #list <= 10 and ("class_weight = {%s}"):format(table.concat(list, ", ")) or EXAMPLE
end

local function table_of(weights)
  local describe <const> = require("native.vm").describe
  local most = -1
  for _, key in ipairs(ordered.keys(weights)) do
    local class = math.type(key) and math.tointeger(key)
    if not class or class < 0 then
      usage(("class_weight must have the classes as keys, whole numbers from 0, got the key %s"):format(describe(key)),
        type(key) == "string" and "by the numbers that the targets have: " .. numbered(weights) or EXAMPLE)
    end
    local weight = weights[key]
    if not (type(weight) == "number" and weight >= 0 and weight < math.huge) then
      usage(("class_weight[%d] must be a number of 0 or more, got %s"):format(class, describe(weight)))
    end
    most = math.max(most, class)
  end
  if most < 0 then usage("class_weight is empty", EXAMPLE) end
  if weights[0] == nil and #weights == most then
    usage("class_weight has no class 0", "classes are counted from 0: " .. EXAMPLE)
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
    usage("class_weight must be a table by class, got " .. require("native.vm").describe(weights), EXAMPLE)
  end
  return function(target)
    if target:dim() == 2 and target:size(1) > 1 then target = target:argmax(1) end
    if target:dim() == 2 then target = target:squeeze(1) end
    lookup = lookup:to(target.device)
    return lookup[target:to(torch.int64):clamp(0, rest)]
  end
end
