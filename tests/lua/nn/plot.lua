-- nn.plot: the graph that it draws, as DOT; pictures are read in tests/parity/test_plot.py.
local test = require "test"
local host = require "host"
local torch = require "torch"

local nn, F = torch.nn, torch.nn.functional

-- The labels' first lines and the edges between them: "stem > layer.0".
local function read(model, options)
  local file = test.tmpdir() .. "/net.dot"
  test.equal(nn.plot(model, file, options), file)
  local text, names, edges = host.file.read(file), {}, {}
  for node, label in text:gmatch('\n  (n%d+) %[label="(.-)"') do names[node] = label:match("^[^:\\]+") end
  for from, to in text:gmatch("\n  (n%d+) %-> (n%d+)") do edges[#edges + 1] = names[from] .. " > " .. names[to] end
  return edges, text
end

local function class(name, parts, forward)
  local made = nn.class(name)
  function made:__init()
    for _, part in ipairs(parts) do self[part[1]] = part[2] end
  end
  made.forward = forward
  return made()
end

local Block = nn.class("Block")
function Block:__init()
  self.conv1 = nn.Conv2d(4, 4, 3, {padding = 1})
  self.relu = nn.ReLU(true)
  self.conv2 = nn.Conv2d(4, 4, 3, {padding = 1})
end
function Block:forward(x)
  local out = self.conv2(self.relu(self.conv1(x)))
  out:add_(x)
  return F.relu(out)
end

test.case("follows residual connections through functions and operators in place", function()
  local model = nn.Sequential(nn.Conv2d(3, 4, 1), Block(), Block(), nn.Flatten(), nn.Linear(4 * 25, 2))
  test.equal((read(model, {input = {2, 3, 5, 5}})), {"input > 0", "0 > 1.conv1", "1.conv1 > 1.relu", "1.relu > 1.conv2",
    "0 > 2.conv1", "1.conv2 > 2.conv1", "2.conv1 > 2.relu", "2.relu > 2.conv2", "0 > 3", "1.conv2 > 3", "2.conv2 > 3",
    "3 > 4", "4 > output"})
  test.equal((read(model, {input = {2, 3, 5, 5}, depth = 1})), {"input > 0", "0 > 1", "1 > 2", "2 > 3", "3 > 4",
    "4 > output"})
end)

test.case("follows branches, several inputs and several outputs", function()
  local model = class("Net", {{"a", nn.Linear(2, 3)}, {"b", nn.Linear(4, 3)}, {"c", nn.Linear(6, 1)}}, function(self, x, y)
    local both = torch.cat({self.a(x), self.b(y)}, 1)
    return {score = self.c(both), features = both}
  end)
  test.equal((read(model, {input = {{5, 2}, {5, 4}}})), {"input_1 > a", "input_2 > b", "a > c", "b > c", "a > output",
    "b > output", "c > output"})
end)

test.case("tells what passes a layer that returns its input from what goes around it", function()
  local model = class("Net", {{"drop", nn.Dropout()}, {"id", nn.Identity()}, {"fc", nn.Linear(2, 2)}}, function(self, x)
    local y = self.drop(x)
    return self.fc(self.id(y) + x)
  end)
  test.equal((read(model, {input = {5, 2}})), {"input > drop", "drop > id", "input > fc", "id > fc", "fc > output"})
end)

test.case("follows tensors through indexing, views, writes to views, and without gradients", function()
  local model = class("Net", {{"embed", nn.Embedding(7, 4)}, {"a", nn.Linear(4, 4)}, {"b", nn.Linear(4, 2)}},
    function(self, ids)
      local x = self.embed(ids)
      local buffer = torch.zeros(x:size(0), 2, 4)
      buffer[{"0:", 0}] = x[{"0:", 0}]
      buffer:select(1, 1):copy_(self.a(x:select(1, 1)):detach())
      return self.b(buffer:flatten(0, 1)):argmax(-1)
    end)
  nn.freeze(model)
  test.equal((read(model, {input = {3, 2}, dtypes = torch.int64})), {"input > embed", "embed > a", "embed > b", "a > b",
    "b > output"})
end)

test.case("draws a layer at each of its calls, and one with layers that it does not call as one", function()
  local layer = nn.Linear(2, 2)
  test.equal((read(nn.Sequential(layer, nn.ReLU(), layer), {input = {1, 2}})), {"input > 0", "0 > 1", "1 > 0",
    "0 > output"})
  local attend = class("Net", {{"attend", nn.MultiheadAttention(4, 2)}}, function(self, x) return self.attend(x, x, x) end)
  test.equal((read(attend, {input = {3, 1, 4}})), {"input > attend", "attend > output"})
  test.equal((read(layer, {input = {1, 2}})), {"input > Linear", "Linear > output"})
end)

test.case("shows names, classes and shapes", function()
  local _, text = read(nn.Sequential(nn.LSTM(3, 4)), {input = torch.zeros(5, 1, 3), show_shapes = true})
  test.truthy(text:find([[n1 [label="input\n[5, 1, 3]", style=rounded];]], 1, true))
  test.truthy(text:find([[n2 [label="0: LSTM\ninput: [5, 1, 3]\noutput: [5, 1, 4], [1, 1, 4], [1, 1, 4]"];]], 1, true))
  local _, plain = read(nn.Sequential(nn.ReLU()), {input = {2}})
  test.truthy(plain:find('[label="0: ReLU"]', 1, true) and plain:find('digraph "Sequential" {', 1, true))
end)

test.case("without an input draws Sequentials as chains and other modules with their children", function()
  local model = nn.Sequential(nn.Conv2d(3, 4, 1), Block(), nn.Sequential(nn.ReLU(), nn.Flatten()))
  test.equal((read(model)), {"1 > 1.conv1", "1 > 1.relu", "1 > 1.conv2", "0 > 1", "2.0 > 2.1", "1 > 2.0"})
  test.equal((read(model, {depth = 1})), {"0 > 1", "1 > 2"})
end)

test.case("leaves the model as it was, also after an error", function()
  local model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
  torch.manual_seed(1)
  local random = torch.get_rng_state()
  read(model, {input = {4, 2}, mode = "train"})
  test.raises("", nn.plot, model, test.tmpdir() .. "/x.svg", {input = {4, 3}, mode = "train"})
  test.truthy(torch.equal(random, torch.get_rng_state()))
  test.equal({model.training, model[0].running_mean, model[0].num_batches_tracked:item()}, {true, torch.zeros(2), 0})
end)

test.case("takes everything by name", function()
  local file = test.tmpdir() .. "/net.svg"
  test.equal(nn.plot {model = nn.Sequential(nn.ReLU()), file = file, input = {2}, show_shapes = true}, file)
  test.truthy(host.file.read(file):find("output: [2]", 1, true))
end)

test.case("its errors name the argument", function()
  local model = nn.ReLU()
  test.raises("nn.plot: argument 'model' must be a Module, got nil", nn.plot)
  test.raises("argument 'file' must be a string, got nil", nn.plot, model)
  test.raises("the name of the file must end in .svg, .png or .dot, got 'net.pdf'", nn.plot, model, "net.pdf")
  test.raises("show_shapes needs an input", nn.plot, model, "net.svg", {show_shapes = true})
  test.raises("unknown keyword string \"shapes\"", nn.plot, model, "net.svg", {shapes = true})
  test.raises("nn.plot: argument 'input' must be a Tensor", nn.plot, model, "net.svg", {input = 3})
end)
