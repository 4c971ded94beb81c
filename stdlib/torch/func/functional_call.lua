-- torch.func.functional_call and stack_module_state: modules with parameters from outside.
local model = require "native.model"
local named = require "torch.named"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local vm = require "native.vm"

local transforms = {}

-- One map of names from one or a list of them.
local function merge(dicts)
  if type(dicts) ~= "table" then
    vm.raise("usage", "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got " ..
      vm.describe(dicts))
  end
  if #dicts == 0 then return dicts end
  local all = ordered.new()
  for _, dict in ipairs(dicts) do
    if type(dict) ~= "table" then
      vm.raise("usage", "Expected all elements of parameter_and_buffer_dicts to be dictionaries")
    end
    for _, name in ipairs(ordered.keys(dict)) do
      if all[name] ~= nil then
        vm.raise("usage", ("['%s'] appeared in multiple dictionaries; behavior of functional call is ambiguous"):format(name))
      end
      all[name] = dict[name]
    end
  end
  return all
end

-- Where a parameter or buffer lies: the fields of its module, and its name there.
local function place_of(module, name)
  local path, last = name:match("^(.-)%.?([^.]+)$")
  return model.fields(path == "" and module or module:get_submodule(path)), last
end

-- Names of the module's parameters and buffers, and the names that share a tensor with each.
local function names_of(module)
  local known, ties, first = {}, {}, {}
  local function add(name)
    if known[name] then return end
    known[#known + 1] = name
    known[name] = true
    local fields, last = place_of(module, name)
    local tensor = rawget(fields, last)
    local key = tensor and first[tensor] or name
    if tensor then first[tensor] = key end
    ties[key] = ties[key] or {}
    table.insert(ties[key], name)
    ties[name] = ties[key]
  end
  for name in module:named_parameters{remove_duplicate = false} do add(name) end
  for name in module:named_buffers{remove_duplicate = false} do add(name) end
  return known, ties
end

local function check_strict(known, given)
  local missing, unexpected = {}, {}
  for _, name in ipairs(known) do
    if given[name] == nil then missing[#missing + 1] = "'" .. name .. "'" end
  end
  for _, name in ipairs(ordered.keys(given)) do
    if not known[name] then unexpected[#unexpected + 1] = "'" .. name .. "'" end
  end
  local parts = {}
  if #unexpected > 0 then parts[1] = "Unexpected key(s): " .. table.concat(unexpected, ", ") .. "." end
  if #missing > 0 then parts[#parts + 1] = "Missing key(s): " .. table.concat(missing, ", ") .. "." end
  if #parts > 0 then
    vm.raise("usage", "Error(s) in reparametrizing:\n\t" .. table.concat(parts, "\n\t"))
  end
end

-- What each name is set to, names that are tied in the module with it.
local function with_ties(given, known, ties)
  local all = ordered.new()
  for _, name in ipairs(ordered.keys(given)) do all[name] = given[name] end
  for _, name in ipairs(ordered.keys(given)) do
    if not known[name] then
      vm.raise("usage", ("functional_call: the module has no parameter or buffer '%s'"):format(name))
    end
    for _, other in ipairs(ties[name] or {}) do
      if given[other] ~= nil and given[other] ~= given[name] then
        vm.raise("usage", ("functional_call got multiple values for keys ['%s', '%s'], which are tied. Consider using " ..
          "tie_weights=False"):format(name, other))
      end
      all[other] = given[name]
    end
  end
  return all
end

local Swapped = {}
function Swapped.__close(self)
  for i = #self, 1, -1 do self[i].fields[self[i].name] = self[i].before end
end

-- A layer reads its parameters from its fields: they are exchanged there, the registered ones stay as they are.
local function swap(module, tensors)
  local swapped = setmetatable({}, Swapped)
  for _, name in ipairs(ordered.keys(tensors)) do
    local fields, last = place_of(module, name)
    swapped[#swapped + 1] = {fields = fields, name = last, before = rawget(fields, last)}
    fields[last] = tensors[name]
  end
  return swapped
end

local parse = signature("torch.func.functional_call",
  "module, parameter_and_buffer_dicts, args=nil, kwargs=nil, tie_weights=true, strict=false")

--- Calls a module with these tensors in place of its parameters and buffers.
---@param module Module made in Lua
---@param parameter_and_buffer_dicts table<string, Tensor>|table[] by name, or several such maps
---@param args any the argument, or a list of them
---@param kwargs? table handed on as a last argument
---@param tie_weights? boolean true; tied parameters stay tied
---@param strict? boolean false; every name must be given, and no other
---@return any ...
---@example local layer = nn.Linear(2, 1, {bias = false})
--- torch.func.functional_call(layer, {weight = torch.ones(1, 2)}, torch.tensor{3., 4.}):item()  --> 7.0
function transforms.functional_call(...)
  local module, dicts, args, kwargs, tie_weights, strict = parse(...)
  if not model.is_module(module) then
    vm.raise("usage", "functional_call: argument 'module' must be a Module, got " .. vm.describe(module))
  end
  local given = merge(dicts)
  local known, ties = names_of(module)
  if strict then check_strict(known, given) end
  local tensors = with_ties(given, known, tie_weights and ties or {})
  local list = type(args) == "table" and getmetatable(args) == nil and #args > 0 and table.pack(table.unpack(args)) or
    table.pack(args)
  if kwargs ~= nil then
    list.n = list.n + 1
    list[list.n] = kwargs
  end
  local _ <close> = swap(module, tensors)
  local results = table.pack(module(table.unpack(list, 1, list.n)))
  return table.unpack(results, 1, results.n)
end

local function stack(models, each)
  local torch = require "torch"
  local names, tensors = {}, {}
  for i, module in ipairs(models) do
    for name, tensor in each(module) do
      if i == 1 then
        names[#names + 1] = name
        tensors[name] = {}
      end
      table.insert(tensors[name], tensor)
    end
  end
  local stacked = ordered.new()
  for _, name in ipairs(names) do
    local recorded = 0
    for _, tensor in ipairs(tensors[name]) do
      if tensor.requires_grad then recorded = recorded + 1 end
    end
    if recorded > 0 and recorded < #models then
      vm.raise("usage", ("Expected %s from each model to have the same .requires_grad"):format(name))
    end
    local result = torch.stack(tensors[name])
    stacked[name] = recorded > 0 and result:detach():requires_grad_() or result
  end
  return stacked
end

--- Parameters and buffers of several modules of one class, stacked by name: for vmap over the models.
---@param models Module[]
---@return table<string, Tensor> params new leaves
---@return table<string, Tensor> buffers
---@example local params = torch.func.stack_module_state({nn.Linear(2, 1), nn.Linear(2, 1)})
--- params.weight.shape  --> torch.Size([2, 1, 2])
transforms.stack_module_state = named("torch.func.stack_module_state", "models", function(models)
  local list = {}
  for i = 1, #models do list[i] = models[i] end
  if model.is_module(models) then
    list = {}
    for i = 0, #models - 1 do list[#list + 1] = models[i] end
  end
  if #list == 0 then vm.raise("usage", "stack_module_state: Expected at least one model, got 0.") end
  for _, module in ipairs(list) do
    if module.training ~= list[1].training then
      vm.raise("usage", "stack_module_state: Expected all models to have the same training/eval mode.")
    end
    if model.class_of(module) ~= model.class_of(list[1]) then
      vm.raise("usage", "stack_module_state: Expected all models to be of the same class.")
    end
  end
  return stack(list, list[1].named_parameters), stack(list, list[1].named_buffers)
end)

return transforms
