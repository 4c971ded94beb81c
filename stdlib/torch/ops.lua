-- torch.ops: every operator of the dispatcher, public or not, by namespace and overload, and libraries that bring more.
local library = require "native.library"
local native = require "native.ops"
local vm = require "native.vm"

-- torch.ops.aten.add.Tensor: one overload. Python's OpOverload.
local function new_overload(packet_name, qualified_name, overload_name)
  local call = library.overload(qualified_name, overload_name)
  if not call then return nil end
  local namespace, name = qualified_name:match("^(.-)::(.*)$")
  return setmetatable({
    namespace = namespace,
    _opname = name,
    _overloadname = overload_name,
    _schema = library.schema(qualified_name, overload_name),
    --- The operator's name in the dispatcher: "aten::add.Tensor".
    name = function() return overload_name == "default" and qualified_name or qualified_name .. "." .. overload_name end,
  }, {
    __name = "OpOverload",
    __call = function(_, ...) return call(...) end,
    __tostring = function() return packet_name .. "." .. overload_name end,
  })
end

-- torch.ops.aten.add: all overloads, chosen by the arguments. Python's OpOverloadPacket.
local function new_packet(qualified_name)
  local call = native.find_any(qualified_name)
  if not call then return nil end
  local packet_name = qualified_name:gsub("::", ".")
  return setmetatable({
    --- The names of the overloads; "default" is the one without a name.
    ---@return string[]
    overloads = function() return library.overloads(qualified_name) end,
  }, {
    __name = "OpOverloadPacket",
    __call = function(_, ...) return call(...) end,
    __tostring = function() return packet_name end,
    __index = function(packet, name)
      local overload = type(name) == "string" and new_overload(packet_name, qualified_name, name)
      if not overload then
        vm.raise("usage", ("The underlying op of '%s' has no overload name '%s'"):format(packet_name, tostring(name)),
          "it has " .. table.concat(library.overloads(qualified_name), ", "))
      end
      rawset(packet, name, overload)
      return overload
    end,
  })
end

local function new_namespace(space)
  return setmetatable({}, {
    __name = "torch.ops." .. space,
    __index = function(namespace, name)
      local packet = type(name) == "string" and new_packet(space .. "::" .. name)
      if not packet then
        vm.raise("usage", ("torch.ops.%s has no operator '%s'"):format(space, tostring(name)),
          "a library of custom operators is opened by torch.ops.load_library(path)")
      end
      rawset(namespace, name, packet)
      return packet
    end,
  })
end

local ops = { loaded_libraries = {} }

--- Opens a shared library, whose TORCH_LIBRARY blocks register operators: torch.ops.NAMESPACE.NAME calls them.
--- A name may have been asked for before, in vain or not: new operators and new overloads are there at once.
---@param path string
---@return nil
---@raise io: no such file, no library of LibTorch operators, one built against another LibTorch
---@example local found, err = pcall(torch.ops.load_library, "/none/at/all.so")
--- err.kind  --> io
function ops.load_library(path)
  ops.loaded_libraries[library.load(path)] = true
  for name, namespace in pairs(ops) do -- an operator may have more overloads than before
    local mt = getmetatable(namespace)
    if mt and mt.__name == "torch.ops." .. name then
      for packet in pairs(namespace) do namespace[packet] = nil end
    end
  end
end

return setmetatable(ops, {
  __name = "torch.ops",
  __index = function(self, name)
    if type(name) ~= "string" then return nil end
    local namespace = new_namespace(name)
    rawset(self, name, namespace)
    return namespace
  end,
})
