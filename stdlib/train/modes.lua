-- Evaluation mode for a while, then every module's own mode back.
local modes = {}

---Notes the mode of every module of a model.
---@param model? Module
---@return function restore puts them back
function modes.remember(model)
  local list, were = model and model:modules() or {}, {}
  for i, module in ipairs(list) do were[i] = module.training end
  return function()
    for i, module in ipairs(list) do  -- parents come before children, so a child's own mode wins
      if module.training ~= were[i] then module:train(were[i]) end
    end
  end
end

---Puts the model into evaluation mode until the returned value is closed: `local _ <close> = modes.eval(model)`.
---Modules that were in evaluation mode before (frozen ones) stay so.
function modes.eval(model)
  if model == nil then return nil end
  local restore = modes.remember(model)
  model:eval()
  return setmetatable({}, {__close = restore})
end

return modes
