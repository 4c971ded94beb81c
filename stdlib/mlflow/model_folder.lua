-- The folder of a model as MLflow keeps it: the weights, the script that made them, and MLmodel, which says what they are.
local checkpoint = require "host.checkpoint"
local file = require "native.file"
local host = require "host"
local json = require "native.json"
local ordered = require "host.ordered"
local text = require "mlflow.text"
local torch = require "torch"
local vm = require "native.vm"

local is_module <const> = require("torch.nn.module").is_module

local model_folder = {}

local WEIGHTS <const> = "model.safetensors"

--- Calls f(folder) with an empty folder that is gone afterwards; the name stays taken while it is there.
---@param f fun(folder: string)
function model_folder.staged(f)
  local name = os.tmpname()
  local folder = name .. ".d"
  file.mkdir(folder)
  local ok, err = pcall(f, folder)
  file.remove(folder)
  os.remove(name)
  if not ok then error(err, 0) end
end

-- --- Signature and example

local function spec_of(tensor, name)
  local shape = {-1}
  for i = 2, tensor:dim() do shape[i] = tensor:size(i - 1) end
  local dtype = tostring(tensor.dtype):gsub("^torch%.", "")
  return {type = "tensor", name = name, ["tensor-spec"] = {dtype = dtype, shape = shape}}
end

-- A tensor, or several by name or in a list, as MLflow's schema of it.
local function schema_of(value, where)
  if value == nil then return nil end
  if torch.is_tensor(value) then return json.encode {spec_of(value)} end
  local specs = {}
  for _, key in ipairs(type(value) == "table" and ordered.keys(value) or {}) do
    if not torch.is_tensor(value[key]) then specs = {}; break end
    specs[#specs + 1] = spec_of(value[key], type(key) == "string" and key or ("%d"):format(key - 1))
  end
  if #specs == 0 then
    vm.raise("usage", ("%s: expected a tensor, or tensors by name, got %s"):format(where, vm.describe(value)))
  end
  return json.encode(json.array(specs))
end

local Signature = {__name = "ModelSignature"}
Signature.__index = Signature
Signature.__tostring = function(self)
  return ("inputs: %s\noutputs: %s\nparams: None"):format(self.inputs, self.outputs or "None")
end

--- The signature of a model that makes `model_output` of `model_input`: what MLflow checks requests with.
---@param model_input Tensor|table<string, Tensor>
---@param model_output? Tensor|table<string, Tensor>
---@return table ModelSignature
---@example local signature = mlflow.models.infer_signature(torch.ones(1, 4), torch.ones(1, 3))
--- signature.inputs:find("float32", 1, true) ~= nil  --> true
function model_folder.infer_signature(model_input, model_output)
  return setmetatable({inputs = schema_of(model_input, "mlflow.models.infer_signature: model_input") or "[]",
    outputs = schema_of(model_output, "mlflow.models.infer_signature: model_output")}, Signature)
end

-- What the model says of the example, its state as it was.
local function output_of(model, example)
  local training = {}
  for _, module in model:named_modules() do training[#training + 1] = {module, module.training} end
  model:eval()
  local ok, output = pcall(torch.no_grad, function() return model(example) end)
  for _, one in ipairs(training) do one[1].training = one[2] end
  if not ok then
    if type(output) == "table" and output.kind == "interrupted" then error(output, 0) end
    require("native.log").warn("mlflow.log_model: the signature has no outputs, the model fails on input_example: "
      .. tostring(output))
    return nil
  end
  return (torch.is_tensor(output) or type(output) == "table") and output or nil
end

---What an MLmodel says of inputs and outputs.
---@param model userdata|table
---@param o table {signature, input_example} as log_model is given them
---@return table? signature
function model_folder.signature_of(model, o)
  if o.signature == false then return nil end
  if o.signature ~= nil then
    if getmetatable(o.signature) == Signature then return o.signature end
    if type(o.signature) ~= "table" or o.signature.inputs == nil then
      vm.raise("usage", ("mlflow.log_model: signature must be one of mlflow.models.infer_signature, or false, got %s")
        :format(vm.describe(o.signature)))
    end
    return model_folder.infer_signature(o.signature.inputs, o.signature.outputs)
  end
  if o.input_example == nil then return nil end
  local output = torch.is_tensor(o.input_example) and is_module(model) and output_of(model, o.input_example) or nil
  return model_folder.infer_signature(o.input_example, output)
end

local function rows_of(value)
  if torch.is_tensor(value) then return value:tolist() end
  local rows = {}
  for key, tensor in pairs(value) do rows[key] = tensor:tolist() end
  return rows
end

-- --- The folder

---Writes the model's folder.
---@param folder string
---@param model userdata|table a module, or a state dict
---@param o table {signature, input_example, metadata}: the signature as signature_of gives it
---@param ids table {run_id, model_id, artifact_path} what of these there is
function model_folder.write(folder, model, o, ids)
  checkpoint.save_tensors(folder .. "/" .. WEIGHTS, is_module(model) and model:state_dict() or model)
  local about = {
    flavors = {trainhost = {data = WEIGHTS, trainhost_version = host.version}},
    model_uuid = ids.model_id or require("native.save").checksum(folder .. ids.run_id), model_id = ids.model_id, run_id = ids.run_id,
    artifact_path = ids.artifact_path, metadata = o.metadata, utc_time_created = os.date("!%Y-%m-%d %H:%M:%S.000000"),
  }
  if o.signature then
    about.signature = {inputs = o.signature.inputs, outputs = o.signature.outputs or json.null, params = json.null}
  end
  if o.input_example ~= nil then
    local rows = rows_of(o.input_example)
    file.write_atomic(folder .. "/input_example.json", json.encode(rows))
    file.write_atomic(folder .. "/serving_input_example.json", json.encode {inputs = rows})
    about.saved_input_example_info = {artifact_path = "input_example.json",
      serving_input_path = "serving_input_example.json", type = torch.is_tensor(o.input_example) and "ndarray" or "json_object"}
  end
  if host.script and file.exists(host.script) then
    about.flavors.trainhost.code = "code"
    file.mkdir(folder .. "/code")
    file.write_atomic(folder .. "/code/" .. host.script:match("[^/]+$"), file.read(host.script))
  end
  file.write_atomic(folder .. "/MLmodel", text.yaml(about))
end

---The weights of a folder that `write` has written.
---@param folder string
---@param uri string for messages
---@return table state_dict
function model_folder.weights(folder, uri)
  local path = folder .. "/" .. WEIGHTS
  if file.exists(path) then return torch.load(path) end
  local has = file.exists(folder .. "/MLmodel") and file.read(folder .. "/MLmodel") or ""
  local flavors, within = {}, false
  for line in has:gmatch("[^\n]+") do
    if line:find("^%S") then within = line:find("^flavors:") ~= nil
    elseif within then flavors[#flavors + 1] = line:match("^  ([%w_]+):") end
  end
  vm.raise("tracking", ("mlflow.load_model: '%s' has no flavor 'trainhost'%s"):format(uri,
    #flavors > 0 and ", it has " .. table.concat(flavors, ", ") or ": there is no model"))
end

return model_folder
