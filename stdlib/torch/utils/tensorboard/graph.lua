-- A model as a GraphDef: a scope for each module, in it its parameters and a node for each call.
local graphs = require "torch.nn.plot.graph"
local messages = require "torch.utils.tensorboard.messages"
local native = require "native.model"
local observed = require "torch.nn.observed"

local message <const>, repeated <const> = messages.encode, messages.repeated

local graph = {}

local PRODUCER <const> = 22  -- the version of GraphDef that PyTorch writes

-- "net.0.fc" -> "Net/Sequential[net]/Block[0]/Linear[fc]"
local function scopes_of(model)
  local names, modules = native.modules(model)
  local scopes, by_path = {}, {}
  for i, module in ipairs(modules) do by_path[names[i]] = module end
  local root = native.class_of(model).__name
  local function class(module) return native.is_foreign(module) and "Foreign" or native.class_of(module).__name end
  for _, path in ipairs(names) do
    local scope, prefix = root, ""
    for part in path:gmatch("[^.]+") do
      prefix = prefix == "" and part or prefix .. "." .. part
      scope = ("%s/%s[%s]"):format(scope, by_path[prefix] and class(by_path[prefix]) or "Module", part)
    end
    scopes[path] = scope
  end
  return scopes, by_path, root
end

-- The sizes in "[8, 3], [2]".
local function shapes_in(text)
  local shapes = {}
  for sizes in (text or ""):gmatch("%[[%d, ]*%]") do
    local shape = {}
    for size in sizes:gmatch("%d+") do shape[#shape + 1] = tonumber(size) end
    shapes[#shapes + 1] = messages.shape(shape)
  end
  return shapes
end

local function attribute(name, value) return {5, "bytes", message {{1, "text", name}, {2, "bytes", value}}} end

-- NodeDef.
local function node(name, op, inputs, shapes, attributes)
  local fields = repeated(3, "text", inputs, {{1, "text", name}, {2, "text", op}})
  if #shapes > 0 then
    fields[#fields + 1] = attribute("_output_shapes", message {{1, "bytes", message(repeated(7, "bytes", shapes))}})
  end
  if attributes and attributes ~= "" then
    fields[#fields + 1] = attribute("attr", message {{2, "text", attributes}})
  end
  return message(fields)
end

-- How a module prints its arguments: "in_features=3, out_features=4, bias=True".
local function arguments_of(module)
  local text = tostring(module)
  return not text:find("\n", 1, true) and text:match("^[%w_]+%((.*)%)$") or nil
end

-- Nodes of the parameters and buffers of a module itself, under its scope.
local function tensors_of(module, scope)
  local nodes, names = {}, {}
  for _, list in ipairs {native.parameters, native.buffers} do
    local found, tensors = list(module, false)
    for i, name in ipairs(found) do
      names[#names + 1] = scope .. "/" .. name
      local shape = {}
      local ok, sizes = pcall(function() return tensors[i].shape end)  -- a lazy module has none yet
      if ok then shape[1] = messages.shape(sizes) end
      nodes[#nodes + 1] = node(names[#names], list == native.parameters and "Parameter" or "Buffer", {}, shape)
    end
  end
  return nodes, names
end

--- The nodes of a model.
---@param where string
---@param model Module
---@param input any what forward is given, or nil: then the model is not called
---@return string graph an encoded GraphDef
---@return string text the nodes for people
function graph.of(where, model, input)
  local scopes, modules, root = scopes_of(model)
  local drawn
  if input == nil then
    drawn = graphs.of_modules(model, math.huge)
  else
    drawn = graphs.of_forward(model, function() return observed.arguments(where, model, input) end, "eval", math.huge)
  end
  local names, used, inputs = {}, {}, {}
  for i, each in ipairs(drawn.nodes) do
    local scope = scopes[each.name] or root
    if each.kind == "module" then names[i] = scope .. "/" .. each.class
    else names[i] = each.kind .. "/" .. each.name end
    used[names[i]] = (used[names[i]] or 0) + 1
    if used[names[i]] > 1 then names[i] = ("%s_%d"):format(names[i], used[names[i]] - 1) end
    inputs[i] = {}
  end
  for _, edge in ipairs(drawn.edges) do
    if edge.kind ~= "holds" then inputs[edge.to][#inputs[edge.to] + 1] = names[edge.from] end
  end
  local nodes, lines, held = {}, {}, {}
  for i, each in ipairs(drawn.nodes) do
    local module = each.kind == "module" and (modules[each.name] or (each.name == root and model))
    if module and not held[module] then
      local more
      more, held[module] = tensors_of(module, scopes[each.name] or root)
      table.move(more, 1, #more, #nodes + 1, nodes)
    end
    table.move(module and held[module] or {}, 1, module and #held[module] or 0, #inputs[i] + 1, inputs[i])
    local op = each.kind == "module" and each.class or "IO Node"
    nodes[#nodes + 1] = node(names[i], op, inputs[i], shapes_in(each.output or each.kind == "output" and each.input),
      module and arguments_of(module))
    lines[#lines + 1] = ("%s = %s(%s)"):format(names[i], op, table.concat(inputs[i], ", "))
  end
  local fields = repeated(1, "bytes", nodes)
  fields[#fields + 1] = {4, "bytes", message {{1, "integer", PRODUCER}}}
  return message(fields), table.concat(lines, "\n")
end

--- What stands beside a graph: a step that ran on one device.
---@return string TaggedRunMetadata
function graph.run_metadata()
  local device = message {{1, "text", "/device:CPU:0"}}
  return message {{1, "text", "step1"}, {2, "bytes", message {{1, "bytes", message {{1, "bytes", device}}}}}}
end

return graph
