-- train.Diagnose on hand-made curves, with and without noise.
local test = require "test"
local train = require "train"

-- Noise that is the same each time, about uniform in -1..1.
local function noise_of(seed)
  local x = seed * 7919 + 17
  return function()
    x = (x * 1103515245 + 12345) % 2147483648
    return x / 1073741824 - 1
  end
end

-- Runs Diagnose over curves; returns the tags said, with their epochs (from 1), what was said, the state.
local function drive(options, training, validation)
  local said = {}
  local diagnose = train.Diagnose(options)
  local state = train.state {callbacks = {diagnose}, optimizer = {param_groups = {{lr = 1}}, state_dict = print}}
  state.say = function(_, text) said[#said + 1] = text end
  state:emit("train_begin")
  for i = 1, #training do
    state:emit("epoch_begin")
    state.logs.loss = training[i]
    if validation then state.logs.val_loss = validation[i] end
    state:emit("epoch_end")
    if state.stopping then break end
  end
  local tags, epochs = {}, {}
  for i, found in ipairs(diagnose.found) do tags[i], epochs[i] = found.tag, found.epoch + 1 end
  return tags, epochs, said, state, diagnose
end

local function curve(count, f, noise, seed)
  local values, random = {}, noise_of(seed or 1)
  for i = 1, count do values[i] = f(i) * (1 + (noise or 0) * random()) end
  return values
end

local function falling(i) return 2 * math.exp(-i / 10) + 0.05 end
local function turning(i) return i <= 12 and falling(i) + 0.1 or falling(12) + 0.1 + 0.03 * (i - 12) end

test.case("overfitting: validation rises while training falls", function()
  local tags, epochs, said, state = drive({}, curve(30, falling), curve(30, turning))
  test.equal(tags, {"overfitting"})
  test.truthy(epochs[1] > 12 and epochs[1] <= 22, "at epoch " .. epochs[1])
  test.truthy(said[1]:find("Diagnose: epoch %d+: overfitting: val_loss has risen by %d+%% over 8 epochs while loss fell by %d+%%"), said[1])
  test.truthy(said[1]:find("at epoch 12$"), said[1])
  test.equal({state.diagnosis.tag, state.logs.diagnosis_code}, {"overfitting", 1})
end)

test.case("overfitting is found in noise too", function()
  for seed = 1, 10 do
    local tags, epochs = drive({}, curve(35, falling, 0.03, seed), curve(35, turning, 0.03, seed + 50))
    test.equal(tags[1], "overfitting", "seed " .. seed)
    test.truthy(epochs[1] > 12 and epochs[1] <= 26, ("seed %d: at epoch %d"):format(seed, epochs[1]))
  end
end)

test.case("underfitting: the training loss stands still and has learnt little", function()
  local function poor(i) return 2.3 - 0.1 * math.min(i, 3) / 3 end
  local tags = drive({}, curve(25, poor), curve(25, poor))
  test.equal(tags, {"underfitting"})
  for seed = 1, 10 do
    tags = drive({}, curve(25, poor, 0.01, seed), curve(25, poor, 0.01, seed + 50))
    test.equal(tags, {"underfitting"}, "seed " .. seed)
  end
  tags = drive({target = 0.1}, curve(25, function(i) return i < 10 and 1 - 0.05 * i or 0.5 end))
  test.equal(tags, {"underfitting"}, "above the target")
end)

test.case("plateau: it has learnt, and stands still", function()
  local function flat(i) return 0.6 + 1.4 * math.exp(-i / 3) end
  test.equal(drive({}, curve(40, flat), curve(40, flat)), {"plateau"})
  for seed = 1, 10 do
    test.equal(drive({}, curve(40, flat, 0.01, seed), curve(40, flat, 0.01, seed + 50)), {"plateau"}, "seed " .. seed)
  end
  test.equal(drive({}, curve(40, flat)), {"plateau"}, "without validation")
end)

test.case("divergence: the training loss rises, or is no number at once", function()
  local function rising(i) return i <= 8 and 2 - 0.1 * i or 1.2 * 1.1 ^ (i - 8) end
  test.equal(drive({}, curve(25, rising))[1], "divergence")
  for seed = 1, 10 do test.equal(drive({}, curve(25, rising, 0.05, seed))[1], "divergence", "seed " .. seed) end
  local tags, epochs, said = drive({}, {1, 0.9, 0 / 0})
  test.equal({tags[1], epochs[1]}, {"divergence", 3})
  test.truthy(said[1]:find("loss is nan", 1, true))
  test.equal(drive({}, {1, 0.9, 0.8}, {1, math.huge, 1})[1], "divergence")
end)

test.case("no false alarm on 20 healthy curves", function()
  local shapes = {
    function(i) return 2 * math.exp(-i / 15) + 0.01 end,
    function(i) return 2 / (1 + 0.2 * i) end,
    function(i) return 2.3 - 0.04 * i end,
    function(i) return 3 * i ^ -0.5 end,
  }
  for k = 0, 19 do
    local shape, noise = shapes[k % 4 + 1], ({0, 0.01, 0.03, 0.05, 0.08})[k // 4 + 1]
    local tags = drive({}, curve(40, shape, noise, k + 1), curve(40, function(i) return shape(i) * 1.1 + 0.02 end, noise, k + 101))
    test.equal(tags, {}, ("curve %d, noise %g"):format(k, noise))
  end
end)

test.case("a converged training is no plateau", function()
  local function done(i) return 2 * math.exp(-i / 2) + 0.01 end
  test.equal(drive({}, curve(40, done, 0.02), curve(40, done, 0.02, 7)), {})
end)

test.case("may stop, lower the learning rate, or call, by tag", function()
  local _, epochs, _, state = drive({action = "stop"}, curve(30, falling), curve(30, turning))
  test.equal(state.epochs_done, epochs[1])
  test.truthy(state.stop_reason:find("overfitting: val_loss has risen", 1, true))
  local heard
  local function flat(i) return 0.6 + 1.4 * math.exp(-i / 3) end
  _, _, _, state = drive({action = {plateau = "reduce_lr", overfitting = "stop"}, factor = 0.5}, curve(40, flat))
  test.equal({state.stopping, state.optimizer.param_groups[1].lr}, {false, 0.5})
  drive({action = function(_, found) heard = found end}, curve(40, flat))
  test.equal(heard.tag, "plateau")
end)

test.case("its options are checked", function()
  test.raises("train.Diagnose: window must be 4 or more, got 2", train.Diagnose, {window = 2})
  test.raises("action has no tag 'overfit'", train.Diagnose, {action = {overfit = "stop"}})
  test.raises('action must be "warn", "stop" or "reduce_lr"', train.Diagnose, {action = "halt"})
end)

test.case("tags the run that is active", function()
  local tags = {}
  local mlflow = require "mlflow"
  local active = mlflow.active_run
  mlflow.active_run = function() return {set_tag = function(_, key, value) tags[key] = value end} end
  local _ <close> = setmetatable({}, {__close = function() mlflow.active_run = active end})
  drive({verbose = false}, curve(30, falling), curve(30, turning))
  test.equal(tags.diagnosis, "overfitting")
  test.truthy(tags.diagnosis_reason:find("val_loss has risen", 1, true))
end)
