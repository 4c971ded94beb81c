-- A namespace of functions in several files, each loaded when one of its functions is first used.
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local vm = require "native.vm"

--- Makes a namespace. `pairs` loads and lists all of it.
---@param name string "torch.nn.functional"
---@param files table<string, string> module -> the names that it returns in a table, separated by spaces
---@param find? fun(name: string): any what no file has, such as an operator
---@param held? table what it has from the start
---@return table namespace
return function(name, files, find, held)
  local namespace, home = held or {}, {}
  for module, names in pairs(files) do
    for function_name in names:gmatch("%S+") do home[function_name] = module end
  end

  local function get(self, key)
    local value
    if home[key] then
      value = require(home[key])[key]
    elseif find and type(key) == "string" then
      value = find(key)
    end
    if value ~= nil then rawset(self, key, value) end
    return value
  end

  return setmetatable(namespace, {
    __name = name,
    __index = function(self, key)
      local value = get(self, key)
      if value ~= nil then return value end
      local names = ordered.keys(home)
      for held_name in next, self do names[#names + 1] = held_name end
      vm.raise("usage", ("%s has no '%s'"):format(name, tostring(key)), keywords.did_you_mean(key, names))
    end,
    __names = function() return ordered.keys(home) end,
    __pairs = function(self)
      for _, key in ipairs(ordered.keys(home)) do
        if rawget(self, key) == nil then get(self, key) end
      end
      return next, self, nil
    end,
  })
end
