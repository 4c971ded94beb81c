-- The messages of TensorBoard's event files that are written now and then, by the numbers of their fields
-- (tensorboard/compat/proto/*.proto, tensorboard/plugins/*/*.proto).
local torch = require "torch"
local vm = require "native.vm"

local message <const> = require("native.events").message

local messages = {}

messages.DT = {FLOAT = 1, DOUBLE = 2, STRING = 7}
messages.encode = message

--- The fields of a message that repeat one kind.
---@param number integer
---@param kind string
---@param values table
---@param fields? table that they are added to
---@return table fields
function messages.repeated(number, kind, values, fields)
  fields = fields or {}
  for _, value in ipairs(values) do fields[#fields + 1] = {number, kind, value} end
  return fields
end

--- TensorShapeProto.
---@param sizes integer[]
---@return string
function messages.shape(sizes)
  local dims = {}
  for i = 1, #sizes do dims[i] = message {{1, "integer", sizes[i]}} end
  return message(messages.repeated(2, "bytes", dims))
end

--- SummaryMetadata of a plugin.
---@param plugin string
---@param content? string its own message
---@param display_name? string
---@return string
function messages.metadata(plugin, content, display_name)
  local fields = {{1, "bytes", message {{1, "text", plugin}, {2, "bytes", content or ""}}}}
  if display_name then fields[2] = {2, "text", display_name} end
  return message(fields)
end

--- TensorProto.
---@param dtype integer
---@param sizes? integer[]
---@param fields table what holds the elements
---@return string
function messages.tensor(dtype, sizes, fields)
  local all = {{1, "integer", dtype}}
  if sizes then all[2] = {2, "bytes", messages.shape(sizes)} end
  return message(table.move(fields, 1, #fields, #all + 1, all))
end

--- Summary.Value with a tensor, or with metadata alone.
---@param tag string
---@param metadata string
---@param tensor? string
---@return string
function messages.value(tag, metadata, tensor)
  local fields = {{1, "text", tag}, {9, "bytes", metadata}}
  if tensor then fields[3] = {8, "bytes", tensor} end
  return message(fields)
end

--- Summary.
---@param ... string values
---@return string
function messages.summary(...) return message(messages.repeated(1, "bytes", {...})) end

--- Summary of a picture, already in a file's format.
---@param tag string
---@param height integer
---@param width integer
---@param channels integer
---@param file string
---@return string
function messages.image(tag, height, width, channels, file)
  local image = message {{1, "integer", height}, {2, "integer", width}, {3, "integer", channels}, {4, "bytes", file}}
  return messages.summary(message {{1, "text", tag}, {4, "bytes", image}})
end

--- Summary of a sound.
---@param tag string
---@param samples Tensor int16 [n]
---@param rate integer per second
---@return string
function messages.audio(tag, samples, rate)
  local count = samples:numel()
  local header = string.pack("<c4I4c4c4I4I2I2I4I4I2I2c4I4", "RIFF", 36 + 2 * count, "WAVE", "fmt ", 16, 1, 1, rate,
    2 * rate, 2, 16, "data", 2 * count)
  local file = torch.cat({torch.tensor({header:byte(1, -1)}, {dtype = torch.uint8, device = "cpu"}), samples:view(torch.uint8)})
  local audio = message {{1, "single", rate}, {2, "integer", 1}, {3, "integer", count}, {4, "elements", file},
    {5, "text", "audio/wav"}}
  return messages.summary(message {{1, "text", tag}, {6, "bytes", audio}})
end

--- Summary of a text, in Markdown.
---@param tag string
---@param text string
---@return string
function messages.text(tag, text)
  local tensor = messages.tensor(messages.DT.STRING, {1}, {{8, "text", text}})
  return messages.summary(messages.value(tag .. "/text_summary", messages.metadata "text", tensor))
end

-- dtype -> its number, the field of TensorProto that holds the elements, how
local ELEMENTS <const> = {
  float32 = {1, 5, "singles"}, float64 = {2, 6, "reals"}, int32 = {3, 7, "integers"}, uint8 = {4, 7, "integers"},
  int16 = {5, 7, "integers"}, int8 = {6, 7, "integers"}, complex64 = {8, 9, "singles"}, int64 = {9, 10, "integers"},
  bool = {10, 11, "integers"}, bfloat16 = {14, 13, "bits"}, complex128 = {18, 12, "reals"}, float16 = {19, 13, "bits"},
}

--- Summary of a whole tensor.
---@param tag string
---@param tensor Tensor
---@return string
function messages.of_tensor(tag, tensor)
  local name = tostring(tensor.dtype):gsub("^torch%.", "")
  local how = ELEMENTS[name]
  if not how then vm.raise("dtype", ("%s has unsupported tensor dtype %s"):format(tag, tostring(tensor.dtype))) end
  local elements, kind = tensor:detach():cpu(), how[3]
  if elements:is_complex() then elements = torch.view_as_real(elements:resolve_conj()) end
  if kind == "bits" then  -- 16 bits each, without a sign
    elements, kind = elements:contiguous():view(torch.int16):to(torch.int64):bitwise_and(0xffff), "integers"
  end
  return messages.summary(messages.value(tag, messages.metadata "tensor",
    messages.tensor(how[1], tensor.shape, {{how[2], kind, elements}})))
end

--- Summary of a number as a tensor.
---@param tag string
---@param number number|boolean|Tensor
---@param double_precision boolean
---@return string
function messages.scalar(tag, number, double_precision)
  if type(number) == "userdata" then number = number:item() end
  if type(number) == "boolean" then number = number and 1 or 0 end
  local one = torch.tensor({number + 0.0}, {dtype = torch.float64, device = "cpu"})
  local tensor = double_precision and messages.tensor(messages.DT.DOUBLE, nil, {{6, "reals", one}})
    or messages.tensor(messages.DT.FLOAT, nil, {{5, "singles", one}})
  return messages.summary(messages.value(tag, messages.metadata "scalars", tensor))
end

return messages
