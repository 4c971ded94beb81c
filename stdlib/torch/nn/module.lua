-- nn.Module and nn.class: what every layer and model inherits.
local native = require "native.model"
local python_type = require "torch.nn.python_type"
local signature = require "torch.signature"
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
---@param ... table classes whose methods it gets besides those of its base
---@return table class
---@example local Double = nn.class("Double")
--- function Double:forward(x) return 2 * x end
--- Double()(torch.ones(2))  --> tensor([2., 2.])
local function class(name, base, ...)
  if type(name) ~= "string" then
    vm.raise("usage", "nn.class: argument 'name' must be a string, got " .. vm.describe(name))
  end
  if base ~= nil and not is_class(base) then
    vm.raise("usage", "nn.class: argument 'base' must be a class, got " .. vm.describe(base))
  end
  local made = {}
  for i = select("#", ...), 1, -1 do
    local mixin = select(i, ...)
    if not is_class(mixin) then
      vm.raise("usage", "nn.class: what methods come from must be a class, got " .. vm.describe(mixin))
    end
    for key, value in next, mixin do made[key] = value end
  end
  made.__name, made.__base = name, base or Module
  return make_class(made, base or Module)
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

for _, part in ipairs {"walk", "conversion", "state_dict", "load_state_dict", "repr", "copy"} do
  for name, method in pairs(require("torch.nn." .. part)) do Module[name] = method end
end
for name, method in pairs(require("torch.nn.hooks").methods) do Module[name] = method end

local parse_parameter = signature("Module.register_parameter", "name, param=nil")
local parse_buffer = signature("Module.register_buffer", "name, tensor=nil, persistent=true")
local parse_module = signature("Module.add_module", "name, module=nil")

-- Is the name one that a slot of this kind can have?
local function check_string(name, kind)
  if type(name) ~= "string" then
    vm.raise("usage", ("%s name should be a string. Got %s"):format(kind, python_type.name(name)))
  end
end
local function check_free(self, name, slot)
  if self[name] ~= nil and native.slot(self, name) ~= slot then
    vm.raise("usage", ("attribute '%s' already exists"):format(name))
  end
end
local function check_dots(name, kind)
  if name:find(".", 1, true) then
    vm.raise("usage", kind .. ' name can\'t contain "."' .. (kind == "module" and ", got: " .. name or ""))
  end
  if name == "" then vm.raise("usage", kind .. ' name can\'t be empty string ""') end
end

--- Adds a parameter; nil reserves the name. A usage error if the name is taken.
---@param name string
---@param param Tensor? a Parameter, nil
---@example local net = nn.Identity()
--- net:register_parameter("scale", nn.Parameter(torch.ones(1)))
--- #net:parameters()  --> 1
function Module:register_parameter(...)
  local name, parameter = parse_parameter(...)
  check_string(name, "parameter")
  check_dots(name, "parameter")
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
  check_string(name, "buffer")
  check_dots(name, "buffer")
  check_free(self, name, "buffer")
  native.register_buffer(self, name, tensor, persistent)
end

--- Adds a child; nil reserves the name. A usage error if the name is taken.
---@param name string
---@param module Module? nil
---@example local net = nn.Sequential()
--- net:add_module("head", nn.Linear(2, 1))
--- net.head  --> Linear(in_features=2, out_features=1, bias=True)
function Module:add_module(...)
  local name, child = parse_module(...)
  if child ~= nil and not native.is_module(child) then
    vm.raise("usage", python_type.name(child) .. " is not a Module subclass")
  end
  check_string(name, "module")
  check_free(self, name, "child")
  check_dots(name, "module")
  if child == nil then native.reserve_child(self, name)
  else self[name] = child end
end
--- The same as add_module.
---@param name string
---@param module Module?
---@example local net = nn.Sequential()
--- net:register_module("head", nn.ReLU())
--- net.head  --> ReLU()
function Module:register_module(...) self:add_module(...) end

local parse_train = signature("Module.train", "mode=true")

--- Training mode of this module and all below: Dropout and BatchNorm read it.
---@param mode boolean false is evaluation mode, true
---@return Module self
---@example nn.Dropout():eval():train().training  --> true
function Module:train(...)
  local mode = parse_train(...)
  if type(mode) ~= "boolean" then vm.raise("usage", "training mode is expected to be boolean") end
  native.set_training(self, mode)
  local _, children = native.children(self)
  for _, child in ipairs(children) do child:train(mode) end
  return self
end

--- Evaluation mode: train(false).
---@return Module self
---@example nn.Dropout():eval().training  --> false
function Module:eval() return self:train(false) end

return {Module = Module, class = class, is_module = native.is_module}
