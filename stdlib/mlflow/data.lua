-- mlflow.data: datasets that a run has read: what they are called, where they come from, and a digest of their values.
local json = require "native.json"
local md5 = require "mlflow.md5"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local text = require "mlflow.text"
local vm = require "native.vm"

local data = {}

local VALUES <const> = 10000  -- of each tensor that the digest reads

local function usage(message, hint) vm.raise("usage", message, hint) end

-- --- Values as numbers of 64 bits, and their digest, as pandas hashes an array

local function mixed(value)
  value = value ~ value >> 30
  value = value * 0xbf58476d1ce4e5b9
  value = value ~ value >> 27
  value = value * 0x94d049bb133111eb
  return value ~ value >> 31
end

-- By the size of an element: the integers that have its bits, and the one pattern of NaN and of -0.0.
local function layouts()
  local torch = require "torch"
  return {
    [1] = {torch.uint8, 0xff}, [2] = {torch.int16, 0xffff, 0x7e00, 0x8000},
    [4] = {torch.int32, 0xffffffff, 0x7fc00000, 0x80000000},
    [8] = {torch.int64, -1, 0x7ff8000000000000, math.mininteger},
  }
end

local function hashes(tensor)
  if tensor:is_complex() then
    local real, imaginary = hashes(tensor.real), hashes(tensor.imag)
    for i, value in ipairs(imaginary) do real[i] = real[i] + 23 * value end
    return real
  end
  local integer, mask, nan, negative_zero = table.unpack(layouts()[tensor:element_size()])
  local bits, list = tensor:contiguous():view(integer):tolist(), {}
  local is_nan = tensor:is_floating_point() and tensor:isnan():tolist()
  for i, value in ipairs(bits) do
    value = value & mask
    if is_nan then value = is_nan[i] and nan or value == negative_zero and 0 or value end
    list[i] = mixed(value)
  end
  return list
end

--- How many rows of a tensor the digest reads at most.
---@private
---@param tensor Tensor
---@return integer
function data.rows_read(tensor)
  if tensor:numel() == 0 then return tensor:size(0) end
  return math.ceil(VALUES * tensor:size(0) / tensor:numel())
end

local function first_values(tensor)
  tensor = tensor:detach()
  if tensor:dim() > 0 then tensor = tensor:narrow(0, 0, math.min(data.rows_read(tensor), tensor:size(0))) end
  local flat = tensor:flatten()
  return flat:narrow(0, 0, math.min(VALUES, flat:numel())):cpu()
end

