-- What nn.summary counts: parameters, calls, work and memory of each module of a model, as rows of a tree.
local native = require "native.model"
local observed = require "torch.nn.observed"
local trace = require "native.trace"

local counts = {}

local is_tensor <const> = require("native.tensor").is_tensor

-- Of a lazy layer nothing is known yet.
local function count_of(tensor) return native.is_uninitialized(tensor) and 0 or tensor:numel() end
local function bytes_of(tensor) return count_of(tensor) * tensor.itemsize end

-- A shape, or for tables of several tensors a list or a table by name of shapes; what is no tensor is left out.
local function shape_of(value)
  if is_tensor(value) then return table.move(value.shape, 1, #value.shape, 1, {}) end
  if type(value) ~= "table" then return nil end
  local shapes = {}
  for i = 1, value.n or #value do shapes[#shapes + 1] = shape_of(value[i]) end
  for key, item in next, observed.has_names(value) and value or {} do
    if type(key) == "string" and key ~= "n" then shapes[key] = shape_of(item) end
  end
  if #shapes == 1 and next(shapes, 1) == nil and next(shapes) == 1 then return shapes[1] end
  return next(shapes) ~= nil and {of = shapes} or nil
end

local function storage_of(tensor)
  return tensor.layout == require("torch").strided and tensor.device.type ~= "meta" and count_of(tensor) > 0
    and tensor:untyped_storage():data_ptr() or nil
end

-- Bytes of the tensors that share no memory with the inputs.
local function new_bytes(inputs, output)
  local own, total = {}, 0
  observed.each_tensor(inputs, function(tensor) own[storage_of(tensor) or 0] = true end)
  own[0] = nil
  observed.each_tensor(output, function(tensor)
    local storage = storage_of(tensor)
    if storage and own[storage] then return end
    if storage then own[storage] = true end
    total = total + bytes_of(tensor)
  end)
  return total
end

--- Runs a forward and notes what each module does in it.
---@param model Module
---@param make fun(): table
---@param mode string
---@return table calls by module: calls, flops (its children's not), input, output
---@return table totals flops, input_bytes, activation_bytes
function counts.forward(model, make, mode)
  local calls, stack, totals = {}, {}, {flops = 0, input_bytes = 0, activation_bytes = 0}
  local observer = {}
  function observer.begin(arguments)
    observed.each_tensor(arguments, function(tensor) totals.input_bytes = totals.input_bytes + bytes_of(tensor) end)
  end
  function observer.enter(module)
    stack[#stack + 1] = {module = module, flops = trace.flops(), inner = 0, leaf = true}
  end
  function observer.leave(module, inputs, output)
    local frame
    repeat  -- one that has raised has not left
      frame = stack[#stack]
      stack[#stack] = nil
    until frame == nil or frame.module == module
    if frame == nil then return end
    local flops, outer = trace.flops() - frame.flops, stack[#stack]
    if outer then outer.inner, outer.leaf = outer.inner + flops, false else totals.flops = totals.flops + flops end
    local seen = calls[module]
    if not seen then
      seen = {calls = 0, flops = 0, input = shape_of(inputs), output = shape_of(output)}
      calls[module] = seen
    end
    seen.calls, seen.flops = seen.calls + 1, seen.flops + flops - frame.inner
    if frame.leaf then totals.activation_bytes = totals.activation_bytes + new_bytes(inputs, output) end
  end
  observed.run(model, make, mode, observer)
  return calls, totals
end

-- "True", "False", "Partial"; "frozen" by nn.freeze; nil without parameters.
local function trainable_of(module)
  local freezing = package.loaded["torch.nn.freezing"]
  if freezing and freezing.is_frozen(module) then return "frozen" end
  local yes, no = false, false
  for _, parameter in ipairs(module:parameters()) do
    if parameter.requires_grad then yes = true else no = true end
  end
  if yes and no then return "Partial" end
  if yes or no then return yes and "True" or "False" end
end

local function kernel_of(module)
  local size = not native.is_foreign(module) and native.fields(module).kernel_size or nil
  if type(size) == "number" then return {size} end
  return type(size) == "table" and table.move(size, 1, #size, 1, {}) or nil
end

--- The tree as rows. What is below `depth` counts to the last row above it; a parameter counts where it is met first.
---@param model Module
---@param calls table of `forward`, {} without one
---@param depth number
---@return table[] rows
function counts.rows(model, calls, depth)
  local rows, met, counted = {}, {}, {}

  local function own_parameters(module)
    local total = 0
    local _, parameters = native.parameters(module, false)
    for _, parameter in ipairs(parameters) do
      if not met[parameter] then
        met[parameter] = true
        total = total + count_of(parameter)
      end
    end
    return total
  end

  local function add(name, path, module, level, row)
    local repeated = counted[module]
    local of = calls[module]
    if level <= depth then
      row = {name = name, path = path, class = native.class_of(module).__name, depth = level, num_params = 0, flops = 0,
        input = of and of.input, output = of and of.output, calls = of and of.calls or 0, kernel = kernel_of(module),
        trainable = trainable_of(module), repeated = repeated}
      if native.is_foreign(module) then row.class = native.describe_foreign(module):match("^[%w_:]+") or row.class end
      rows[#rows + 1] = row
    end
    if repeated then return end
    counted[module] = true
    row.num_params = row.num_params + own_parameters(module)
    row.flops = row.flops + (of and of.flops or 0)
    local names, children = native.child_list(module)
    for i, child in ipairs(children) do
      add(names[i], path == "" and names[i] or path .. "." .. names[i], child, level + 1, row)
    end
  end

  add("", "", model, 0)
  return rows
end

--- Counts of all parameters and buffers, shared ones once.
---@param model Module
---@return table
function counts.tensors(model)
  local totals = {total_params = 0, trainable_params = 0, non_trainable_params = 0, parameter_bytes = 0, buffer_bytes = 0}
  for _, parameter in ipairs(model:parameters()) do
    local kind = parameter.requires_grad and "trainable_params" or "non_trainable_params"
    totals.total_params = totals.total_params + count_of(parameter)
    totals[kind] = totals[kind] + count_of(parameter)
    totals.parameter_bytes = totals.parameter_bytes + bytes_of(parameter)
  end
  for _, buffer in ipairs(model:buffers()) do totals.buffer_bytes = totals.buffer_bytes + bytes_of(buffer) end
  return totals
end

return counts
