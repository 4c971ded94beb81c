-- nn.LinearCrossEntropyLoss: a linear layer and cross entropy in one, and its options.
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local linear = require "torch.nn.linear"
local native = require "native.model"
local signature = require "torch.signature"
local text = require "torch.python_text"
local typed = require "torch.nn.typed"
local vm = require "native.vm"

local fields <const>, linear_cross_entropy <const> = native.fields, functional.linear_cross_entropy

local layers = {}

local NAMES <const> = {"allow_retain_graph", "batch_chunk_size", "chunking_method", "acc_policy", "acc_dtype"}
local POLICIES <const> = {auto = true, accurate = true, balanced = true, compact = true}
local ACC_DTYPES <const> = {["torch.float16"] = true, ["torch.bfloat16"] = true, ["torch.float32"] = true,
  ["torch.float64"] = true}

-- 'None' for nil, strings in quotes.
local function repr(value) return type(value) == "string" and text.quoted(value) or text.value(value) end

local Options = {__name = "LinearCrossEntropyOptions", __tostring = function(self)
  local parts = {}
  for i, name in ipairs(NAMES) do parts[i] = name .. "=" .. repr(self[name]) end
  return "LinearCrossEntropyOptions(" .. table.concat(parts, ", ") .. ")"
end}

local function check(self)
  local method, size, acc = self.chunking_method, self.batch_chunk_size, self.acc_dtype
  if not POLICIES[self.acc_policy] then vm.raise("usage", "invalid acc_policy: " .. repr(self.acc_policy)) end
  local factor = method and (method == "aspect_ratio" and 1 or math.tointeger(tostring(method):match("^aspect_ratio:(%d+)$")))
  if method ~= nil and method ~= "auto" and not (factor and factor > 0) then
    vm.raise("usage", "invalid chunking_method: " .. repr(method))
  end
  if size ~= nil and not (math.type(size) == "integer" and size > 0) then
    vm.raise("usage", "batch_chunk_size must be positive int or None, got " .. repr(size))
  end
  if acc ~= nil and not ACC_DTYPES[tostring(acc)] then
    vm.raise("usage", ("acc_dtype must be one of {None, torch.float16, torch.bfloat16, torch.float32, torch.float64}, got %s. "
      .. "Pass acc_dtype=None to let the op pick automatically."):format(repr(acc)))
  end
end

local parse_options = typed(signature("nn.LinearCrossEntropyOptions",
  "allow_retain_graph=false, batch_chunk_size=nil, chunking_method='auto', acc_policy='auto', acc_dtype=nil"),
  "nn.LinearCrossEntropyOptions", "allow_retain_graph: flag")

--- How the loss is computed in parts of the batch, so that the logits are never all there: less memory for large
--- vocabularies.
---@param allow_retain_graph boolean backward may run twice, false
---@param batch_chunk_size integer? rows of a part, nil
---@param chunking_method string? 'auto', 'aspect_ratio', 'aspect_ratio:N' or nil; 'auto'
---@param acc_policy string 'auto', 'accurate', 'balanced' or 'compact'; 'auto'
---@param acc_dtype dtype? of sums, nil
---@return table
---@example nn.LinearCrossEntropyOptions{batch_chunk_size = 64}.batch_chunk_size  --> 64
---@source torch.nn.LinearCrossEntropyOptions
function layers.LinearCrossEntropyOptions(...)
  local values, self = table.pack(parse_options(...)), {}
  for i, name in ipairs(NAMES) do self[name] = values[i] end
  check(self)
  return setmetatable(self, Options)
end

--- A linear layer and cross entropy in one: the logits of large vocabularies are no output.
---@param in_features integer
---@param num_classes integer
---@param out_features integer[] further dimensions of the logits, {}
---@param bias boolean the linear layer adds a vector, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@param reduction string 'mean', 'sum' or 'none', 'mean'
---@param weight Tensor? [num_classes] how much each class counts, nil
---@param ignore_index integer? targets that do not count, -100
---@param label_smoothing number share of the uniform distribution, 0.0
---@param options table? of nn.LinearCrossEntropyOptions, nil
---@example nn.LinearCrossEntropyLoss(3, 5)(torch.zeros(2, 3), torch.tensor{0, 4}):detach()  --> tensor(1.6094)
---@source torch.nn.LinearCrossEntropyLoss
local LinearCrossEntropyLoss, parse = layer("LinearCrossEntropyLoss",
  "in_features, num_classes, *, out_features={}, bias=false, device=nil, dtype=nil, reduction='mean', weight=nil, "
  .. "ignore_index=nil, label_smoothing=0.0, options=nil",
  "in_features: size, num_classes: size, out_features: list, bias: flag?, device: any?, dtype: any?, reduction: reduction, "
  .. "weight: tensor?, ignore_index: integer?, label_smoothing: number")
layers.LinearCrossEntropyLoss = LinearCrossEntropyLoss

function LinearCrossEntropyLoss:__init(...)
  local in_features, classes, out_features, bias, device, dtype, reduction, weight, ignore_index, smoothing, options =
    parse(...)
  if weight and not (weight:dim() == 1 and weight:size(0) == classes) then
    vm.raise("shape", ("expected weight shape to be (%d,), got %s"):format(classes, text.value(weight.shape)))
  end
  if smoothing < 0 or smoothing > 1 then
    vm.raise("usage", "expected label_smoothing to be in range [0, 1], got " .. text.value(smoothing))
  end
  self.reduction = reduction
  self:register_buffer("weight", weight)
  self.num_classes, self.out_features, self.ignore_index, self.label_smoothing =
    classes, out_features, ignore_index, smoothing
  local rows = classes
  for _, size in ipairs(out_features) do rows = rows * size end
  self.linear = linear.Linear(in_features, rows, bias, device, dtype)
  self.options = options
end

---@param input Tensor [batch, in_features] or [in_features]
---@param target Tensor int64 classes [batch, out_features ...], or probabilities
---@return Tensor 0-dim, or of target's shape
function LinearCrossEntropyLoss:forward(input, target)
  local f = fields(self)
  local of = fields(f.linear)
  local matrix, bias = of.weight, of.bias
  if #f.out_features > 0 then
    local rows = {f.num_classes, table.unpack(f.out_features)}
    bias = bias and bias:reshape(rows)
    rows[#rows + 1] = of.in_features
    matrix = matrix:reshape(rows)
  end
  return linear_cross_entropy(input, matrix, target, {linear_bias = bias, weight = f.weight, reduction = f.reduction,
    ignore_index = f.ignore_index, label_smoothing = f.label_smoothing, options = f.options})
end

function LinearCrossEntropyLoss:extra_repr()
  return text.pairs("in_features", self.linear.in_features, "num_classes", self.num_classes, "out_features",
    self.out_features, "bias", self.linear.bias ~= nil, "reduction", self.reduction, "ignore_index", self.ignore_index,
    "label_smoothing", self.label_smoothing) .. ", options=" .. (self.options and tostring(self.options) or "None")
end

return layers
