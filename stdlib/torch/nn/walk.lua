-- How modules list what they hold: lists and iterators, in PyTorch's order.
local callable = require "host.callable"
local native = require "native.model"
local python_type = require "torch.nn.python_type"
local signature = require "torch.signature"
local vm = require "native.vm"

local methods = {}

-- An iterator over two lists.
local function each(names, values, prefix)
  local i = 0
  return function()
    i = i + 1
    local name = names[i]
    if name == nil then return nil end
    if prefix and prefix ~= "" then name = name == "" and prefix or prefix .. "." .. name end
    return name, values[i]
  end
end

local parse_recurse = signature("Module.parameters", "recurse=true")
local parse_named = signature("Module.named_parameters", "prefix='', recurse=true, remove_duplicate=true")
local parse_buffers = signature("Module.named_buffers", "prefix='', recurse=true, remove_duplicate=true")
local parse_modules = signature("Module.modules", "remove_duplicate=true")
local parse_named_modules = signature("Module.named_modules", "memo=nil, prefix='', remove_duplicate=true")

--- All parameters, tied ones once.
---@param recurse boolean of all modules below too, true
---@return Tensor[]
---@example #nn.Linear(2, 1):parameters()  --> 2
function methods:parameters(...)
  local _, tensors = native.parameters(self, (parse_recurse(...)))
  return tensors
end

