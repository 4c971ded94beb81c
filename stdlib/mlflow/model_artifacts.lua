-- What a training logs of its model: LoggedModels, checkpoints as artifacts, a summary.
local file = require "native.file"
local host = require "host"
local model_folder = require "mlflow.model_folder"
local ordered = require "host.ordered"
local snapshot = require "train.snapshot"
local text = require "mlflow.text"
local torch = require "torch"
local track = require "native.track"

local model_artifacts = {}

local EXAMPLE_ROWS <const> = 5  -- MLflow's own
local WAIT <const> = 10  -- seconds for a store to delete a model

---The first rows of a batch's input and what the model says of them: what signature and input example are made of.
---@param state table
---@return table? sample {input, output}; nil where the batch is of another form
function model_artifacts.sample(state)
  local input = type(state.inputs) == "table" and state.inputs[1]
  if not torch.is_tensor(input) or input:dim() == 0 then return nil end
  local output = torch.is_tensor(state.output) and state.output:dim() > 0 and state.output:narrow(0, 0, 0) or nil
  return {input = input:narrow(0, 0, math.min(EXAMPLE_ROWS, input:size(0))):detach():cpu():clone(),
    output = output and output:detach():cpu():clone()}
end

local function metrics_text(state, metrics)
  local all = ordered.new()
  for _, key in ipairs(ordered.keys(metrics)) do all[key] = metrics[key] end
  all.epoch, all.global_step = state.epoch, state.steps_done
  return text.json(all)
end

---What the model of now is logged with, as run:log_model takes it, and what a training adds.
---@param state table
---@param name string "epoch_5"
---@param options table log_model_signatures, log_input_examples, registered_model_name, step_base
---@param about table {metrics, sample}
---@return table options
---@return table training
function model_artifacts.of_training(state, name, options, about)
  local sample = about.sample
  local step = name:find("^global_step_") and state.steps_done or state.epoch + options.step_base
  local function write(folder) file.write_atomic(folder .. "/metrics.json", metrics_text(state, about.metrics)) end
  return {name = name, step = step, registered_model_name = options.registered_model_name,
    signature = options.log_model_signatures and sample and model_folder.infer_signature(sample.input, sample.output) or false,
    input_example = options.log_input_examples and sample and sample.input or nil}, {is_final = name == "model", write = write}
end

---Logs the model as files of the run: they wait for a server that is away, as all that is logged does.
---@param run table
---@param model userdata|table
---@param options table of `of_training`
---@param training table
function model_artifacts.log_as_files(run, model, options, training)
  model_folder.staged(function(folder)
    model_folder.write(folder, model, options, {run_id = run.info.run_id})
    training.write(folder)
    run:log_artifacts(folder, options.name)
  end)
end

---Logs a checkpoint as Keras's autolog does: with save_best_only the one that takes the last one's place.
---@param run table
---@param state table
---@param options table checkpoint_*
---@param metrics table<string, number>
function model_artifacts.log_checkpoint(run, state, options, metrics)
  local best, prefix, folder = options.checkpoint_save_best_only, "", "checkpoints"
  if best then
    prefix = "latest_"
  elseif options.checkpoint_save_freq == "epoch" then
    folder = ("checkpoints/epoch_%d"):format(state.epoch)
  else
    folder = ("checkpoints/global_step_%d"):format(state.steps_done)
  end
  local name = prefix .. "checkpoint" .. (options.checkpoint_save_weights_only and ".weights.safetensors" or "")
  model_folder.staged(function(stage)
    local path = stage .. "/" .. name
    if options.checkpoint_save_weights_only then
      snapshot.save_weights(path, state)
    else
      host.checkpoint.save(path, snapshot.contents(state))
    end
    run:log_artifact(path, folder)
  end)
  run:log_text(metrics_text(state, metrics), ("%s/%scheckpoint_metrics.json"):format(folder, prefix))
  run:set_tag("mlflow.latest_checkpoint_artifact", folder .. "/" .. name)
end

---Deletes a model that keep_last_models does not keep, and its files where they are in a folder here; of a server they
---stay until `mlflow gc` removes them. A version of the registry goes too, but one that has an alias or a stage stays, with
---its model.
---@param info table of run:log_model
---@param registered? string the name in the registry
function model_artifacts.delete(info, registered)
  local client = require "mlflow.client"()
  local _ <close> = setmetatable({}, {__close = function() track.wait_at_most(nil) end})
  track.wait_at_most(WAIT)
  if registered and info.version then
    local ok, version = pcall(client.get_model_version, client, registered, info.version)
    if ok and (#version.aliases > 0 or version.current_stage ~= "None") then return end
    if ok then client:delete_model_version(registered, info.version) end
  end
  client:delete_logged_model(info.model_id)
  local folder = track.local_folder(info.artifact_path)
  if folder and file.folder_of(folder):match("[^/]+$") == info.model_id then folder = file.folder_of(folder) end
  if folder and file.exists(folder) then file.remove(folder) end
end

---The model as text: its modules, and how many parameters it has.
---@param model userdata
---@return string
function model_artifacts.summary(model)
  local trainable, frozen = 0, 0
  for _, parameter in ipairs(model:parameters()) do
    if parameter.requires_grad then trainable = trainable + parameter:numel() else frozen = frozen + parameter:numel() end
  end
  return ("%s\nTotal params: %d\nTrainable params: %d\nNon-trainable params: %d\n"):format(tostring(model),
    trainable + frozen, trainable, frozen)
end

return model_artifacts