local function add_tensor(parts, tensor, rows)
  for _, value in ipairs(hashes(first_values(tensor))) do parts[#parts + 1] = ("<i8"):pack(value) end
  for i, size in ipairs(tensor.shape) do parts[#parts + 1] = ("<i8"):pack(i == 1 and rows or size) end
end

-- f(name, tensor) for each tensor; the name is nil where there is one alone.
local function each(tensors, f)
  if type(tensors) == "userdata" then return f(nil, tensors) end
  for _, name in ipairs(ordered.keys(tensors)) do f(name, tensors[name]) end
end

--- The digest of tensors; with `rows` of such of so many rows of which the first are given.
---@private
---@param features Tensor|table<string, Tensor>
---@param targets? Tensor|table<string, Tensor>
---@param rows? integer
---@return string
function data.digest(features, targets, rows)
  local parts = {}
  each(features, function(_, tensor) add_tensor(parts, tensor, rows) end)
  if targets then each(targets, function(_, tensor) add_tensor(parts, tensor, rows) end) end
  return md5(table.concat(parts)):sub(1, 8)
end

-- --- JSON as Python's json writes it: keys in their order, ASCII alone

local function quoted(value)
  return (json.encode(value):gsub(utf8.charpattern, function(c)
    local code = utf8.codepoint(c)
    if code < 128 then return c end
    if code < 0x10000 then return ("\\u%04x"):format(code) end
    code = code - 0x10000
    return ("\\u%04x\\u%04x"):format(0xd800 + (code >> 10), 0xdc00 + (code & 0x3ff))
  end))
end

local function object(fields)
  for i, field in ipairs(fields) do fields[i] = ('"%s": %s'):format(field[1], field[2]) end
  return "{" .. table.concat(fields, ", ") .. "}"
end

local function shape_text(tensor, first)
  local sizes = {}
  for i, size in ipairs(tensor.shape) do sizes[i] = ("%d"):format(i == 1 and first or size) end
  return "[" .. table.concat(sizes, ", ") .. "]"
end

-- numpy's names: torch.float32 -> float32.
local function dtype_text(tensor) return (tostring(tensor.dtype):gsub("^torch%.", "")) end

local function specs(tensors)
  local list = {}
  each(tensors, function(name, tensor)
    list[#list + 1] = ('{%s"type": "tensor", "tensor-spec": {"dtype": "%s", "shape": %s}}')
      :format(name and ('"name": %s, '):format(quoted(name)) or "", dtype_text(tensor), shape_text(tensor, -1))
  end)
  return quoted("[" .. table.concat(list, ", ") .. "]")
end

local function schema_of(features, targets)
  return object{{"mlflow_tensorspec", object{{"features", specs(features)},
    {"targets", targets and specs(targets) or "null"}}}}
end

-- One value, or one of each name.
local function measured(tensors, measure)
  if type(tensors) == "userdata" then return measure(tensors) end
  local fields = {}
  each(tensors, function(name, tensor) fields[#fields + 1] = {name, measure(tensor)} end)
  return object(fields)
end

local function profile_of(features, targets)
  local fields = {}
  for _, group in ipairs{{"features", features}, {"targets", targets}} do
    local name, tensors = group[1], group[2]
    if tensors then
      fields[#fields + 1] = {name .. "_shape", measured(tensors, function(t) return shape_text(t) end)}
      fields[#fields + 1] = {name .. "_size", measured(tensors, function(t) return ("%d"):format(t:numel()) end)}
      fields[#fields + 1] = {name .. "_nbytes",
        measured(tensors, function(t) return ("%d"):format(t:numel() * t:element_size()) end)}
    end
  end
  return object(fields)
end

-- --- Where it comes from

-- "data.csv" is local, "https://..." http, "s3://..." s3; nothing: the script itself.
local function source_of(source)
  if source == nil then
    local tags = {}
    for _, name in ipairs{"mlflow.source.name", "mlflow.source.type"} do
      tags[#tags + 1] = {name, quoted(name:find("type$") and "LOCAL" or vm.script() or "trainhost")}
    end
    return "code", object{{"tags", object(tags)}}
  end
  if type(source) ~= "string" then
    usage(("mlflow.data: keyword 'source' must be a path or a URI, got %s"):format(vm.describe(source)))
  end
  local scheme = source:match("^(%a[%w+.-]*):/")
  if scheme == "http" or scheme == "https" then return "http", object{{"url", quoted(source)}} end
  return (not scheme or scheme == "file") and "local" or scheme, object{{"uri", quoted(source)}}
end

-- --- Datasets

local Dataset = {__name = "Dataset"}
Dataset.__index = Dataset
Dataset.__tostring = function(self) return ("Dataset('%s', %s)"):format(self.name, self.digest) end

--- The dataset as MLflow stores it: {name, digest, source, source_type, schema, profile}, all of them text.
---@return table<string, string>
function Dataset:to_dict()
  return {name = self.name, digest = self.digest, source = self.source, source_type = self.source_type,
    schema = self.schema, profile = self.profile}
end

local function check_tensors(what, tensors)
  local function is_tensor(value) return type(value) == "userdata" and pcall(function() return value.shape end) end
  local valid = is_tensor(tensors)
  if not valid and type(tensors) == "table" and getmetatable(tensors) == nil and next(tensors) ~= nil then
    valid = true
    for name, tensor in pairs(tensors) do valid = valid and type(name) == "string" and is_tensor(tensor) end
  end
  if not valid then
    usage(("mlflow.data.from_tensor: '%s' must be a tensor or a table of name -> tensor, got %s")
      :format(what, vm.describe(tensors)))
  end
end

local parse = signature("mlflow.data.from_tensor", "features, source=nil, targets=nil, name=nil, digest=nil")

--- Describes tensors that a run reads, for `log_input`. The digest is that of MLflow's datasets of numpy: an MD5 of the
--- first 10000 values and of the shape; the schema and the profile are MLflow's too.
---@param features Tensor|table<string, Tensor>
---@param source? string a path or a URI; default the script
---@param targets? Tensor|table<string, Tensor>
---@param name? string default "dataset"
---@param digest? string default that of the values
---@return Dataset {name, digest, source, source_type, schema, profile, features, targets}
---@example local torch = require "torch"
--- local set = mlflow.data.from_tensor(torch.ones(2, 3), {name = "ones", source = "ones.csv"})
--- set.profile  --> {"features_shape": [2, 3], "features_size": 6, "features_nbytes": 24}
function data.from_tensor(...)
  local first = ...
  local is_table = select("#", ...) == 1 and type(first) == "table" and first.features == nil
  local features, source, targets, name, digest
  if is_table then features = first else features, source, targets, name, digest = parse(...) end
  check_tensors("features", features)
  if targets ~= nil then check_tensors("targets", targets) end
  local source_type, source_text = source_of(source)
  return setmetatable({name = name or "dataset", digest = digest or data.digest(features, targets),
    source_type = source_type, source = source_text, schema = schema_of(features, targets),
    profile = profile_of(features, targets), features = features, targets = targets}, Dataset)
end

--- The same under MLflow's name.
data.from_numpy = data.from_tensor

-- --- What is logged of them

local most = {name = 500, digest = 36, source = 65535, schema = 1048575, profile = 16777215}

local function entry(where, dataset, tags)
  if type(dataset) ~= "table" or type(dataset.name) ~= "string" or type(dataset.digest) ~= "string" then
    usage(("%s: a dataset is one of mlflow.data.from_tensor, got %s"):format(where, vm.describe(dataset)))
  end
  local fields = {name = dataset.name, digest = dataset.digest, source_type = dataset.source_type or "local",
    source = dataset.source or "{}", schema = dataset.schema, profile = dataset.profile}
  for field, limit in pairs(most) do
    if fields[field] and utf8.len(fields[field], 1, -1, true) > limit then
      usage(("%s: the dataset's '%s' exceeds the maximum length of %d characters"):format(where, field, limit))
    end
  end
  local list = json.array{}
  for _, tag in ipairs(tags) do
    if #tag.key > 255 or #tag.value > 500 then
      usage(("%s: the input tag '%s' exceeds the maximum length of 255 characters, 500 of its value")
        :format(where, tag.key))
    end
    list[#list + 1] = {key = tag.key, value = tag.value}
  end
  return {dataset = fields, tags = list}
end

--- The JSON of one dataset that is logged.
---@private
---@param where string the function that is called
---@param dataset table
---@param context? string
---@param tags? table<string, any>
---@return table
function data.input(where, dataset, context, tags)
  local list = {}
  for key, value in text.ordered(tags or {}) do list[#list + 1] = {key = text.str(key), value = text.str(value)} end
  if context ~= nil then
    if type(context) ~= "string" then
      usage(("%s: argument 'context' must be a string, got %s"):format(where, vm.describe(context)))
    end
    list[#list + 1] = {key = "mlflow.data.context", value = context}
  end
  return entry(where, dataset, list)
end

--- The JSON of mlflow.entities.DatasetInputs.
---@private
---@param where string
---@param datasets? table[]
---@return table[]
function data.inputs(where, datasets)
  local list = {}
  for i, input in ipairs(datasets or {}) do
    if type(input) ~= "table" or input.dataset == nil then
      usage(("%s: expected mlflow.entities.DatasetInput(dataset, tags), got %s"):format(where, vm.describe(input)))
    end
    list[i] = entry(where, input.dataset, input.tags or {})
  end
  return list
end

return data
