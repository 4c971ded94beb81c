-- nn.RNNBase: parameters, checks and text of RNN, LSTM and GRU.
local allocate = require "torch.nn.allocate"
local init = require "torch.nn.initializers"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local packed = require "torch.nn.utils.packed_sequence"
local signature = require "torch.signature"
local text = require "torch.python_text"
local torch = require "torch"
local vm = require "native.vm"
local warn = require "torch.warn"

local fields <const>, is_packed <const>, pack <const> = native.fields, packed.is, packed.make

---@class RNNBase : Module
---@field mode string RNN_TANH, RNN_RELU, LSTM or GRU
local RNNBase = module.class("RNNBase")
local parse = require "torch.nn.typed"(
  signature("nn.RNNBase", "mode, input_size, hidden_size, num_layers=1, bias=true, batch_first=false, dropout=0.0, "
  .. "bidirectional=false, proj_size=0, device=nil, dtype=nil"),
  "nn.RNNBase", "mode: text, input_size: value, hidden_size: value, num_layers: integer, bias: value, "
  .. "batch_first: value, dropout: number, bidirectional: flag, proj_size: integer")

local GATES <const> = {LSTM = 4, GRU = 3, RNN_TANH = 1, RNN_RELU = 1}
local CUDNN_MODES <const> = {RNN_RELU = 0, RNN_TANH = 1, LSTM = 2, GRU = 3}

local PYTHON_TYPES <const> = {integer = "int", float = "float", string = "str", boolean = "bool", table = "list"}

-- `accepts(value)` gives the value to keep, or nil.
local function check_type(name, kind, value, accepts)
  local kept = accepts(value)
  if kept == nil then
    local given = math.type(value) or type(value)
    vm.raise("usage", ("%s should be of type %s, got: %s"):format(name, kind, PYTHON_TYPES[given] or given))
  end
  return kept
end

local function boolean(value)
  if type(value) == "boolean" then return value end
  return nil
end
local function integer(value) return math.type(value) and math.tointeger(value) or nil end

