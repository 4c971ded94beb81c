-- The MLflow run that is active where the script uses mlflow: train itself does not load it.

---@return Run?
return function()
  local mlflow = package.loaded.mlflow
  return mlflow and mlflow.active_run() or nil
end
