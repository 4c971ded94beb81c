-- The MLflow run of a training: the one that mlflow.callback logs it to, else the one that is active where the script uses
-- mlflow. train itself does not load it.

---@param state? table
---@return Run?
return function(state)
  if state and state.run then return state.run end
  local mlflow = package.loaded.mlflow
  return mlflow and mlflow.active_run() or nil
end
