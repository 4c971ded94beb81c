-- Loops over what is no iterator: tensors, loaders, lists, and iterators in pairs.
local values = require "host.check.values"

local LISTS <const> = {parameters = true, buffers = true, children = true, modules = true}
local ITERATORS <const> = {named_parameters = true, named_buffers = true, named_children = true, named_modules = true, iter = true,
  enumerate = true}

local function is_loader(node)
  node = values.origin(node)
  return node.type == "call" and values.path(node.callee) == "torch.utils.data.DataLoader"
end

-- "loader" of a name, "x" of anything else.
local function text_of(node, other)
  while node.type == "paren" do node = node.inner end
  return node.type == "name" and node.name or other
end

local function names_of(loop)
  local names = {}
  for i, token in ipairs(loop.names) do names[i] = token.value end
  return table.concat(names, ", ")
end

-- Random numbers are drawn by it: torch.randn, a layer with weights.
local function draws(call)
  local path = values.path(call.callee)
  if not path then return false end
  return path:find("^torch%.rand") ~= nil or path == "torch.normal" or path == "torch.bernoulli"
    or path:find("^torch%.nn%.%u") ~= nil and require("host.check.layers").has_weights(path)
end

-- A loop by pairs over names, whose order is another one in each run, that keeps what depends on the order.
local function check_order(found, loop, call, report)
  local list = call.arguments[1] and values.origin(call.arguments[1])
  local names = 0
  for _, item in ipairs(list and list.type == "table" and list.items or {}) do names = names + (item.key and 1 or 0) end
  if call.callee.name ~= "pairs" or names < 2 then return end
  for i = loop.first_call, loop.last_call do
    if found.calls[i].kept and draws(found.calls[i]) then
      return report(call, "pairs goes through names in another order in each run, and random numbers are drawn on the way",
        "a list of {name, value} with ipairs keeps its order", "warning")
    end
  end
end

-- pairs(x), ipairs(x)
local function check_walked(call, node, names, report)
  local word = call.callee.name
  if values.is_tensor(node) then
    local name = text_of(node, "x")
    report(call, ("%s does not go through a tensor"):format(word),
      ("for %s in %s:iter() do, or ipairs(%s:unbind())"):format(names, name, name))
  elseif is_loader(node) then
    local name = text_of(node, "loader")
    report(call, ("%s does not go through a loader"):format(word),
      ("for x, y in %s:iter() do; for i, batch in %s:enumerate() do counts from 0"):format(name, name))
  else
    node = values.origin(node)
    if node.type == "method" and ITERATORS[node.name] then
      report(call, (":%s() is an iterator already"):format(node.name), ("for %s in ...:%s() do"):format(names, node.name))
    end
  end
end

local function check_loop(found, loop, report)
  local first, names = loop.iterators[1], names_of(loop)
  local callee = first.type == "call" and first.callee
  if callee and callee.type == "name" and not callee.variable and (callee.name == "pairs" or callee.name == "ipairs") then
    if first.arguments[1] then check_walked(first, first.arguments[1], names, report) end
    return check_order(found, loop, first, report)
  end
  if #loop.iterators > 1 then return end
  local node, name = values.origin(first), text_of(first, "x")
  if is_loader(first) then
    report(first, "a loader is no iterator", ("for x, y in %s:iter() do"):format(text_of(first, "loader")))
  elseif values.is_tensor(first) then
    report(first, "a tensor is no iterator", ("for %s in %s:iter() do"):format(names, name))
  elseif node.type == "method" and LISTS[node.name] then
    report(first, (":%s() is a list, no iterator"):format(node.name), ("for _, %s in ipairs(...:%s()) do"):format(names, node.name))
  elseif node.type == "table" and first.type == "table" then
    report(first, "a table is no iterator", ("for i, %s in ipairs(list) do"):format(names))
  end
end

---@param found table of the parser
---@param report fun(at: table, message: string, hint: string?)
return function(found, report)
  for _, loop in ipairs(found.loops) do
    if not loop.protected then check_loop(found, loop, report) end
  end
end
