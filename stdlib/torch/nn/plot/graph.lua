-- The graph that nn.plot draws: calls of modules, and which tensors flow from one to the other.
local native = require "native.model"
local observed = require "torch.nn.observed"
local shape_text = require("torch.nn.summary_text").shape
local torch = require "torch"
local trace = require "native.trace"

local graph = {}

local is_tensor <const> = require("native.tensor").is_tensor

local function new_graph(model)
  local self = {nodes = {}, edges = {}, name = native.class_of(model).__name}
  local known = {}

  --- Adds a node; returns its number.
  function self.add(node)
    self.nodes[#self.nodes + 1] = node
    return #self.nodes
  end

  --- Adds an edge, each once.
  function self.connect(from, to, kind)
    local key = from .. ">" .. to
    if known[key] or from == to then return end
    known[key] = true
    self.edges[#self.edges + 1] = {from = from, to = to, kind = kind}
  end

  return self
end

local function class_of(module)
  if native.is_foreign(module) then return native.describe_foreign(module):match("^[%w_:]+") or "Foreign" end
  return native.class_of(module).__name
end

-- The paths of all modules, each under its first one, and how deep they lie.
local function places(model)
  local names, modules = native.modules(model)
  local paths, depths = {}, {}
  for i, module in ipairs(modules) do
    paths[module] = names[i]
    depths[module] = names[i] == "" and 0 or select(2, names[i]:gsub("%.", "")) + 1
  end
  return paths, depths
end

local function shapes_of(tensors)
  local texts = {}
  for i, tensor in ipairs(tensors) do texts[i] = shape_text(table.move(tensor.shape, 1, #tensor.shape, 1, {})) end
  return #texts > 0 and table.concat(texts, ", ") or nil
end

local function tensors_of(value)
  local list = {}
  observed.each_tensor(value, function(tensor) list[#list + 1] = tensor end)
  return list
end

-- Sources and shapes as they are before the module changes anything in place.
local function frame_of(module, inputs, collapsed)
  local frame = {module = module, leaf = true, collapsed = collapsed, sources = {}, versions = {}}
  frame.tensors = tensors_of(inputs)
  frame.shapes = shapes_of(frame.tensors)
  for i, tensor in ipairs(frame.tensors) do
    for _, source in ipairs(trace.sources_of(tensor)) do frame.sources[#frame.sources + 1] = source end
    frame.versions[i] = not tensor:is_inference() and tensor._version or 0
  end
  return frame
end

-- Is it one of the tensors that the module was given, unchanged?
local function is_untouched(frame, output)
  for i, tensor in ipairs(frame.tensors) do
    if tensor == output then return tensor:is_inference() or tensor._version == frame.versions[i] end
  end
  return false
end

--- The graph of one forward. What lies deeper than `depth` is drawn as the module that it is in.
---@param model Module
---@param make fun(): table the arguments of forward
---@param mode string
---@param depth number
---@return table nodes = {name, class, input, output}, edges = {from, to}, name
function graph.of_forward(model, make, mode, depth)
  local self, stack = new_graph(model), {}
  local paths, depths = places(model)
  local observer = {}

  function observer.begin(arguments)
    local inputs = tensors_of(arguments)
    for i, tensor in ipairs(inputs) do
      if #trace.sources_of(tensor) == 0 then
        trace.mark(tensor, self.add {name = #inputs == 1 and "input" or "input_" .. i, kind = "input",
          output = shapes_of {tensor}})
      end
    end
  end

  function observer.enter(module, inputs)
    local outer = stack[#stack]
    if outer then outer.leaf = false end
    if outer and outer.collapsed then
      stack[#stack + 1] = {module = module, collapsed = true, hidden = true}
    else
      stack[#stack + 1] = frame_of(module, inputs, (depths[module] or 0) >= depth)
    end
  end

  local function draw(frame, module, output)
    local tensors = tensors_of(output)
    local path = paths[module]
    local node = self.add {name = path ~= "" and path or class_of(module), class = class_of(module), input = frame.shapes,
      output = shapes_of(tensors), kind = "module"}
    for _, source in ipairs(frame.sources) do self.connect(source, node) end
    frame.last = node
    local replaced
    if is_tensor(output) and is_untouched(frame, output) then  -- as Identity returns it: who uses it from here uses the node's
      replaced = output:detach()
      tensors = {replaced}
    end
    for _, tensor in ipairs(tensors) do trace.mark(tensor, node) end
    return replaced
  end

  function observer.leave(module, _, output)
    local frame
    repeat
      frame = stack[#stack]
      stack[#stack] = nil
    until frame == nil or frame.module == module
    if frame == nil or frame.hidden then return nil end
    local outer, replaced = stack[#stack], nil
    if frame.leaf or frame.collapsed then
      replaced = draw(frame, module, output)
    elseif frame.last then
      for _, tensor in ipairs(tensors_of(output)) do  -- where the way through it is not seen
        if #trace.sources_of(tensor) == 0 then trace.mark(tensor, frame.last) end
      end
    end
    if outer then outer.last = frame.last or outer.last end
    if not outer then self.finish(replaced or output) end
    return replaced
  end

  function self.finish(output)
    local tensors, sources = tensors_of(output), {}
    for _, tensor in ipairs(tensors) do
      for _, source in ipairs(trace.sources_of(tensor)) do sources[#sources + 1] = source end
    end
    local node = self.add {name = "output", kind = "output", input = shapes_of(tensors)}
    for _, source in ipairs(sources) do self.connect(source, node) end
  end

  observed.run(model, make, mode, observer)
  return self
end

--- The graph of a model that is not called: Sequentials as chains, other modules with their children below them.
---@param model Module
---@param depth number
---@return table
function graph.of_modules(model, depth)
  local self = new_graph(model)
  local Sequential = torch.nn.Sequential

  -- Returns the first and the last node of what is drawn for the module.
  local function add(module, path, level)
    local names, children = native.child_list(module)
    local function child_path(i) return path == "" and names[i] or path .. "." .. names[i] end
    if #children > 0 and level < depth and module:is_instance(Sequential) then
      local first, last
      for i, child in ipairs(children) do
        local entry, exit = add(child, child_path(i), level + 1)
        if last then self.connect(last, entry) end
        first, last = first or entry, exit
      end
      return first, last
    end
    local node = self.add {name = path ~= "" and path or class_of(module), class = class_of(module), kind = "module"}
    for i, child in ipairs(level < depth and children or {}) do
      self.connect(node, (add(child, child_path(i), level + 1)), "holds")
    end
    return node, node
  end

  add(model, "", 0)
  return self
end

return graph