--- `for name, parameter in model:named_parameters() do`
---@param prefix string begin of every name, ''
---@param recurse boolean of all modules below too, true
---@param remove_duplicate boolean tied ones once, true
---@example local names = {}
--- for name in nn.Linear(2, 1):named_parameters() do names[#names + 1] = name end
--- names  --> {"weight", "bias"}
function methods:named_parameters(...)
  local prefix, recurse, unique = parse_named(...)
  local names, tensors = native.parameters(self, recurse, unique)
  return each(names, tensors, prefix)
end

--- All buffers, tied ones once.
---@param recurse boolean of all modules below too, true
---@return Tensor[]
---@example #nn.BatchNorm1d(2):buffers()  --> 3
function methods:buffers(...)
  local _, tensors = native.buffers(self, (parse_recurse(...)))
  return tensors
end

--- `for name, buffer in model:named_buffers() do`
---@param prefix string begin of every name, ''
---@param recurse boolean of all modules below too, true
---@param remove_duplicate boolean tied ones once, true
---@example local names = {}
--- for name in nn.BatchNorm1d(2):named_buffers() do names[#names + 1] = name end
--- #names  --> 3
function methods:named_buffers(...)
  local prefix, recurse, unique = parse_buffers(...)
  local names, tensors = native.buffers(self, recurse, unique)
  return each(names, tensors, prefix)
end

--- The children, each once.
---@return Module[]
---@example #nn.Sequential(nn.ReLU(), nn.Tanh()):children()  --> 2
function methods:children()
  local _, children = native.children(self)
  return children
end

--- `for name, child in model:named_children() do`
---@example local names = {}
--- for name in nn.Sequential(nn.ReLU()):named_children() do names[#names + 1] = name end
--- names  --> {"0"}
function methods:named_children()
  return each(native.children(self))
end

--- The module and all below it, each once.
---@param remove_duplicate boolean shared ones once, true
---@return Module[]
---@example #nn.Sequential(nn.ReLU(), nn.Tanh()):modules()  --> 3
function methods:modules(...)
  local _, modules = native.modules(self, (parse_modules(...)))
  return modules
end

--- `for name, module in model:named_modules() do`; the module itself is named "".
---@param memo table<Module, boolean>? modules that are left out, with all below them; it gets those that are listed, nil
---@param prefix string begin of every name, ''
---@param remove_duplicate boolean shared ones once, true
---@example for name, module in nn.Sequential(nn.ReLU()):named_modules() do assert(name == "" or name == "0") end
function methods:named_modules(...)
  local memo, prefix, unique = parse_named_modules(...)
  if memo == nil then
    local names, modules = native.modules(self, unique)
    return each(names, modules, prefix)
  end
  local names, modules = {}, {}
  local function visit(module, name)
    if memo[module] then return end
    if unique then memo[module] = true end
    names[#names + 1], modules[#modules + 1] = name, module
    local child_names, children = native.child_list(module)
    for i, child in ipairs(children) do visit(child, (name == "" and "" or name .. ".") .. child_names[i]) end
  end
  visit(self, prefix)
  return each(names, modules)
end

--- Calls fn(module) on everything below and then on the module itself.
---@return Module self
---@example local net = nn.Sequential(nn.Linear(2, 1))
--- net:apply(function(m) if m.weight then nn.init.zeros_(m.weight) end end)
--- net[0].weight:sum():item()  --> 0.0
function methods:apply(fn)
  if not callable(fn) then
    vm.raise("usage", "Module.apply: argument 'fn' must be a function, got " .. vm.describe(fn))
  end
  for _, child in ipairs(self:children()) do child:apply(fn) end
  fn(self)
  return self
end

local function name_of(module) return module:_get_name() end

--- The module at a dotted path: "layer1.0.conv"; "" is the module itself.
---@param target string
---@return Module
---@example nn.Sequential(nn.ReLU()):get_submodule("0")  --> ReLU()
function methods:get_submodule(target)
  if type(target) ~= "string" then
    vm.raise("usage", "Module.get_submodule: argument 'target' must be a string, got " .. vm.describe(target))
  end
  if target == "" then return self end
  local module = self
  for part in (target .. "."):gmatch("([^.]*)%.") do
    local found = module[part]
    if found == nil then vm.raise("usage", ("%s has no attribute `%s`"):format(name_of(module), part)) end
    if not native.is_module(found) then vm.raise("usage", ("`%s` is not an nn.Module"):format(part)) end
    module = found
  end
  return module
end

-- The module that has what is at a dotted path, and the name of that in it.
local function owner(self, target, what)
  if type(target) ~= "string" then
    vm.raise("usage", ("Module.%s: argument 'target' must be a string, got %s"):format(what, vm.describe(target)))
  end
  local path, name = target:match("^(.*)%.([^.]*)$")
  return self:get_submodule(path or ""), name or target
end

local parse_set = signature("Module.set_submodule", "target, module, strict=false")

--- Puts a module at a dotted path, in the place of the one that is there.
---@param target string
---@param module Module
---@param strict boolean there must be one, false
---@example local net = nn.Sequential(nn.Sequential(nn.ReLU()))
--- net:set_submodule("0.0", nn.Tanh())
--- net:get_submodule("0.0")  --> Tanh()
function methods:set_submodule(...)
  local target, module, strict = parse_set(...)
  if target == "" then vm.raise("usage", "Cannot set the submodule without a target name!") end
  if not native.is_module(module) then
    vm.raise("usage", "`module` is not an nn.Module, found " .. python_type.class(module))
  end
  local parent, name = owner(self, target, "set_submodule")
  local old = parent[name]
  if old == nil then
    if strict then vm.raise("usage", ("%s has no attribute `%s`"):format(name_of(parent), name)) end
  elseif not native.is_module(old) then vm.raise("usage", ("`%s` is not an nn.Module"):format(name)) end
  parent[name] = module
end

local function get_tensor(self, target, what)
  local module, name = owner(self, target, what)
  local found = module[name]
  if found == nil then vm.raise("usage", ("%s has no attribute `%s`"):format(name_of(module), name)) end
  return found, module, name
end

--- The parameter at a dotted path.
---@param target string
---@return Tensor
---@example nn.Sequential(nn.Linear(2, 1)):get_parameter("0.bias").shape  --> torch.Size([1])
function methods:get_parameter(target)
  local found, _, name = get_tensor(self, target, "get_parameter")
  if not native.is_parameter(found) then vm.raise("usage", ("`%s` is not an nn.Parameter"):format(name)) end
  return found
end

--- The buffer at a dotted path.
---@param target string
---@return Tensor
---@example nn.BatchNorm1d(2):get_buffer("running_var")  --> tensor([1., 1.])
function methods:get_buffer(target)
  local found, module, name = get_tensor(self, target, "get_buffer")
  if native.slot(module, name) ~= "buffer" then vm.raise("usage", ("`%s` is not a buffer"):format(name)) end
  return found
end

return methods
