-- One forward of a model that is looked at from outside, for nn.summary and nn.plot: what it is given, who is told of each
-- call of a module, and the model as it was before, whatever happens.
local native = require "native.model"
local state = require "torch.utils.checkpoint_state"
local torch = require "torch"
local trace = require "native.trace"
local vm = require "native.vm"

local is_tensor <const> = require("native.tensor").is_tensor

local observed = {}

-- --- What the forward is given

local function is_list(value)
  if type(value) ~= "table" then return false end
  for key in next, value do
    if math.type(key) ~= "integer" and key ~= "n" then return false end
  end
  return true
end

-- A table of the script's own class is one value, such as a packed sequence.
local function is_plain(value) return type(value) == "table" and getmetatable(value) == nil end

local function is_shape(value)
  if not is_list(value) or value[1] == nil then return false end
  for _, size in ipairs(value) do
    if math.type(size) ~= "integer" or size < 0 then return false end
  end
  return true
end

-- A tensor of that shape: numbers from [0, 1), zeros where the dtype has none between.
local function of_shape(shape, dtype, device)
  local size = table.move(shape, 1, #shape, 1, {})
  if dtype.is_floating_point then return torch.rand(size, {dtype = dtype, device = device}) end
  return torch.zeros(size, {dtype = dtype, device = device})
end

-- Of a list each element is an argument of forward: a tensor, a shape, or what else it may take.
local function read_input(input, next_dtype, device)
  if is_shape(input) then return of_shape(input, next_dtype(), device) end
  if not is_plain(input) then return input end
  local read = {}
  for key, value in next, input do
    if math.type(key) ~= "integer" then read[key] = read_input(value, next_dtype, device) end
  end
  for i = 1, input.n or #input do read[i] = read_input(input[i], next_dtype, device) end
  return read
end

local function dtypes_of(where, dtypes)
  if dtypes == nil then return {} end
  if native.is_dtype(dtypes) then return {dtypes} end
  for i, dtype in ipairs(type(dtypes) == "table" and dtypes or {false}) do
    if not native.is_dtype(dtype) then
      vm.raise("usage", ("%s: argument 'dtypes' must be a list of dtypes, got %s at place %d"):format(where,
        vm.describe(dtypes[i] or dtypes), i))
    end
  end
  return dtypes
end

local function home_of(model)
  for _, list in ipairs {model:parameters(), model:buffers()} do
    if list[1] then return list[1].device end
  end
end

--- The arguments of forward that an `input` stands for.
---@param where string the function that was called
---@param model Module
---@param input any a tensor, a shape, a list of these, or a table by name, which is one argument
---@param dtypes any of the shapes, in order; the last one is that of all others
---@param device any of the shapes
---@return table arguments with their number in `n`
function observed.arguments(where, model, input, dtypes, device)
  local known, used = dtypes_of(where, dtypes), 0
  local function next_dtype()
    used = used + 1
    return known[used] or known[#known] or torch.get_default_dtype()
  end
  device = device or home_of(model)
  if is_tensor(input) then return {n = 1, input} end
  if is_shape(input) then return {n = 1, read_input(input, next_dtype, device)} end
  if type(input) ~= "table" or next(input) == nil then
    vm.raise("usage", ("%s: argument 'input' must be a Tensor, a shape such as {1, 3, 32, 32}, or a list of these, got %s")
      :format(where, type(input) == "table" and "an empty table" or vm.describe(input)))
  end
  if not is_plain(input) or not is_list(input) then return {n = 1, read_input(input, next_dtype, device)} end
  local arguments = read_input(input, next_dtype, device)
  arguments.n = input.n or #input
  return arguments
end

--- Does a table have values by name? One of a class that is a list too, as a packed sequence, has them by both.
---@param value table
---@return boolean
function observed.has_names(value) return getmetatable(value) == nil or #value == 0 end

--- Calls visit(tensor) of each tensor in a value, those of tables too, in order.
---@param value any
---@param visit fun(tensor: Tensor)
function observed.each_tensor(value, visit)
  local function each(item, depth)
    if is_tensor(item) then return visit(item) end
    if type(item) ~= "table" or depth > 8 then return end
    local names = {}
    for i = 1, item.n or #item do each(item[i], depth + 1) end
    for key in next, observed.has_names(item) and item or {} do
      if type(key) == "string" then names[#names + 1] = key end
    end
    table.sort(names)
    for _, name in ipairs(names) do each(item[name], depth + 1) end
  end
  each(value, 0)
end

-- --- The model as it was before

local Restored = {__close = function(self)
  for i = #self.handles, 1, -1 do self.handles[i].remove(self.handles[i]) end
  for _, each in ipairs(self.buffers) do
    if each.module[each.name] ~= each.tensor then each.module[each.name] = each.tensor end
    if not torch.equal(each.tensor, each.copy) then each.tensor:copy_(each.copy) end  -- kernels tell no version
  end
  for _, each in ipairs(self.modes) do
    if each.module.training ~= each.training then each.module.training = each.training end
  end
  torch.set_rng_state(self.random)
  state.set_device_states(self.devices, self.states)
end}

local function save(model)
  local _, modules = native.modules(model)
  local saved = {handles = {}, buffers = {}, modes = {}, random = torch.get_rng_state()}
  saved.devices, saved.states = state.get_device_states(model:parameters())
  local uninitialized = package.loaded["torch.nn.uninitialized"]
  for _, module in ipairs(modules) do
    saved.modes[#saved.modes + 1] = {module = module, training = module.training}
    local names, tensors = native.buffers(module, false)
    for i, name in ipairs(names) do
      local tensor = tensors[i]
      if not (uninitialized and uninitialized.is_lazy(tensor)) and not tensor:is_inference() then
        saved.buffers[#saved.buffers + 1] = {module = module, name = name, tensor = tensor, copy = tensor:clone()}
      end
    end
  end
  return setmetatable(saved, Restored), modules
end

local function set_mode(modules, mode)
  for _, module in ipairs(modules) do
    local wanted = mode == "train" and not (native.fields(module)._frozen ~= nil)
    if module.training ~= wanted then module.training = wanted end
  end
end

--- Calls the model without gradients, and tells of the calls of modules in it. Modes, statistics, random numbers and hooks
--- are as before afterwards, also after an error.
---@param model Module
---@param make fun(): table what gives the arguments of forward, in `n`
---@param mode string "eval" or "train"
---@param observer table enter(module, inputs), leave(module, inputs, output), what leave returns replaces the output;
--- begin(arguments)
---@return any ... what the model returns
function observed.run(model, make, mode, observer)
  local saved <close>, modules = save(model)
  local _ <close> = torch.no_grad()
  set_mode(modules, mode)
  local handles = saved.handles
  for _, module in ipairs(modules) do
    handles[#handles + 1] = module:register_forward_pre_hook(function(of, inputs) observer.enter(of, inputs) end)
    handles[#handles + 1] = module:register_forward_hook(function(of, inputs, output)
      return observer.leave(of, inputs, output)
    end)
  end
  local arguments = make()
  return trace.run(function()
    if observer.begin then observer.begin(arguments) end
    return model(table.unpack(arguments, 1, arguments.n))
  end)
end

return observed
