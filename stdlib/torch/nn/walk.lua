-- How modules list what they hold: lists and iterators, in PyTorch's order.
local native = require "native.model"
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
local parse_named = signature("Module.named_parameters", "prefix='', recurse=true")
local parse_prefix = signature("Module.named_modules", "prefix=''")

--- All parameters, tied ones once.
---@return Tensor[]
---@example #nn.Linear(2, 1):parameters()  --> 2
function methods:parameters(...)
  local _, tensors = native.parameters(self, (parse_recurse(...)))
  return tensors
end

--- `for name, parameter in model:named_parameters() do`
---@example local names = {}
--- for name in nn.Linear(2, 1):named_parameters() do names[#names + 1] = name end
--- names  --> {"weight", "bias"}
function methods:named_parameters(...)
  local prefix, recurse = parse_named(...)
  local names, tensors = native.parameters(self, recurse)
  return each(names, tensors, prefix)
end

--- All buffers.
---@return Tensor[]
---@example #nn.BatchNorm1d(2):buffers()  --> 3
function methods:buffers(...)
  local _, tensors = native.buffers(self, (parse_recurse(...)))
  return tensors
end

--- `for name, buffer in model:named_buffers() do`
---@example local names = {}
--- for name in nn.BatchNorm1d(2):named_buffers() do names[#names + 1] = name end
--- #names  --> 3
function methods:named_buffers(...)
  local prefix, recurse = parse_named(...)
  local names, tensors = native.buffers(self, recurse)
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
---@return Module[]
---@example #nn.Sequential(nn.ReLU(), nn.Tanh()):modules()  --> 3
function methods:modules()
  local _, modules = native.modules(self)
  return modules
end

--- `for name, module in model:named_modules() do`; the module itself is named "".
---@example for name, module in nn.Sequential(nn.ReLU()):named_modules() do assert(name == "" or name == "0") end
function methods:named_modules(...)
  local prefix = parse_prefix(...)
  local names, modules = native.modules(self)
  return each(names, modules, prefix)
end

--- Calls fn(module) on everything below and then on the module itself.
---@return Module self
---@example local net = nn.Sequential(nn.Linear(2, 1))
--- net:apply(function(m) if m.weight then nn.init.zeros_(m.weight) end end)
--- net[0].weight:sum():item()  --> 0.0
function methods:apply(fn)
  for _, child in ipairs(self:children()) do child:apply(fn) end
  fn(self)
  return self
end

--- The module at a dotted path: "layer1.0.conv"; "" is the module itself.
---@example nn.Sequential(nn.ReLU()):get_submodule("0")  --> ReLU()
function methods:get_submodule(target)
  local module = self
  for part in target:gmatch("[^.]+") do
    if native.slot(module, part) ~= "child" then
      vm.raise("usage", ("%s has no submodule '%s' (of '%s')"):format(native.class_of(module).__name, part, target))
    end
    module = module[part]
  end
  return module
end

local function get_tensor(self, target, slot)
  local path, name = target:match("^(.-)%.?([^.]+)$")
  local module = self:get_submodule(path or "")
  if not name or native.slot(module, name) ~= slot then
    vm.raise("usage", ("%s has no %s '%s'"):format(native.class_of(module).__name, slot, target))
  end
  return module[name]
end

--- The parameter at a dotted path.
---@example nn.Sequential(nn.Linear(2, 1)):get_parameter("0.bias").shape  --> torch.Size([1])
function methods:get_parameter(target) return get_tensor(self, target, "parameter") end
--- The buffer at a dotted path.
---@example nn.BatchNorm1d(2):get_buffer("running_var")  --> tensor([1., 1.])
function methods:get_buffer(target) return get_tensor(self, target, "buffer") end

return methods
