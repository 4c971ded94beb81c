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

---Until it is closed the steps that are taken are no training: they are taken back.
---@return table to be closed
function autologged.aside()
  local plain_loop = package.loaded["mlflow.plain_loop"]
  if not plain_loop then return setmetatable({}, {__close = function() end}) end
  local trial = setmetatable({}, {__close = function(self) plain_loop.leave(self, false) end})
  plain_loop.leave(trial, true)
  return trial
end

return autologged
