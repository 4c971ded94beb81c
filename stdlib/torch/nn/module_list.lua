-- nn.ModuleList: a list of modules that its owner calls as it likes.
local check_list = require "torch.nn.list_of_modules"
local containers = require "torch.nn.containers"
local module = require "torch.nn.module"
local native = require "native.model"
local python_type = require "torch.nn.python_type"
local vm = require "native.vm"

---@class ModuleList : Module
local ModuleList = module.class("ModuleList")
for name, method in pairs(containers) do ModuleList[name] = method end
ModuleList.__no_list = "ModuleList.extend should be called with an iterable, but got %s"

---@param modules Module[]? in order, nil
---@example #nn.ModuleList{nn.ReLU(), nn.Tanh()}  --> 2
---@source torch.nn.ModuleList
function ModuleList:__init(modules)
  if modules == nil then return end
  check_list(modules, "nn.ModuleList")
  self:extend(modules)
end

-- What a slice gives.
function ModuleList:__of(_, children) return self(children) end

--- list + other: a new ModuleList of the modules of both; `other` is a list of modules or a container.
function ModuleList.__add(a, b)
  if not native.is_module(a) then
    vm.raise("usage", type(a) == "table" and 'can only concatenate list (not "ModuleList") to list'
      or ("unsupported operand type(s) for +: '%s' and 'ModuleList'"):format(python_type.name(a)))
  end
  local both = ModuleList():extend(a)
  if type(b) ~= "table" and not (native.is_module(b) and native.class_of(b).__pairs) then
    vm.raise("usage", ("'%s' object is not iterable"):format(python_type.name(b)))
  end
  return both:extend(b)
end

-- Equal neighbours are printed once, as "(0-2): 3 x Linear(...)".
function ModuleList:__repr()
  local head = native.class_of(self).__name
  local lines, texts = {}, {}
  for i, child in ipairs(native.children_of(self)) do texts[i] = tostring(child) end
  if #texts == 0 then return head .. "()" end
  local first = 1
  for i = 1, #texts do
    if texts[i + 1] ~= texts[first] then
      local text = texts[first]:gsub("\n", "\n  ")
      if i > first then lines[#lines + 1] = ("(%d-%d): %d x %s"):format(first - 1, i - 1, i - first + 1, text)
      else lines[#lines + 1] = ("(%d): %s"):format(i - 1, text) end
      first = i + 1
    end
  end
  return ("%s(\n  %s\n)"):format(head, table.concat(lines, "\n  "))
end

return ModuleList
