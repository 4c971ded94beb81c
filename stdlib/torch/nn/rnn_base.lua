-- nn.RNNBase: parameters, checks and text of RNN, LSTM and GRU.
local allocate = require "torch.nn.allocate"
local init = require "torch.nn.initializers"
local module = require "torch.nn.module"
local native = require "native.model"
local ops = require "native.ops"
local recurrent = require "torch.nn.recurrent"
local signature = require "torch.signature"
local text = require "torch.python_text"
local torch = require "torch"
local vm = require "native.vm"
local warn = require "torch.warn"

local fields <const> = native.fields

---@class RNNBase : Module
---@field mode string RNN_TANH, RNN_RELU, LSTM or GRU
local RNNBase = module.class("RNNBase")
local parse = require "torch.nn.typed"(
  signature("nn.RNNBase", "mode, input_size, hidden_size, num_layers=1, bias=true, batch_first=false, dropout=0.0, "
  .. "bidirectional=false, proj_size=0, device=nil, dtype=nil"),
  "nn.RNNBase", "mode: text, input_size: any, hidden_size: any, num_layers: integer, bias: any, "
  .. "batch_first: any, dropout: number, bidirectional: flag, proj_size: integer")

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
  if input_size <= 0 then vm.raise("shape", "input_size must be greater than zero") end
  if hidden_size <= 0 then vm.raise("shape", "hidden_size must be greater than zero") end
  if layers <= 0 then vm.raise("usage", "num_layers must be greater than zero") end
  if proj_size < 0 then
    vm.raise("shape", "proj_size should be a positive integer or zero to disable projections")
  end
  if proj_size >= hidden_size then vm.raise("shape", "proj_size has to be smaller than hidden_size") end
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
---@example nn.GRU(2, 3):reset_parameters()
function RNNBase:reset_parameters()
  local bound = 1.0 / math.sqrt(self.hidden_size)
  for _, weight in ipairs(self:parameters()) do init.uniform_(weight, -bound, bound) end
end

-- `all_weights`: the parameters of each layer and direction.
function RNNBase:__get(name)
  if name ~= "all_weights" then return nil end
  local all = {}
  for i, names in ipairs(self._all_weights) do
    all[i] = {}
    for k, weight in ipairs(names) do all[i][k] = self[weight] end
  end
  return all
end

--- On a GPU, puts all weights into one block of memory, as cuDNN wants them. Elsewhere it does nothing.
---@example nn.GRU(2, 3):flatten_parameters()
function RNNBase:flatten_parameters()
  local list, seen = recurrent.weights_of(fields(self)), {}
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

function RNNBase:extra_repr()
  local out = ("%d, %d"):format(self.input_size, self.hidden_size)
  if self.proj_size ~= 0 then out = out .. ", " .. text.fields(self, "proj_size") end
  if self.num_layers ~= 1 then out = out .. ", " .. text.fields(self, "num_layers") end
  if not self.bias then out = out .. ", bias=False" end
  if self.batch_first then out = out .. ", batch_first=True" end
  if self.dropout ~= 0 then out = out .. ", " .. text.fields(self, "dropout") end
  if self.bidirectional then out = out .. ", bidirectional=True" end
  return out
end

return RNNBase
