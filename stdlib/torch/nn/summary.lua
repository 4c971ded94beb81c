-- nn.summary: the layers of a model with their shapes, parameters, work and memory, as text.
local counts = require "torch.nn.summary_counts"
local keywords = require "host.keywords"
local native = require "native.model"
local observed = require "torch.nn.observed"
local text = require "torch.nn.summary_text"
local vm = require "native.vm"

local OPTIONS <const> = {depth = keywords.none, col_names = keywords.none, dtypes = keywords.none,
  device = keywords.none, mode = "eval", format = "text"}

local function fail(message, ...) vm.raise("usage", "nn.summary: " .. message:format(...)) end

local function check_depth(depth)
  if depth ~= nil and (math.type(depth) ~= "integer" or depth < 0) then
    fail("argument 'depth' must be an integer that is not negative, got %s", vm.describe(depth))
  end
  return depth or math.huge
end

local function one_of(name, value, valid)
  for _, each in ipairs(valid) do
    if value == each then return end
  end
  fail("argument '%s' must be one of %s, got %s", name, table.concat(valid, ", "), vm.describe(value))
end

-- Only shapes and work of a forward leave something to show in their columns.
local function columns_of(given, with_input, totals)
  if given == nil then
    local names = with_input and {"input_size", "output_size", "num_params", "flops"} or {"num_params"}
    if totals.non_trainable_params > 0 then names[#names + 1] = "trainable" end
    return names
  end
  if type(given) ~= "table" then fail("argument 'col_names' must be a list of names, got %s", vm.describe(given)) end
  local valid = {}
  for name in pairs(text.columns) do valid[#valid + 1] = name end
  table.sort(valid)
  for _, name in ipairs(given) do one_of("col_names", name, valid) end
  return given
end

-- nn.summary(model, {depth = 1}): the second table is options if all its names are.
local function is_options(value)
  if not keywords.is(value) then return false end
  for name in pairs(value) do
    if OPTIONS[name] == nil then return false end
  end
  return true
end

--- Describes a model: a tree of its layers with input and output shapes, parameters and FLOPs of one forward; then the
--- counts of all, trainable and non-trainable parameters (shared ones once) and the memory of inputs, activations (the outputs
--- of layers), parameters and buffers. It prints nothing.
---
--- The forward runs without gradients; the model's modes, buffers, hooks and the random numbers are as before afterwards, also
--- after an error, but lazy layers stay initialized. FLOPs are two for each multiply-add of matrix products, convolutions,
--- attention and recurrent kernels, as torch.utils.flop_counter counts them (which leaves out attention and LSTM where the CPU
--- has a kernel of its own for them); a row has its own, and those of the rows that `depth` hides.
---
--- Options, by name:
--- - depth: how many levels of the tree; all of them.
--- - col_names: of input_size, output_size, num_params, params_percent, kernel_size, flops, mult_adds, trainable.
--- - dtypes: a dtype or a list of them, for the shapes in `input`; the default dtype.
--- - device: of the tensors made for shapes; the parameters'.
--- - mode: "eval" or "train", in which the forward runs; "eval".
--- - format: "text", or "table" for the counts themselves: total_params, trainable_params, non_trainable_params, flops,
---   mult_adds, input_bytes, activation_bytes, parameter_bytes, buffer_bytes, total_bytes, and `layers`, a list of rows.
---@param model Module
---@param input? any a Tensor, a shape, a list of these (one for each argument of forward), or a table by name that forward
--- takes; without it there are no shapes and no FLOPs
---@param options? table
---@return string|table
---@example local text = nn.summary(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), {8, 3})
--- text:match("Trainable params: %d+")  --> Trainable params: 26
--- text:match("Total FLOPs: %d+")  --> Total FLOPs: 320
return function(model, input, options)
  if not native.is_module(model) then fail("argument 'model' must be a Module, got %s", vm.describe(model)) end
  if options == nil and is_options(input) then input, options = nil, input end
  options = keywords.check("nn.summary", options, OPTIONS)
  one_of("mode", options.mode, {"eval", "train"})
  one_of("format", options.format, {"text", "table"})
  local depth, calls, totals = check_depth(options.depth), {}, {}
  if input ~= nil then
    local function make() return observed.arguments("nn.summary", model, input, options.dtypes, options.device) end
    calls, totals = counts.forward(model, make, options.mode)
    totals.mult_adds = totals.flops // 2
  end
  for name, value in pairs(counts.tensors(model)) do totals[name] = value end
  totals.total_bytes = (totals.input_bytes or 0) + (totals.activation_bytes or 0) + totals.parameter_bytes
    + totals.buffer_bytes
  totals.layers = counts.rows(model, calls, depth)
  local names = columns_of(options.col_names, input ~= nil, totals)
  local as_text = text.of(totals.layers, totals, names)
  if options.format == "text" then return as_text end
  return setmetatable(totals, {__name = "Summary", __tostring = function() return as_text end})
end
