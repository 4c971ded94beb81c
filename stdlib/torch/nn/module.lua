-- nn.Module and nn.class: what every layer and model inherits.
local keywords = require "host.keywords"
local native = require "native.model"
local ordered = require "host.ordered"
local signature = require "torch.signature"
local torch = require "torch"
local vm = require "native.vm"

local Module = {__name = "Module"}

local function is_class(value) return type(value) == "table" and rawget(value, "__name") ~= nil end

-- A class is a table of methods; its metatable finds those of the base and makes modules: Net(...).
local function make_class(class, base)
  return setmetatable(class, {
    __index = base,
    __call = native.construct,
    __name = "class",
    __tostring = function(self) return "class " .. self.__name end,
    __metatable = false,
  })
end

make_class(Module, nil)

--- Makes a class of modules. Define `Name:__init(...)` and `Name:forward(...)`; `Name(...)` makes a module.
---@param name string what it prints as
---@param base? any a class, nn.Module by default
---@return table class
---@example local Double = nn.class("Double")
--- function Double:forward(x) return 2 * x end
--- Double()(torch.ones(2))  --> tensor([2., 2.])
local function class(name, base)
  if type(name) ~= "string" then
    vm.raise("usage", "nn.class: argument 'name' must be a string, got " .. vm.describe(name))
  end
  if base ~= nil and not is_class(base) then
    vm.raise("usage", "nn.class: argument 'base' must be a class, got " .. vm.describe(base))
  end
  return make_class({__name = name, __base = base or Module}, base or Module)
end

--- What a class does with the arguments of its constructor: override it.
---@example local Shift = nn.class("Shift")
--- function Shift:__init(by) self.by = by end
--- function Shift:forward(x) return x + self.by end
--- Shift(2)(torch.ones(2))  --> tensor([3., 3.])
function Module:__init() end

--- Is this a module of the class or of one made from it?
---@param of table
---@return boolean
---@example nn.Linear(2, 1):is_instance(nn.Module)  --> true
function Module:is_instance(of)
  local each = native.class_of(self)
  while each do
    if each == of then return true end
    each = rawget(each, "__base") or (each ~= Module and Module) or nil
  end
  return false
end

for _, part in ipairs {"walk", "hooks", "repr", "copy"} do
  for name, method in pairs(require("torch.nn." .. part)) do Module[name] = method end
end

local parse_parameter = signature("Module.register_parameter", "name, param=nil")
local parse_buffer = signature("Module.register_buffer", "name, tensor=nil, persistent=true")
local parse_module = signature("Module.add_module", "name, module")

local function check_free(self, name, slot)
  if type(name) ~= "string" then
    vm.raise("usage", ("%s name should be a string, got %s"):format(slot, vm.describe(name)))
  end
  if self[name] ~= nil and native.slot(self, name) ~= slot then
    vm.raise("usage", ("attribute '%s' already exists"):format(name))
  end
end

--- Adds a parameter; nil reserves the name. A usage error if the name is taken.
---@param name string
---@param param Tensor? a Parameter, nil
---@example local net = nn.Identity()
--- net:register_parameter("scale", nn.Parameter(torch.ones(1)))
--- #net:parameters()  --> 1
function Module:register_parameter(...)
  local name, parameter = parse_parameter(...)
  check_free(self, name, "parameter")
  native.register_parameter(self, name, parameter)
end

--- Adds a tensor that is moved with the module, but not trained. A usage error if the name is taken.
---@param name string
---@param tensor Tensor? nil reserves the name, nil
---@param persistent boolean is in the state dict, true
---@example local net = nn.Identity()
--- net:register_buffer("scale", torch.ones(1))
--- net.scale  --> tensor([1.])
function Module:register_buffer(...)
  local name, tensor, persistent = parse_buffer(...)
  check_free(self, name, "buffer")
  native.register_buffer(self, name, tensor, persistent)
end

--- Adds a child. A usage error if the name is taken.
---@param name string
---@param module Module
---@example local net = nn.Sequential()
--- net:add_module("head", nn.Linear(2, 1))
--- net.head  --> Linear(in_features=2, out_features=1, bias=True)
function Module:add_module(...)
  local name, child = parse_module(...)
  check_free(self, name, "child")
  if not native.is_module(child) then
    vm.raise("usage", vm.describe(child) .. " is not a Module")
  end
  self[name] = child
end
Module.register_module = Module.add_module

--- Training mode of this module and all below: Dropout and BatchNorm read it.
---@param mode boolean false is evaluation mode, true
---@return Module self
---@example nn.Dropout():eval():train().training  --> true
function Module:train(mode)
  if mode == nil then mode = true end
  if type(mode) ~= "boolean" then
    vm.raise("usage", "Module.train: training mode is expected to be boolean, got " .. vm.describe(mode))
  end
  native.set_training(self, mode)
  local _, children = native.children(self)
  for _, child in ipairs(children) do child:train(mode) end
  return self
end

--- Evaluation mode: train(false).
---@return Module self
---@example nn.Dropout():eval().training  --> false
function Module:eval() return self:train(false) end

local TO <const> = {device = keywords.none, dtype = keywords.none, non_blocking = keywords.none}

