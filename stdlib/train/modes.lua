-- Evaluation mode for a while, then every module's own mode back.
local modes = {}

local function each_module(model)
  local modules = model.modules
  if not modules then return {model} end
  local first, state, control, close = model:modules()
  if type(first) == "table" then return first end
  local list = {}
  for a, b in first, state, control, close do list[#list + 1] = type(a) == "userdata" and a or b end
  return list
end

---Puts the model into evaluation mode until the returned value is closed: `local _ <close> = modes.eval(model)`.
---Modules that were in evaluation mode before (frozen ones) stay so.
function modes.eval(model)
  if model == nil then return nil end
  local list, were = each_module(model), {}
  for i, module in ipairs(list) do were[i] = module.training end
  model:eval()
  return setmetatable({}, {__close = function()
    for i, module in ipairs(list) do  -- parents come before children, so a child's own mode wins
      if module.training ~= were[i] then module:train(were[i]) end
    end
  end})
end

return modes
