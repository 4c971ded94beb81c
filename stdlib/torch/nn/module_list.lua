-- nn.ModuleList: a list of modules that its owner calls as it likes.
local check_list = require "torch.nn.list_of_modules"
local containers = require "torch.nn.containers"
local module = require "torch.nn.module"
local native = require "native.model"

---@class ModuleList : Module
local ModuleList = module.class("ModuleList")
for name, method in pairs(containers) do ModuleList[name] = method end

---@param modules Module[]? in order, nil
---@example #nn.ModuleList{nn.ReLU(), nn.Tanh()}  --> 2
---@source torch.nn.ModuleList
function ModuleList:__init(modules)
  if modules == nil then return end
  check_list(modules, "nn.ModuleList")
  self:extend(modules)
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