--- Converts parameters, gradients and buffers in place: to(device), to(dtype), to(device, dtype), to(tensor).
---@param device any where to, where they are
---@param dtype dtype? of floating point tensors, theirs
---@param non_blocking boolean does not wait for the copies, false
---@return Module self
---@example nn.Linear(2, 1):to(torch.float64).bias.dtype  --> torch.float64
function Module:to(...)
  local device, dtype, non_blocking
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if native.is_dtype(value) then dtype = value
    elseif type(value) == "boolean" then non_blocking = value
    elseif type(value) == "table" then
      local given = keywords.check("Module.to", value, TO)
      device, dtype = given.device or device, given.dtype or dtype
      non_blocking = given.non_blocking or non_blocking
    elseif torch.is_tensor(value) then device, dtype = value.device, value.dtype
    else device = value end
  end
  native.to(self, device, dtype, non_blocking)
  return self
end

--- Moves parameters, gradients and buffers to the CPU, in place.
---@return Module self
---@example nn.Linear(2, 1):cpu().weight.device  --> cpu
function Module:cpu() return self:to("cpu") end

--- Moves parameters, gradients and buffers to a CUDA device, in place.
---@param device integer? the device's number, the current device
---@return Module self
---@example if torch.cuda.is_available() then test.truthy(nn.Linear(2, 1):cuda().weight.is_cuda) end
function Module:cuda(device) return self:to(device and "cuda:" .. device or "cuda") end

--- Converts floating point parameters and buffers to float32, in place.
---@return Module self
---@example nn.Linear(2, 1):double():float().weight.dtype  --> torch.float32
function Module:float() return self:to(torch.float32) end

--- Converts floating point parameters and buffers to float64, in place.
---@return Module self
---@example nn.Linear(2, 1):double().weight.dtype  --> torch.float64
function Module:double() return self:to(torch.float64) end

--- Converts floating point parameters and buffers to float16, in place.
---@return Module self
---@example nn.Linear(2, 1):half().weight.dtype  --> torch.float16
function Module:half() return self:to(torch.float16) end

--- Converts floating point parameters and buffers to bfloat16, in place.
---@return Module self
---@example nn.Linear(2, 1):bfloat16().weight.dtype  --> torch.bfloat16
function Module:bfloat16() return self:to(torch.bfloat16) end

local parse_zero = signature("Module.zero_grad", "set_to_none=true")

--- Clears the gradients of all parameters.
---@param set_to_none boolean forgets them rather than fill them with zeros, true
---@example local layer = nn.Linear(2, 1)
--- layer(torch.ones(2)):backward()
--- layer:zero_grad()
--- layer.weight.grad  --> nil
function Module:zero_grad(...) native.zero_grad(self, (parse_zero(...))) end

--- Freezes (false) or unfreezes all parameters.
---@param requires_grad boolean false freezes, true
---@return Module self
---@example nn.Linear(2, 1):requires_grad_(false).weight.requires_grad  --> false
function Module:requires_grad_(requires_grad)
  if requires_grad == nil then requires_grad = true end
  native.set_requires_grad(self, requires_grad)
  local freezing = package.loaded["torch.nn.freezing"]
  if freezing then freezing.pin(self, requires_grad) end
  return self
end

local parse_state = signature("Module.state_dict", "prefix='', keep_vars=false")

--- Parameters and buffers by name, in order, sharing memory with the module.
---@param prefix string begin of every name, ''
---@param keep_vars boolean the parameters themselves, with their gradients, and not detached tensors, false
---@return table<string, Tensor>
---@example nn.Linear(2, 1):state_dict().weight.shape  --> torch.Size([1, 2])
function Module:state_dict(...)
  local prefix, keep_vars = parse_state(...)
  local names, tensors = native.state(self)
  local uninitialized = package.loaded["torch.nn.uninitialized"]
  if keep_vars or uninitialized then
    for i, name in ipairs(names) do
      local path, last = name:match("^(.-)%.?([^.]+)$")
      local own = self:get_submodule(path)[last]
      if keep_vars or uninitialized.is_lazy(own) then tensors[i] = own end
    end
  end
  if prefix ~= "" then
    for i, name in ipairs(names) do names[i] = prefix .. name end
  end
  return ordered.new(names, tensors)
end

local incompatible = {
  __name = "IncompatibleKeys",
  __tostring = function(self)
    if #self.missing_keys == 0 and #self.unexpected_keys == 0 then return "<All keys matched successfully>" end
    return ("IncompatibleKeys(missing_keys=[%s], unexpected_keys=[%s])"):format(
      table.concat(self.missing_keys, ", "), table.concat(self.unexpected_keys, ", "))
  end,
}

local parse_load = signature("Module.load_state_dict", "strict=true")

--- Copies tensors by name into the module.
---@param state table<string, Tensor>
---@param strict boolean missing and unexpected names are an error, true
---@return {missing_keys: string[], unexpected_keys: string[]}
---@example local a, b = nn.Linear(2, 1), nn.Linear(2, 1)
--- b:load_state_dict(a:state_dict())
--- torch.equal(a.weight, b.weight)  --> true
function Module:load_state_dict(state, ...)
  local strict = parse_load(...)
  if type(state) ~= "table" then
    vm.raise("usage", "Module.load_state_dict: expected state_dict to be a table, got " .. vm.describe(state))
  end
  local uninitialized = package.loaded["torch.nn.uninitialized"]
  if uninitialized then uninitialized.take_shapes(self, state) end
  local names, tensors = ordered.keys(state), {}
  for i, name in ipairs(names) do tensors[i] = state[name] end
  local missing, unexpected = native.load_state(self, names, tensors, strict)
  return setmetatable({missing_keys = missing, unexpected_keys = unexpected}, incompatible)
end

return {Module = Module, class = class, is_module = native.is_module}
