-- mlflow.autolog, where the script has switched it on, hears of a training: train itself does not load mlflow.
local autologged = {}

---@param list table of callbacks
---@return table list
function autologged.training(list)
  local autolog = package.loaded["mlflow.autolog"]
  if autolog then autolog.join(list) end
  return list
end

---The same of train.evaluate.
---@param list table of callbacks
---@return table list
function autologged.evaluation(list)
  local autolog = package.loaded["mlflow.autolog"]
  if autolog then autolog.join_evaluation(list) end
  return list
end

return autologged
