-- nn.summary.
local test = require "test"
local torch = require "torch"

local nn = torch.nn

local function cnn()
  return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(true), nn.Flatten(), nn.Linear(8 * 36, 10))
end

local function state_of(model)
  local list = {torch.get_rng_state()}
  for _, tensor in pairs(model:state_dict()) do list[#list + 1] = tensor:clone() end
  for _, module in ipairs(model:modules()) do list[#list + 1] = module.training end
  return list
end

local function check_state(model, before)
  for i, value in ipairs(state_of(model)) do
    test.truthy(torch.is_tensor(value) and torch.equal(value, before[i]) or value == before[i])
  end
end

test.case("shows layers, shapes, parameters and totals as text", function()
  test.equal(nn.summary(cnn(), {2, 3, 8, 8}), [[
================================================================
Layer (type)       Input Shape   Output Shape  Param #  FLOPs
================================================================
Sequential         [2, 3, 8, 8]  [2, 10]       --       --
├─0 (Conv2d)       [2, 3, 8, 8]  [2, 8, 6, 6]  224      31,104
├─1 (BatchNorm2d)  [2, 8, 6, 6]  [2, 8, 6, 6]  16       --
├─2 (ReLU)         [2, 8, 6, 6]  [2, 8, 6, 6]  --       --
├─3 (Flatten)      [2, 8, 6, 6]  [2, 288]      --       --
└─4 (Linear)       [2, 288]      [2, 10]       2,890    11,520
================================================================
Total params: 3,130
Trainable params: 3,130
Non-trainable params: 0
Total FLOPs: 42,624
Total mult-adds: 21,312
================================================================
Input size (MB): 0.00
Forward activations size (MB): 0.00
Params size (MB): 0.01
Buffers size (MB): 0.00
Estimated Total Size (MB): 0.02
================================================================]])
end)

test.case("gives its counts as a table, which prints as the text", function()
  local model = cnn()
  local counts = nn.summary(model, torch.zeros(2, 3, 8, 8), {format = "table"})
  test.equal({counts.total_params, counts.trainable_params, counts.flops, counts.mult_adds}, {3130, 3130, 42624, 21312})
  test.equal({counts.input_bytes, counts.parameter_bytes, counts.buffer_bytes}, {1536, 12520, 72})
  test.equal(counts.activation_bytes, 4 * (2 * 288 * 2 + 20))  -- ReLU in place and Flatten make none
  test.equal(counts.total_bytes, 1536 + 12520 + 72 + counts.activation_bytes)
  local flops, params = 0, 0
  for _, row in ipairs(counts.layers) do flops, params = flops + row.flops, params + row.num_params end
  test.equal({flops, params, #counts.layers}, {counts.flops, counts.total_params, 6})
  test.equal(tostring(counts), nn.summary(model, {2, 3, 8, 8}))
end)

test.case("leaves modes, statistics, random numbers and hooks as they were, also after an error", function()
  local model, calls = nn.Sequential(cnn(), nn.Dropout(0.5)), 0
  model[0][1]:eval()
  local handle = model[1]:register_forward_hook(function() calls = calls + 1 end)
  torch.manual_seed(5)
  local before = state_of(model)
  for _, mode in ipairs {"eval", "train"} do nn.summary(model, {2, 3, 8, 8}, {mode = mode}) end
  check_state(model, before)
  test.equal(calls, 2)
  test.raises("", nn.summary, model, {2, 3, 9, 9}, {mode = "train"})
  check_state(model, before)
  model:eval()
  model(torch.zeros(2, 3, 8, 8))
  test.equal(calls, 3)
  handle:remove()
  model(torch.zeros(2, 3, 8, 8))
  test.equal(calls, 3)
end)

test.case("a module that changes its buffers in evaluation has them back", function()
  local Counter = nn.class("Counter")
  function Counter:__init()
    self:register_buffer("steps", torch.zeros(1))
    self:register_buffer("last", torch.zeros(2))
  end
  function Counter:forward(x)
    self.steps:add_(1)
    self.last = x * 2
    return x
  end
  local model = Counter()
  nn.summary(model, {2})
  test.equal({model.steps:item(), model.last}, {0.0, torch.zeros(2)})
end)

test.case("counts parameters that are shared once, and those that are not trained", function()
  local layer = nn.Linear(4, 4)
  local other = nn.Linear(4, 4)
  other.weight = layer.weight
  local model = nn.Sequential(layer, layer, other)
  other.bias:requires_grad_(false)
  local counts = nn.summary(model, {2, 4}, {format = "table"})
  test.equal({counts.total_params, counts.trainable_params, counts.non_trainable_params}, {24, 20, 4})
  test.equal(counts.flops, 3 * 2 * 2 * 16)
  local text = tostring(counts)
  test.truthy(text:find("├─0 (Linear) x2", 1, true) and text:find("(recursive)", 1, true))
  test.truthy(text:find("Partial", 1, true))
  test.equal(counts.layers[4].num_params, 4)
end)

test.case("shows what is frozen", function()
  local model = cnn()
  nn.freeze(model[1])
  local counts = nn.summary(model, {2, 3, 8, 8}, {mode = "train", format = "table"})
  test.equal({counts.layers[3].trainable, counts.non_trainable_params, model[1].training}, {"frozen", 16, false})
  nn.unfreeze(model[1])
  test.equal(model[1].training, true)
end)

test.case("takes several arguments, tables, shapes and dtypes", function()
  local Two = nn.class("Two")
  function Two:__init()
    self.embed = nn.Embedding(5, 3)
    self.fc = nn.Linear(3, 2)
  end
  function Two:forward(ids, x, scale)
    return {logits = self.fc(self.embed(ids) + x) * (scale or 1), pair = {ids, x}}
  end
  local counts = nn.summary(Two(), {{2, 4}, {2, 4, 3}}, {dtypes = {torch.int64, torch.float32}, format = "table"})
  test.equal(counts.layers[1].output, {of = {logits = {2, 4, 2}, pair = {of = {{2, 4}, {2, 4, 3}}}}})
  test.truthy(tostring(counts):find("[logits: [2, 4, 2], pair: [[2, 4], [2, 4, 3]]]", 1, true))
  test.equal(nn.summary(Two(), {torch.zeros(2, 4):long(), {2, 4, 3}, 2}, {format = "table"}).layers[3].input, {2, 4, 3})
  local Named = nn.class("Named")
  function Named:__init() self.fc = nn.Linear(3, 2) end
  function Named:forward(batch) return self.fc(batch.x) end
  test.equal(nn.summary(Named(), {x = {4, 3}}, {format = "table"}).layers[2].output, {4, 2})
  test.equal(nn.summary(nn.Linear(3, 2), torch.ones(4, 3).shape, {format = "table"}).flops, 48)
  local packed = nn.utils.rnn.pack_padded_sequence(torch.rand(5, 3, 4), torch.tensor {5, 3, 2})
  test.equal(nn.summary(nn.GRU(4, 6), packed, {format = "table"}).flops, 2 * 10 * (4 + 6) * 18)
  local lstm = nn.summary(nn.LSTM(3, 2), torch.zeros(5, 1, 3), {format = "table"})
  test.equal(lstm.layers[1].output, {of = {{5, 1, 2}, {of = {{1, 1, 2}, {1, 1, 2}}}}})
end)

test.case("initializes lazy layers, which work without an input as well", function()
  local model = nn.Sequential(nn.LazyLinear(2))
  test.truthy(nn.summary(model):find("Total params: 0", 1, true))
  nn.summary(model, {4, 3})
  test.equal(tostring(model[0]), "Linear(in_features=3, out_features=2, bias=True)")
  test.truthy(model[0].weight.requires_grad)
end)

test.case("hides what is below a depth in the row above, and shows the columns asked for", function()
  local model = nn.Sequential(cnn(), nn.ReLU())
  local counts = nn.summary(model, {2, 3, 8, 8}, {depth = 1, format = "table"})
  test.equal(#counts.layers, 3)
  test.equal({counts.layers[2].num_params, counts.layers[2].flops}, {3130, 42624})
  local text = nn.summary(model, {2, 3, 8, 8}, {col_names = {"kernel_size", "mult_adds", "params_percent", "trainable"}})
  test.truthy(text:find("Kernel Shape  Mult%-Adds  Param %%%s+Trainable"))
  test.truthy(text:find("├─0 (Conv2d)       [3, 3]        15,552     7.16%    True", 1, true))
  test.truthy(not nn.summary(model, {depth = 0}):find("Conv2d", 1, true))
end)

test.case("modules that are not called have no shape", function()
  local Net = nn.class("Net")
  function Net:__init()
    self.used = nn.Linear(2, 2)
    self.unused = nn.Linear(2, 2)
  end
  function Net:forward(x)
    local ok = pcall(self.unused, torch.ones(3))
    test.equal(ok, false)
    return self.used(x)
  end
  local counts = nn.summary(Net(), {1, 2}, {format = "table"})
  test.equal({counts.layers[3].output, counts.layers[3].calls, counts.flops}, {nil, 0, 8})
end)

test.case("its errors name the argument", function()
  local model = nn.Linear(2, 1)
  test.raises("nn.summary: argument 'model' must be a Module, got table", nn.summary, {})
  test.raises("'input' must be a Tensor, a shape such as {1, 3, 32, 32}, or a list of these, got an empty table",
    nn.summary, model, {}, {depth = 1})
  test.raises("'input' must be a Tensor.*got string \"x\"", nn.summary, model, "x")
  test.raises("unknown keyword string \"deep\"", nn.summary, model, {1, 2}, {deep = 1})
  test.raises("'depth' must be an integer that is not negative", nn.summary, model, {1, 2}, {depth = -1})
  test.raises("'col_names' must be one of flops, input_size", nn.summary, model, {1, 2}, {col_names = {"size"}})
  test.raises("'mode' must be one of eval, train", nn.summary, model, {1, 2}, {mode = "same"})
  test.raises("'dtypes' must be a list of dtypes", nn.summary, model, {1, 2}, {dtypes = {1}})
end)
