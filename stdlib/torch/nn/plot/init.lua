-- nn.plot: a model as a picture of its modules and of the tensors that flow between them, without any other program.
local graphs = require "torch.nn.plot.graph"
local keywords = require "host.keywords"
local layout = require "torch.nn.plot.layout"
local native = require "native.model"
local observed = require "torch.nn.observed"
local vm = require "native.vm"

local STYLE <const> = {char_width = 6, line_height = 16, pad = 6, svg_char_width = 7.3}
local OPTIONS <const> = {model = keywords.none, file = keywords.none, input = keywords.none, show_shapes = false,
  depth = keywords.none, dtypes = keywords.none, device = keywords.none, mode = "eval"}

local function fail(message, ...) vm.raise("usage", "nn.plot: " .. message:format(...)) end

-- nn.plot(model, file, options), or all of it by name.
local function read(model, file, options)
  if keywords.is(model) then
    options = keywords.check("nn.plot", model, OPTIONS)
    model, file = options.model, options.file
  else
    options = keywords.check("nn.plot", options, OPTIONS)
  end
  if not native.is_module(model) then fail("argument 'model' must be a Module, got %s", vm.describe(model)) end
  if type(file) ~= "string" then fail("argument 'file' must be a string, got %s", vm.describe(file)) end
  local kind = (file:match("%.(%w+)$") or ""):lower()
  if kind == "gv" then kind = "dot" end
  if kind ~= "svg" and kind ~= "png" and kind ~= "dot" then
    fail("the name of the file must end in .svg, .png or .dot, got '%s'", file)
  end
  local depth = options.depth
  if depth ~= nil and (math.type(depth) ~= "integer" or depth < 0) then
    fail("argument 'depth' must be an integer that is not negative, got %s", vm.describe(depth))
  end
  if options.mode ~= "eval" and options.mode ~= "train" then
    fail("argument 'mode' must be one of eval, train, got %s", vm.describe(options.mode))
  end
  if type(options.show_shapes) ~= "boolean" then
    fail("argument 'show_shapes' must be a boolean, got %s", vm.describe(options.show_shapes))
  end
  if options.show_shapes and options.input == nil then
    fail("show_shapes needs an input: a Tensor, a shape such as {1, 3, 32, 32}, or a list of these")
  end
  return model, file, kind, options
end

local function text_of(graph, show_shapes)
  local lines, sizes = {}, {svg = {}, png = {}}
  for i, node in ipairs(graph.nodes) do
    local text = {node.class and node.class ~= node.name and node.name .. ": " .. node.class or node.name}
    if show_shapes and node.input then text[#text + 1] = (node.output and "input: " or "") .. node.input end
    if show_shapes and node.output then text[#text + 1] = (node.input and "output: " or "") .. node.output end
    lines[i] = text
    local longest = 0
    for _, each in ipairs(text) do longest = math.max(longest, utf8.len(each, 1, -1, true) or #each) end
    local height = #text * STYLE.line_height + 2 * STYLE.pad
    sizes.svg[i] = {width = math.ceil((longest + 2) * STYLE.svg_char_width), height = height}
    sizes.png[i] = {width = (longest + 2) * STYLE.char_width, height = height}
  end
  return lines, sizes
end

--- Draws a model into an SVG, PNG or DOT file, by the end of its name: a box for each call of a layer with its name and
--- class, and edges where tensors flow, through functions and operators too, so that branches and residual connections are
--- seen. Without an input nothing is called: Sequentials are drawn as chains, other modules with their children below them.
---
--- The model is as before afterwards, as with nn.summary. A layer that is called twice has two boxes. `nn.plot{model = m,
--- file = f}` takes everything by name.
---
--- Options, by name:
--- - input: a Tensor, a shape, a list of these (one for each argument of forward), or a table by name that forward takes.
--- - show_shapes = false: the shapes of inputs and outputs in each box.
--- - depth: how many levels of modules are opened; all of them.
--- - dtypes: a dtype or a list of them, for the shapes in `input`; the default dtype.
--- - device: of the tensors made for shapes; the parameters'.
--- - mode: "eval" or "train", in which the forward runs; "eval".
---@param model Module
---@param file string "net.svg"
---@param options? table
---@return string file
---@example local file = os.tmpname()
--- nn.plot(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), file .. ".dot", {input = {8, 3}, show_shapes = true})
--- io.open(file .. ".dot"):read(7), os.remove(file .. ".dot")  --> digraph	true
return function(model, file, options)
  local kind
  model, file, kind, options = read(model, file, options)
  local depth, graph = options.depth or math.huge
  if options.input == nil then
    graph = graphs.of_modules(model, depth)
  else
    local function make()
      return observed.arguments("nn.plot", model, options.input, options.dtypes, options.device)
    end
    graph = graphs.of_forward(model, make, options.mode, depth)
  end
  local lines, sizes = text_of(graph, options.show_shapes)
  local draw = require("torch.nn.plot." .. kind)
  local picture = draw(graph, lines, kind ~= "dot" and layout(graph, sizes[kind]) or nil, STYLE)
  require("host").file.write_atomic(file, picture)
  return file
end
