-- The Lua side of test_keras_arguments.py: which arguments are taken, and what trainings with them come to.
local host = require "host"
local torch = require "torch"
local train = require "train"
local nn = torch.nn

local X, Y = torch.randn(8, 3), torch.randn(8, 1)
-- A value for each of Keras's arguments, and what goes with it.
local VALUES = {
  x = {}, y = {}, batch_size = {batch_size = 4}, epochs = {epochs = 2}, verbose = {verbose = "auto"}, callbacks = {callbacks = {}},
  validation_split = {validation_split = 0.25}, validation_data = {validation_data = {X, Y}}, shuffle = {shuffle = true},
  class_weight = {class_weight = {[0] = 1.0, 2.0}, loss = "cross_entropy", y = torch.tensor {0, 1, 0, 1, 0, 1, 0, 1}, outputs = 2},
  sample_weight = {sample_weight = torch.ones(8)}, initial_epoch = {initial_epoch = 1, epochs = 2},
  steps_per_epoch = {steps_per_epoch = 2}, validation_steps = {validation_steps = 1, validation_data = {X, Y}},
  validation_batch_size = {validation_batch_size = 2, validation_data = {X, Y}}, validation_freq = {validation_freq = 2,
  validation_data = {X, Y}}, steps = {steps = 1}, return_dict = {return_dict = true},
}
local OWN = {fit = {epochs = 1, optimizer = "sgd", loss = "mse", quiet = true}, evaluate = {loss = "mse"}, predict = {}}

local function call(name, argument)
  local given = {x = X, y = name ~= "predict" and Y or nil}
  for key, value in pairs(OWN[name]) do given[key] = value end
  for key, value in pairs(VALUES[argument] or {[argument] = 1}) do given[key] = value end
  given.model, given.outputs = nn.Linear(3, given.outputs or 1), nil
  return train[name](given)
end

local function tensor(list, options) return list and torch.tensor(list, options) end

local function play(case)
  local model = nn.Sequential(nn.Linear(3, 3, {bias = false}), nn.Softmax(1))
  do
    local _ <close> = torch.no_grad()
    model[0].weight:copy_(torch.tensor(case.weight):t())
  end
  local given = {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.5}), quiet = true, compat = "keras",
    loss = "sparse_categorical_crossentropy", x = torch.tensor(case.x), y = torch.tensor(case.y), shuffle = false,
    sample_weight = tensor(case.sample_weight)}
  for key, value in pairs(case.options) do given[key] = value end
  if case.class_weight then
    given.class_weight = {}
    for class, weight in pairs(case.class_weight) do given.class_weight[tonumber(class)] = weight end
  end
  if case.valid then
    given.validation_data = {torch.tensor(case.valid.x), torch.tensor(case.valid.y), tensor(case.valid.weight)}
  end
  return train.fit(given).history
end

local function score(case)
  local target = torch.tensor(case.target, {dtype = case.integers and torch.int64 or torch.float32})
  return train.evaluate {model = nn.Identity(), data = {torch.tensor(case.scores), target}, loss = case.loss, metrics = {"accuracy"}}
end

local results = {}
for i, case in ipairs(host.json.decode(host.file.read(host.args[1]))) do
  local ok, result
  if case.call then ok, result = pcall(call, case.call, case.argument) else ok, result = pcall(case.scores and score or play, case) end
  if case.call and ok then result = {} end
  results[i] = ok and {result = result} or {error = type(result) == "table" and result.message or tostring(result)}
end
host.file.write_atomic(host.args[2], host.json.encode(results))
