-- A namespace whose values are loaded when they are first used: from files, of operators, or other namespaces.
local keywords = require "host.keywords"
local vm = require "native.vm"

local FEW <const> = 20  -- names that an error lists

---@class Sources
---@field files? table<string, string> module -> the names that it returns in a table, separated by spaces
---@field modules? table<string, string> name -> the module that is its value
---@field hidden? table<string, boolean> names of `modules` that are not listed
---@field find? fun(name: string): any what no file has, such as an operator
---@field names? fun(): string[] what `find` finds
---@field hint? fun(name: string): string? said of a name that is not there; the nearest ones by default
---@field absent? table<string, string> why a name that PyTorch has is not there
---@field held? table what it has from the start

--- Makes a namespace. `pairs` loads and lists all of it but what `find` finds.
---@param name string "torch.nn.functional"
---@param sources Sources
---@return table namespace
return function(name, sources)
  local home, modules, hidden, find = {}, sources.modules or {}, sources.hidden or {}, sources.find
  for module, names in pairs(sources.files or {}) do
    for function_name in names:gmatch("%S+") do home[function_name] = module end
  end

  local function get(self, key)
    local value
    if home[key] then
      value = require(home[key])[key]
    elseif modules[key] then
      value = require(modules[key])
    elseif find and type(key) == "string" then
      value = find(key)
    end
    if value ~= nil and not hidden[key] then rawset(self, key, value) end
    return value
  end

  -- Of what is loaded when it is first used.
  local function names_of()
    local names = {}
    for key in pairs(home) do names[#names + 1] = key end
    for key in pairs(modules) do
      if not hidden[key] then names[#names + 1] = key end
    end
    table.sort(names)
    return names
  end

  local function hint(self, key)
    if sources.absent and sources.absent[key] then return sources.absent[key] end
    if sources.hint then return sources.hint(tostring(key)) end
    local names = names_of()
    for held_name in next, self do names[#names + 1] = tostring(held_name) end
    table.sort(names)
    return keywords.did_you_mean(key, names) or #names <= FEW and "it has " .. table.concat(names, ", ") or nil
  end

  return setmetatable(sources.held or {}, {
    __name = name,
    __index = function(self, key)
      local value = get(self, key)
      if value ~= nil then return value end
      vm.raise("usage", ("%s has no '%s'"):format(name, tostring(key)), hint(self, key))
    end,
    __names = function()
      local names = names_of()
      for _, found in ipairs(sources.names and sources.names() or {}) do names[#names + 1] = found end
      return names
    end,
    __pairs = function(self)
      for _, key in ipairs(names_of()) do
        if rawget(self, key) == nil then get(self, key) end
      end
      return next, self, nil
    end,
  })
end
