-- Hooks of callbacks that no training calls: misspelt ones in tables, in methods and in train.on.
local hooks = require "train.hooks"
local keywords = require "host.keywords"
local written = require "train.check.written"

local SHORTEST <const> = 8  -- letters of a name that is taken for a misspelt hook by itself

-- A name that begins like a hook's, and is near one, or in a table that has hooks.
local function check_names(names, report)
  local is_callback = false
  for _, each in ipairs(names) do is_callback = is_callback or hooks.of_name[each.name] ~= nil end
  for _, each in ipairs(names) do
    if not hooks.of_name[each.name] then
      local near = keywords.did_you_mean(each.name, hooks.names)
      if is_callback or near and #each.name >= SHORTEST then
        report(each.line, ("unknown hook '%s'; %s"):format(each.name, near or "valid: " .. table.concat(hooks.names, ", ")))
      end
    end
  end
end

local function is_hook(name) return type(name) == "string" and name:find("^on_%l") ~= nil end

---@param found table of the parser
---@param report fun(line: integer, text: string)
return function(found, report)
  for _, node in ipairs(found.tables) do
    local names = {}
    for _, item in ipairs(not node.protected and node.items or {}) do
      if is_hook(item.key) and (item.value.type == "function" or item.value.type == "name") then
        names[#names + 1] = {name = item.key, line = item.line}
      end
    end
    check_names(names, report)
  end
  local by_owner, owners = {}, {}
  for _, node in ipairs(found.methods) do
    if is_hook(node.key) and node.object.type == "name" then
      local owner = node.object.variable or node.object.name
      if not by_owner[owner] then
        by_owner[owner] = {}
        owners[#owners + 1] = owner
      end
      table.insert(by_owner[owner], {name = node.key, line = node.line})
    end
  end
  for _, owner in ipairs(owners) do check_names(by_owner[owner], report) end
  for _, call in ipairs(found.calls) do
    local name, home = written.called_name(call)
    local event = home == "train" and name == "on" and not call.protected and call.arguments[1]
    if event and event.type == "string" and not hooks.of_event[event.value] and not hooks.of_name[event.value] then
      local near = keywords.did_you_mean(event.value, hooks.events)
      report(event.line, ("train.on: unknown event '%s'; %s"):format(event.value,
        near or "valid: " .. table.concat(hooks.events, ", ")))
    end
  end
end