local function check_sizes(mode, input_size, hidden_size, layers, dropout, proj_size)
  if not (dropout >= 0 and dropout <= 1) then
    vm.raise("usage", "dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
  end
  if dropout > 0 and layers == 1 then
    warn(("dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
      .. "greater than 1, but got dropout=%s and num_layers=%d"):format(text.value(dropout), layers))
  end
  if input_size <= 0 then vm.raise("usage", "input_size must be greater than zero") end
  if hidden_size <= 0 then vm.raise("usage", "hidden_size must be greater than zero") end
  if layers <= 0 then vm.raise("usage", "num_layers must be greater than zero") end
  if proj_size < 0 then
    vm.raise("usage", "proj_size should be a positive integer or zero to disable projections")
  end
  if proj_size >= hidden_size then vm.raise("usage", "proj_size has to be smaller than hidden_size") end
  if not GATES[mode] then vm.raise("usage", "Unrecognized RNN mode: " .. mode) end
end

---@param mode string RNN_TANH, RNN_RELU, LSTM or GRU
---@param input_size integer features of each step
---@param hidden_size integer features of the state
---@param num_layers integer one on top of the other, 1
---@param bias boolean adds two vectors to each layer, true
---@param batch_first boolean inputs and outputs are [batch, length, features], false
---@param dropout number of each layer's outputs but the last's, when training, 0.0
---@param bidirectional boolean also reads each sequence from its end, false
---@param proj_size integer an LSTM's outputs are projected to this size, 0 is not, 0
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.RNNBase("GRU", 3, 4).weight_ih_l0.shape  --> torch.Size([12, 3])
---@source torch.nn.RNNBase
function RNNBase:__init(...)
  local mode, input_size, hidden_size, layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype =
    parse(...)
  bias, batch_first = check_type("bias", "bool", bias, boolean), check_type("batch_first", "bool", batch_first, boolean)
  input_size = check_type("input_size", "int", input_size, integer)
  hidden_size = check_type("hidden_size", "int", hidden_size, integer)
  check_sizes(mode, input_size, hidden_size, layers, dropout, proj_size)
  self.mode, self.input_size, self.hidden_size, self.num_layers, self.bias = mode, input_size, hidden_size, layers, bias
  self.batch_first, self.dropout, self.bidirectional, self.proj_size = batch_first, dropout + 0.0, bidirectional, proj_size
  local gates, names = GATES[mode] * hidden_size, {}
  local outputs, directions = proj_size > 0 and proj_size or hidden_size, bidirectional and 2 or 1
  self._all_weights = {}
  for layer = 0, layers - 1 do
    for direction = 1, directions do
      local suffix = ("_l%d%s"):format(layer, direction == 2 and "_reverse" or "")
      local of_layer = {}
      local function add(name, ...)
        name = name .. suffix
        self[name] = allocate.parameter({...}, device, dtype)
        names[#names + 1], of_layer[#of_layer + 1] = name, name
      end
      add("weight_ih", gates, layer == 0 and input_size or outputs * directions)
      add("weight_hh", gates, outputs)
      if bias then
        add("bias_ih", gates)
        add("bias_hh", gates)
      end
      if proj_size > 0 then add("weight_hr", proj_size, hidden_size) end
      table.insert(self._all_weights, of_layer)
    end
  end
  self._flat_weights_names, self._flat_weights = names, {}
  self:flatten_parameters()
  self:reset_parameters()
end

--- Draws the parameters anew, as PyTorch does when it makes the layer.
function RNNBase:reset_parameters()
  local bound = 1.0 / math.sqrt(self.hidden_size)
  for _, weight in ipairs(self:parameters()) do init.uniform_(weight, -bound, bound) end
end

-- The weights in the operators' order: one table for the layer's life, filled anew at each call, so that a parameter
-- that was exchanged, parametrized or handed in by functional_call counts at once.
function RNNBase.weights_of(self, f)
  local list, names = f._flat_weights, f._flat_weights_names
  for i = 1, #names do list[i] = f[names[i]] end
  return list
end

--- The parameters of each layer and direction.
---@return Tensor[][]
---@example #nn.GRU(2, 3):all_weights()[1]  --> 4
function RNNBase:all_weights()
  local all = {}
  for i, names in ipairs(self._all_weights) do
    all[i] = {}
    for k, name in ipairs(names) do all[i][k] = self[name] end
  end
  return all
end

--- On a GPU, puts all weights into one block of memory, as cuDNN wants them. Elsewhere it does nothing.
function RNNBase:flatten_parameters()
  local list, seen = RNNBase.weights_of(self, fields(self)), {}
  if #list ~= #self._flat_weights_names or not list[1].is_cuda then return end
  for _, weight in ipairs(list) do
    if weight.dtype ~= list[1].dtype or not weight.is_cuda or seen[weight:data_ptr()] then return end
    if not torch.backends.cudnn.is_acceptable(weight) then return end
    seen[weight:data_ptr()] = true
  end
  local of_layer = (self.bias and 4 or 2) + (self.proj_size > 0 and 1 or 0)
  local _ <close> = torch.no_grad()
  ops.find_any("aten::_cudnn_rnn_flatten_weight")(list, of_layer, self.input_size, CUDNN_MODES[self.mode],
    self.hidden_size, self.proj_size, self.num_layers, self.batch_first, self.bidirectional)
end

-- --- What forward checks, in PyTorch's words

local function check_input(f, x, batch_sizes)
  local dtype = f._flat_weights[1].dtype
  if x.dtype ~= dtype and not torch.is_autocast_enabled(x.device.type) then
    vm.raise("dtype", ("RNN input dtype (%s) does not match weight dtype (%s). Convert input: input.to(%s), or convert "
      .. "model: model.to(%s)"):format(x.dtype, dtype, dtype, x.dtype))
  end
  local dims = batch_sizes and 2 or 3
  if x:dim() ~= dims then
    vm.raise("shape", ("input must have %d dimensions, got %d"):format(dims, x:dim()))
  end
  if x:size(-1) ~= f.input_size then
    vm.raise("shape", ("input.size(-1) must be equal to input_size. Expected %d, got %d"):format(f.input_size, x:size(-1)))
  end
end

local function check_hidden(hx, layers, batch, size, message)
  if hx:dim() == 3 and hx:size(0) == layers and hx:size(1) == batch and hx:size(2) == size then return end
  vm.raise("shape", message:format(("(%d, %d, %d)"):format(layers, batch, size),
    "[" .. table.concat(hx.shape, ", ") .. "]"))
end

local function permuted(hx, permutation)
  return permutation == nil and hx or hx:index_select(1, permutation)
end

-- Checks the input and gives it batched: input, batch_sizes, sorted, unsorted, batch, unbatched's dim or nil.
function RNNBase.prepare(f, x, name)
  if is_packed(x) then
    return x.data, x.batch_sizes, x.sorted_indices, x.unsorted_indices, x.batch_sizes[0]:item(), nil
  end
  local dims = x:dim()
  if dims ~= 2 and dims ~= 3 then
    vm.raise("shape", ("%s: Expected input to be 2D or 3D, got %dD%s instead"):format(name, dims,
      name == "RNN" and " tensor" or ""))
  end
  local batch_first, single = f.batch_first
  if dims == 2 then
    single = batch_first and 0 or 1
    x = x:unsqueeze(single)
  end
  return x, nil, nil, nil, x:size(batch_first and 0 or 1), single
end

-- The forward of RNN and GRU, whose state is one tensor.
function RNNBase.run(self, f, x, hx, name, operator)
  local weights = RNNBase.weights_of(self, f)
  local input, batch_sizes, sorted, unsorted, batch, single = RNNBase.prepare(f, x, name)
  local layers = f.bidirectional and 2 * f.num_layers or f.num_layers
  if hx == nil then hx = input:new_zeros(layers, batch, f.hidden_size)
  elseif batch_sizes then hx = permuted(hx, sorted)
  elseif single then
    if hx:dim() ~= 2 then
      vm.raise("shape", ("For unbatched 2-D input, hx should also be 2-D but got %d-D tensor"):format(hx:dim()))
    end
    hx = hx:unsqueeze(1)
  elseif hx:dim() ~= 3 then
    vm.raise("shape", ("For batched 3-D input, hx should also be 3-D but got %d-D tensor"):format(hx:dim()))
  end
  check_input(f, input, batch_sizes)
  check_hidden(hx, layers, batch, f.hidden_size, "Expected hidden size %s, got %s")
  if batch_sizes then
    local output, hidden = operator(input, batch_sizes, hx, weights, f.bias, f.num_layers, f.dropout, self.training,
      f.bidirectional)
    return pack(output, batch_sizes, sorted, unsorted), permuted(hidden, unsorted)
  end
  local output, hidden = operator(input, hx, weights, f.bias, f.num_layers, f.dropout, self.training, f.bidirectional,
    f.batch_first)
  if single then return output:squeeze(single), hidden:squeeze(1) end
  return output, hidden
end

RNNBase.check_input, RNNBase.check_hidden, RNNBase.permuted = check_input, check_hidden, permuted

function RNNBase:extra_repr()
  local out = ("%d, %d"):format(self.input_size, self.hidden_size)
  if self.proj_size ~= 0 then out = out .. ", " .. text.pairs("proj_size", self.proj_size) end
  if self.num_layers ~= 1 then out = out .. ", " .. text.pairs("num_layers", self.num_layers) end
  if not self.bias then out = out .. ", bias=False" end
  if self.batch_first then out = out .. ", batch_first=True" end
  if self.dropout ~= 0 then out = out .. ", " .. text.pairs("dropout", self.dropout) end
  if self.bidirectional then out = out .. ", bidirectional=True" end
  return out
end

return RNNBase
