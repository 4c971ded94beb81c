-- mlflow.artifacts: files of runs, listed and fetched, wherever they are kept.
local ask = require "mlflow.ask"
local file = require "native.file"
local json = require "native.json"
local places = require "mlflow.places"
local signature = require "torch.signature"
local track = require "native.track"
local vm = require "native.vm"

local artifacts = {}

local function usage(message, hint) vm.raise("usage", "mlflow.artifacts: " .. message, hint) end

local function joined(folder, name)
  if not folder or folder == "" then return name end
  if not name or name == "" then return folder end
  return folder .. "/" .. name
end

local function trimmed(path) return path and (path:gsub("/+$", "")) end

--- Lists one folder of artifacts.
---@private
---@param uri string where they begin
---@param path? string
---@param store? string a tracking URI
---@return table[]
function artifacts.list(uri, path, store)
  places.open()
  return track.list_artifacts(uri, trimmed(path), places.other(store), ask.left())
end

local made = {}  -- temporary folders, removed when the script ends

local function temporary()
  local name = os.tmpname()
  os.remove(name)
  file.mkdir(name)
  if not made[1] then
    vm.at_exit(function()
      for _, folder in ipairs(made) do file.remove(folder) end
    end)
  end
  made[#made + 1] = name
  return name
end

-- All files below a folder of artifacts.
local function each_file(uri, path, store, f)
  for _, item in ipairs(artifacts.list(uri, path, store)) do
    if item.is_dir then each_file(uri, item.path, store, f) else f(item.path) end
  end
end

local function is_file(uri, path, store)
  for _, item in ipairs(artifacts.list(uri, path:match("^(.*)/[^/]*$") or "", store)) do
    if item.path == path then return not item.is_dir end
  end
  return nil
end

--- Fetches an artifact or a folder of them.
---@private
---@param uri string where the artifacts begin
---@param path string
---@param dst_path? string
---@param store? string a tracking URI
---@return string local_path
function artifacts.fetch(uri, path, dst_path, store)
  path = trimmed(path)
  local kind = path ~= "" and is_file(uri, path, store)
  if kind == nil then vm.raise("tracking", ("mlflow: No such artifact: '%s'"):format(path)) end
  local here = track.local_folder(uri)
  if dst_path == nil and here then return joined(here, path) end
  local folder = dst_path or temporary()
  local function copy(name)
    local target = joined(folder, name)
    file.mkdir(file.folder_of(target))
    track.get_artifact(uri, name, target, places.other(store), ask.left())
  end
  if kind then copy(path) else each_file(uri, path, store, copy) end
  local result = joined(folder, path)
  if not kind then file.mkdir(result) end
  return file.absolute(result)
end

-- Where an address is: "runs:/ID/a/b" is a path of the run's artifacts, any other one a path of its parent.
local function resolve(where, uri, store)
  if type(uri) ~= "string" or uri == "" then
    usage(("%s: the artifact's URI must be a string, got %s"):format(where, vm.describe(uri)))
  end
  local run_id, path = uri:match("^runs:/+([^/]+)/?(.*)$")
  if run_id then
    return ask.must("runs/get", {run_id = run_id}, store).run.info.artifact_uri, path
  end
  if uri:find("^models:/") then
    usage(("%s: '%s' is of a model; runs:/ID/path, mlflow-artifacts:/path and folders are known"):format(where, uri))
  end
  local parent, name = trimmed(uri):match("^(.*)/([^/]+)$")
  if not parent then return ".", uri end
  return parent, name
end

-- An artifact is named by its URI, or by its run and its path.
local function named(where, artifact_uri, run_id, artifact_path, store)
  if (artifact_uri == nil) == (run_id == nil) then
    usage(where .. ": Exactly one of `artifact_uri` or `run_id` must be specified")
  end
  if artifact_uri ~= nil and artifact_path ~= nil then
    usage(where .. ": `artifact_path` cannot be specified if `artifact_uri` is specified")
  end
  if artifact_uri then return resolve(where, artifact_uri, store) end
  return resolve(where, "runs:/" .. run_id, store), artifact_path or ""
end

local parse_list = signature("mlflow.artifacts.list_artifacts",
  "artifact_uri=nil, run_id=nil, artifact_path=nil, tracking_uri=nil")

--- Lists the artifacts of a folder.
---@param artifact_uri? string "runs:/ID/folder", "mlflow-artifacts:/folder" or a path
---@param run_id? string in place of it
---@param artifact_path? string of the run's
---@param tracking_uri? string default where mlflow logs to
---@return table[] {path =, is_dir =, file_size =} each
---@example mlflow.artifacts.list_artifacts{run_id = mlflow.start_run().info.run_id}
function artifacts.list_artifacts(...)
  local artifact_uri, run_id, artifact_path, store = parse_list(...)
  local root, path = named("list_artifacts", artifact_uri, run_id, artifact_path, store)
  return artifacts.list(root, path, store)
end

local parse_fetch = signature("mlflow.artifacts.download_artifacts",
  "artifact_uri=nil, run_id=nil, artifact_path=nil, dst_path=nil, tracking_uri=nil")

--- Fetches an artifact, or a folder of them.
---@param artifact_uri? string "runs:/ID/path", "mlflow-artifacts:/path" or a path
---@param run_id? string in place of it
---@param artifact_path? string of the run's
---@param dst_path? string a folder, made if there is none; default a temporary one, or where a local store keeps it
---@param tracking_uri? string default where mlflow logs to
---@return string local_path
function artifacts.download_artifacts(...)
  local artifact_uri, run_id, artifact_path, dst_path, store = parse_fetch(...)
  local root, path = named("download_artifacts", artifact_uri, run_id, artifact_path, store)
  if path == "" then  -- all of them
    local here = track.local_folder(root)
    if not dst_path and here then return here end
    local folder = dst_path or temporary()
    for _, item in ipairs(artifacts.list(root, "", store)) do artifacts.fetch(root, item.path, folder, store) end
    return file.absolute(folder)
  end
  return artifacts.fetch(root, path, dst_path, store)
end

--- Reads an artifact as text.
---@param artifact_uri string "runs:/ID/notes/readme.txt"
---@return string
function artifacts.load_text(artifact_uri)
  local root, path = resolve("load_text", artifact_uri)
  return file.read(artifacts.fetch(root, path))
end

--- Reads an artifact that is JSON.
---@param artifact_uri string "runs:/ID/config.json"
---@return table
function artifacts.load_dict(artifact_uri)
  local text = artifacts.load_text(artifact_uri)
  local ok, value = pcall(json.decode, text)
  if not ok then
    vm.raise("io", ("mlflow.artifacts.load_dict: Unable to form a JSON object from file content: %s"):format(text))
  end
  return value
end

return artifacts
