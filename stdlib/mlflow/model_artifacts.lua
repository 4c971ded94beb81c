-- A model, and checkpoints of a training, as artifacts of a run: staged in a private temporary folder first, so that
-- trainings side by side never meet.
local file = require "native.file"
local host = require "host"
local json = require "native.json"
local ordered = require "host.ordered"
local snapshot = require "train.snapshot"
local text = require "mlflow.text"
local torch = require "torch"
local track = require "native.track"

local model_artifacts = {}

local EXAMPLE_ROWS <const> = 5  -- MLflow's own

-- Calls f(folder) with an empty folder that is gone afterwards; the name stays taken while it is there.
local function staged(f)
  local name = os.tmpname()
  local folder = name .. ".d"
  file.mkdir(folder)
  local ok, err = pcall(f, folder)
  file.remove(folder)
  os.remove(name)
  if not ok then error(err, 0) end
end

local function spec_of(tensor)
  local shape = {-1}
  for i = 2, tensor:dim() do shape[i] = tensor:size(i - 1) end
  local dtype = tostring(tensor.dtype):gsub("^torch%.", "")
  return {type = "tensor", ["tensor-spec"] = {dtype = dtype, shape = shape}}
end

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

local function signature_of(sample)
  return {inputs = json.encode {spec_of(sample.input)}, outputs = sample.output and json.encode {spec_of(sample.output)} or json.null,
    params = json.null}
end

local function write_example(folder, sample)
  local rows = sample.input:tolist()
  file.write_atomic(folder .. "/input_example.json", json.encode(rows))
  file.write_atomic(folder .. "/serving_input_example.json", json.encode {inputs = rows})
end

local function metrics_text(state, metrics)
  local all = ordered.new()
  for _, key in ipairs(ordered.keys(metrics)) do all[key] = metrics[key] end
  all.epoch, all.global_step = state.epoch, state.steps_done
  return text.json(all)
end

-- The weights, an MLmodel that says what they are, and the script that made them.
local function write_model(folder, run, state, metrics, options, sample)
  snapshot.save_weights(folder .. "/model.safetensors", state)
  file.write_atomic(folder .. "/metrics.json", metrics_text(state, metrics))
  local about = {
    flavors = {trainhost = {data = "model.safetensors", trainhost_version = host.version}},
    model_uuid = require("native.save").checksum(("%s %s %d"):format(folder, run.info.run_id, state.steps_done)),
    run_id = run.info.run_id, utc_time_created = os.date("!%Y-%m-%d %H:%M:%S.000000"),
  }
  if sample and options.log_model_signatures then about.signature = signature_of(sample) end
  if sample and options.log_input_examples then
    write_example(folder, sample)
    about.saved_input_example_info = {artifact_path = "input_example.json",
      serving_input_path = "serving_input_example.json", type = "ndarray"}
  end
  if host.script and file.exists(host.script) then
    about.flavors.trainhost.code = "code"
    file.mkdir(folder .. "/code")
    file.write_atomic(folder .. "/code/" .. host.script:match("[^/]+$"), file.read(host.script))
  end
  file.write_atomic(folder .. "/MLmodel", text.yaml(about))
end

---Logs the model of now below `path` of the run's artifacts.
---@param run table
---@param state table
---@param path string "models/epoch_5"
---@param options table log_model_signatures, log_input_examples
---@param about table {metrics, sample}
function model_artifacts.log_model(run, state, path, options, about)
  staged(function(folder)
    write_model(folder, run, state, about.metrics, options, about.sample)
    run:log_artifacts(folder, path)
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
  staged(function(stage)
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

---Removes artifacts once they have arrived.
---@param run table
---@param path string
---@param seconds? number to wait for those that are on their way; 0
---@return boolean gone false: it is to be tried again
function model_artifacts.remove(run, path, seconds)
  local root = run.info.artifact_uri:gsub("^file://", "")
  if root:sub(1, 1) ~= "/" or not track.flush(seconds or 0) then return false end
  if file.exists(root .. "/" .. path) then file.remove(root .. "/" .. path) end
  return true
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
