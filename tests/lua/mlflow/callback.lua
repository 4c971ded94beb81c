-- mlflow.callback: what it logs, on a run that takes notes.
local test = require "test"
local torch = require "torch"
local train = require "train"
local new = require "mlflow.callback"
local nn, F = torch.nn, torch.nn.functional

-- A run that notes what is logged.
local function notes()
  local run = {params = {}, metrics = {}, tags = {}, files = {}, inputs = {}, info = {run_id = "1", artifact_uri = "", run_name = "notes"}}
  function run:log_params(params) for key, value in pairs(params) do self.params[key] = value end end
  function run:log_metric(key, value, step)
    self.metrics[#self.metrics + 1] = {key, value, type(step) == "table" and step.step or step}
  end
  function run:log_metrics(metrics, options)
    local keys = {}
    for key in pairs(metrics) do keys[#keys + 1] = key end
    table.sort(keys)
    for _, key in ipairs(keys) do self:log_metric(key, metrics[key], options) end
  end
  function run:set_tag(key, value) self.tags[key] = value end
  function run:log_input(dataset, context) self.inputs[#self.inputs + 1] = {context, dataset.profile} end
  function run:log_text(_, file) self.files[#self.files + 1] = file end
  function run:log_dict(_, file) self.files[#self.files + 1] = file end
  function run:log_artifact(path, folder) self.files[#self.files + 1] = folder .. "/" .. path:match("[^/]+$") end
  function run:log_artifacts(_, folder) self.files[#self.files + 1] = folder .. "/*" end
  function run:log_model(_, options)
    self.files[#self.files + 1] = options.name
    return {model_id = "m-1"}
  end
  -- The points of a metric: {step, value}.
  function run:points(key)
    local points = {}
    for _, metric in ipairs(self.metrics) do
      if metric[1] == key then points[#points + 1] = {metric[3], metric[2]} end
    end
    return points
  end
  function run:steps(key)
    local steps = {}
    for i, point in ipairs(self:points(key)) do steps[i] = point[1] end
    return steps
  end
  return run
end

local function fit(run, arguments, callbacks, epochs)
  arguments.run = run
  local net = nn.Linear(2, 1)
  local x, y = torch.ones(4, 2), torch.ones(4, 1)
  return train.fit {
    model = net, optimizer = torch.optim.AdamW(net:parameters(), {lr = 0.01}), loss = F.mse_loss, epochs = epochs or 2,
    train = {{x, y}}, valid = {{x, y}}, quiet = true, callbacks = {new(arguments), table.unpack(callbacks or {})},
  }
end

test.case("logs the parameters of the training under Keras's names", function()
  local run = notes()
  fit(run, {})
  local p = run.params
  test.equal({p.epochs, p.opt_name, p.opt_learning_rate, p.opt_beta_1, p.opt_beta_2, p.opt_epsilon, p.opt_weight_decay,
    p.opt_amsgrad}, {2, "adamw", 0.01, 0.9, 0.999, 1e-8, 1e-2, false})
  test.equal({p.initial_epoch, p.validation_freq, p.validation_split}, {0, 1, 0.0})
  for _, key in ipairs {"class_weight", "sample_weight", "steps_per_epoch", "validation_steps", "validation_batch_size",
    "opt_clipnorm", "opt_clipvalue", "opt_global_clipnorm", "opt_gradient_accumulation_steps"} do
    test.equal({key, tostring(p[key])}, {key, tostring(require("host").json.null)})
  end
  test.equal(p.accumulate, nil)
end)

test.case("logs each epoch's metrics at steps from 0, those of the validation under Keras's two names", function()
  local run = notes()
  local history = fit(run, {})
  local loss, val = history.loss, history.val_loss
  test.equal(run.metrics, {{"loss", loss[1], 0}, {"val_loss", val[1], 0}, {"validation_loss", val[1], 0},
    {"loss", loss[2], 1}, {"val_loss", val[2], 1}, {"validation_loss", val[2], 1}})
  test.equal(run.files, {"model_summary.txt"})
end)

test.case("style = lightning has Lightning's names", function()
  local run = notes()
  fit(run, {style = "lightning"}, {train.EarlyStopping {patience = 5}})
  local p = run.params
  test.equal({p.epochs, p.optimizer_name, p.lr, p.betas, p.eps, p.weight_decay, p.monitor, p.mode, p.patience, p.min_delta,
    p.stopped_epoch}, {2, "AdamW", require("host").params().lr or 0.01, "(0.9, 0.999)", 1e-8, 1e-2, "val_loss", "auto", 5, 0, 0})
  test.equal({p.opt_name, p.initial_epoch}, {})
  test.equal({run:steps "train_loss", run:steps "val_loss", run:steps "loss", run:steps "validation_loss"}, {{0, 1}, {0, 1}, {}, {}})
  test.equal(run.tags.Mode, "training")
end)

test.case("log_every_n_steps logs steps, the last one too, and the validation at its step", function()
  local run, net, x, y = notes(), nn.Linear(2, 1), torch.ones(4, 2), torch.ones(4, 1)
  train.fit {
    model = net, optimizer = "sgd", loss = "mse", epochs = 3, quiet = true, train = {{x, y}, {x, y}, {x, y}},
    valid = {{x, y}}, callbacks = {new {run = run, log_every_epoch = false, log_every_n_steps = 2}},
  }
  test.equal(run:steps "loss", {2, 4, 6, 8, 9})
  test.equal(run:steps "val_loss", {})
  test.equal(run:steps "validation_loss", {3, 6, 9})
end)

test.case("log_every_n_epoch and log_every_n_step are Lightning's", function()
  local run, net, x, y = notes(), nn.Linear(2, 1), torch.ones(4, 2), torch.ones(4, 1)
  train.fit {
    model = net, optimizer = "sgd", loss = "mse", epochs = 6, quiet = true, train = {{x, y}, {x, y}},
    callbacks = {new {run = run, log_every_n_epoch = 4}},
  }
  test.equal(run:steps "loss", {3, 5})
  run = notes()
  train.fit {
    model = net, optimizer = "sgd", loss = "mse", epochs = 2, quiet = true, train = {{x, y}, {x, y}},
    callbacks = {new {run = run, log_every_n_step = 3, style = "lightning"}},
  }
  test.equal(run:steps "train_loss", {0, 3, 1, 4})
end)

test.case("MLflow's words for flags that exclude each other", function()
  test.raises("`log_every_n_steps` must be None if `log_every_epoch=True`, received `log_every_epoch=True` and `log_every_n_steps=2`.",
    new, {log_every_epoch = true, log_every_n_steps = 2})
  test.raises("`log_every_n_steps` must be None if `log_every_epoch=True`", new, {log_every_n_steps = 2})
  test.raises("`log_every_n_steps` must be specified if `log_every_epoch=False`", new, {log_every_epoch = false})
  test.equal(getmetatable(require("mlflow").MlflowCallback {}), getmetatable(new {}))
end)

test.case("checkpoints of ModelCheckpoint become artifacts", function()
  local run, folder = notes(), test.tmpdir()
  fit(run, {log_model_summary = false}, {
    train.ModelCheckpoint {filepath = folder .. "/{epoch:02d}"},
    train.ModelCheckpoint {filepath = folder .. "/w{epoch}", save_weights_only = true, save_freq = "2ep"},
  })
  test.equal(run.files, {"checkpoints/01/*", "checkpoints/02/*", "checkpoints/w2.safetensors"})
  test.equal(run.tags["mlflow.latest_checkpoint_artifact"], "checkpoints/w2.safetensors")
  run = notes()
  fit(run, {log_model_summary = false, log_checkpoints = false}, {train.ModelCheckpoint {filepath = folder .. "/n{epoch}"}})
  test.equal(run.files, {})
end)

test.case("every logs the model, also that of the last epoch, and the final one as model", function()
  local run = notes()
  fit(run, {every = "2ep", log_models = true, log_model_summary = false}, nil, 5)
  test.equal(run.files, {"epoch_2", "epoch_4", "epoch_5", "model"})
  test.equal(run:steps "loss", {0, 1, 2, 3, 4})
  run = notes()
  fit(run, {every = "2ep", log_models = false, log_every_epoch = false, log_model_summary = false}, nil, 5)
  test.equal(run.files, {})
  test.equal(run:steps "loss", {1, 3, 4})
end)

test.case("every logs the epoch at which an early stop ended the training", function()
  local run, values = notes(), {1, 2, 3, 4}
  fit(run, {every = 5, log_models = true, log_model_summary = false}, {
    train.on("epoch_end", function(state) state.logs.val_loss = values[state.epoch + 1] end),
    train.EarlyStopping {patience = 2},
  }, 9)
  test.equal(run.files, {"epoch_3", "model"})
end)

test.case("every takes several times, of which any counts, and batches within an epoch", function()
  local run = notes()
  local net, x, y = nn.Linear(2, 1), torch.ones(4, 2), torch.ones(4, 1)
  train.fit {
    model = net, optimizer = torch.optim.AdamW(net:parameters(), {lr = 0.01}), loss = F.mse_loss, epochs = 2, quiet = true,
    train = {{x, y}, {x, y}, {x, y}}, callbacks = {new {run = run, every = {2, "4ba"}, log_model_summary = false}},
  }
  test.equal(run.files, {"global_step_4", "epoch_2", "model"})
end)

test.case("a model that cannot be logged is one of the run's files, or is tried again at the end of the next epoch", function()
  local run, tries = notes(), 0
  local log_model, log_artifacts = run.log_model, run.log_artifacts
  function run:log_model(...)
    tries = tries + 1
    if tries ~= 2 then error("expected by the test: the server is away") end
    return log_model(self, ...)
  end
  function run:log_artifacts(path, folder)
    if tries == 1 then error("expected by the test: the disk is full") end
    log_artifacts(self, path, folder)
  end
  test.equal(#fit(run, {every = 2, log_model_summary = false, silent = true}, nil, 4).loss, 4)
  test.equal(run.files, {"epoch_3", "epoch_4/*", "model/*"})
end)

test.case("a model is staged in a private folder that is gone afterwards", function()
  local run, seen = notes(), {}
  function run.log_model() error("expected by the test: the server is away") end
  function run.log_artifacts(_, path)
    for _, name in ipairs(require("host").file.list(path)) do seen[#seen + 1] = name end
    seen.path = path
  end
  fit(run, {log_models = true, log_input_examples = true, log_model_summary = false, silent = true})
  table.sort(seen)
  test.equal({table.unpack(seen)}, {"MLmodel", "input_example.json", "metrics.json", "model.safetensors",
    "serving_input_example.json"})
  test.falsy(require("host").file.exists(seen.path))
end)

test.case("checkpoint = true logs the best checkpoint as Keras's autolog does", function()
  local run, values = notes(), {3, 1, 2, 0.5}
  fit(run, {checkpoint = true, checkpoint_save_weights_only = true, log_model_summary = false}, {
    train.on("epoch_end", function(state) state.logs.val_loss = values[state.epoch + 1] end)}, 4)
  local one = {"checkpoints/latest_checkpoint.weights.safetensors", "checkpoints/latest_checkpoint_metrics.json"}
  test.equal(run.files, {one[1], one[2], one[1], one[2], one[1], one[2]})
  test.equal(run.tags["mlflow.latest_checkpoint_artifact"], one[1])
end)

test.case("checkpoint_monitor, checkpoint_mode, checkpoint_save_best_only and checkpoint_save_freq", function()
  local run, values = notes(), {1, 3, 2}
  fit(run, {checkpoint = true, checkpoint_monitor = "score", checkpoint_mode = "max", checkpoint_save_weights_only = true,
    log_model_summary = false}, {train.on("epoch_end", function(state) state.logs.score = values[state.epoch + 1] end)}, 3)
  test.equal(#run.files, 4)
  run = notes()
  fit(run, {checkpoint = true, checkpoint_save_best_only = false, checkpoint_save_weights_only = true, log_model_summary = false})
  test.equal(run.files, {"checkpoints/epoch_0/checkpoint.weights.safetensors", "checkpoints/epoch_0/checkpoint_metrics.json",
    "checkpoints/epoch_1/checkpoint.weights.safetensors", "checkpoints/epoch_1/checkpoint_metrics.json"})
  run = notes()
  fit(run, {checkpoint = true, checkpoint_save_best_only = false, checkpoint_save_freq = 2, checkpoint_save_weights_only = true,
    log_model_summary = false}, nil, 3)
  test.equal(run.files, {"checkpoints/global_step_2/checkpoint.weights.safetensors",
    "checkpoints/global_step_2/checkpoint_metrics.json"})
end)

test.case("an early stop leaves its reason, stopped_epoch, restored_epoch and that epoch's metrics", function()
  local run = notes()
  local values = {1, 2, 3, 4}
  fit(run, {}, {
    train.on("epoch_end", function(state) state.logs.val_loss = values[state.epoch + 1] end),
    train.EarlyStopping {patience = 2, restore_best_weights = true},
  }, 9)
  test.equal(run.tags.stop_reason, "val_loss has not improved for 2 epochs, best 1 at epoch 1")
  test.equal({run:points "stopped_epoch", run:points "restored_epoch"}, {{{0, 2}}, {{0, 0}}})
  test.equal(run:points "val_loss", {{0, 1}, {1, 2}, {2, 3}, {3, 1}})
  local p = run.params
  test.equal({p.monitor, p.patience, p.min_delta, p.restore_best_weights}, {"val_loss", 2, 0, true})
end)

test.case("a loop by hand has its metrics, also without an end of its epoch", function()
  local run = notes()
  local state = train.state {epochs = 2, callbacks = {new {run = run}}}
  state:emit "train_begin"
  for epoch = 0, 1 do
    state:emit "epoch_begin"
    state:emit "batch_begin"
    state.loss = torch.tensor(0.5 + epoch)
    state:emit "batch_end"
    state.logs.val_loss = 2
    state:emit "epoch_end"
  end
  state:emit "epoch_begin"
  state:emit "batch_begin"
  state.logs.loss = 9
  state:emit "batch_end"
  state:emit "train_end"
  test.equal(run:points "loss", {{0, 0.5}, {1, 1.5}, {2, 9}})
  test.equal(run:steps "validation_loss", {0, 1})
  test.equal(run.params.epochs, 2)
end)

test.case("train.evaluate has Keras's validation_ and Lightning's test_", function()
  local run, net, x, y = notes(), nn.Linear(2, 1), torch.ones(4, 2), torch.ones(4, 1)
  local callback = new {run = run}
  train.fit {model = net, optimizer = "sgd", loss = "mse", epochs = 2, train = {x, y}, quiet = true, callbacks = {callback}}
  train.evaluate {model = net, loss = "mse", data = {x, y}, callbacks = {callback}}
  test.equal(run:steps "validation_loss", {1})
  train.evaluate {model = net, loss = "mse", data = {x, y}, callbacks = {new {run = run, style = "lightning"}}}
  test.equal({run:steps "test_loss", run.tags.Mode}, {{0}, "testing"})
end)

test.case("the data of the training and of the validation are inputs with the contexts train and eval", function()
  local data = torch.utils.data
  local function inputs(more)
    local run = notes()
    local given = {model = nn.Linear(2, 1), optimizer = "sgd", loss = "mse", epochs = 1, quiet = true,
      callbacks = {new {run = run, log_datasets = more.log_datasets}}}
    for key, value in pairs(more) do given[key] = key ~= "log_datasets" and value or nil end
    train.fit(given)
    return run.inputs
  end
  local x, y = torch.randn(10, 2), torch.randn(10, 1)
  local function profile(n)
    return ('{"features_shape": [%d, 2], "features_size": %d, "features_nbytes": %d, "targets_shape": [%d, 1], '
      .. '"targets_size": %d, "targets_nbytes": %d}'):format(n, 2 * n, 8 * n, n, n, 4 * n)
  end
  test.equal(inputs {train = {x, y}, batch_size = 4, validation_split = 0.2}, {{"train", profile(8)}, {"eval", profile(2)}})
  test.equal(inputs {train = {x, y}, batch_size = 4, steps_per_epoch = 2}, {{"train", profile(10)}})
  test.equal(inputs {train = {x, y}, log_datasets = false}, {})
  local set = data.TensorDataset(x, y)
  local first, second = table.unpack {data.random_split(set, {7, 3}, {seed = 1})}
  local inner = data.Subset(first, {6, 0, 2})
  test.equal(inputs {train = data.DataLoader(inner, {batch_size = 2}), valid = data.DataLoader(second, {batch_size = 2})},
    {{"train", profile(3)}, {"eval", profile(3)}})
  test.equal(inputs {train = {{x, y}, {x, y}}}, {{"train", profile(20)}})
  test.equal(require "mlflow.training_data"(function() error("is not asked") end), nil)
end)

test.case("the digest of a part of the data is that of its values", function()
  local of, data = require "mlflow.training_data", torch.utils.data
  local x, y = torch.arange(20.):view(10, 2), torch.arange(10.)
  local set = data.TensorDataset(x, y)
  local function digest(indices) return of(data.DataLoader(data.Subset(set, indices), {batch_size = 2})).digest end
  test.equal(digest {1, 2, 3}, digest {1, 2, 3})
  test.truthy(digest {1, 2, 3} ~= digest {1, 2, 4})
  test.truthy(digest {1, 2, 3} ~= digest {1, 2})
  test.equal(of(data.DataLoader(set)).digest, of(data.DataLoader(set, {batch_size = 5, shuffle = true})).digest)
end)

test.case("a part of the data has MLflow's digest of its values, and no more of them are read", function()
  local of, data = require "mlflow.training_data", torch.utils.data
  local x, y = torch.rand(300, 10, 10), torch.arange(300)
  local set, read = data.TensorDataset(x, y), 0
  local function part(indices) return of {dataset = {dataset = set, indices = indices}} end
  local odd = torch.arange(1, 300, 2)
  local want = require("mlflow").data.from_tensor(x:index_select(0, odd), {targets = y:index_select(0, odd)})
  local got = part(odd:tolist())
  test.equal({got.digest, got.profile}, {want.digest, want.profile})
  test.equal(part(odd).digest, want.digest)
  -- A part of that part, which counts how often it is asked.
  local some = {dataset = {dataset = set, indices = odd}, indices = setmetatable({}, {
    __len = function() return 120 end,
    __index = function(_, i)
      read = read + 1
      return i + 29
    end,
  })}
  local rows = odd:narrow(0, 30, 120)
  want = require("mlflow").data.from_tensor(x:index_select(0, rows), {targets = y:index_select(0, rows)})
  got = of {dataset = some}
  test.equal(got.digest, want.digest)
  test.equal(read, 100 + 120)  -- 100 rows of x have 10000 values
end)

test.case("extra_tags, step_base", function()
  local run = notes()
  fit(run, {extra_tags = {team = "blue"}, step_base = 1})
  test.equal({run.tags.team, run:steps "loss"}, {"blue", {1, 2}})
end)

test.case("a tracker that fails does not end the training, and metrics that are taken are kept", function()
  local run = notes()
  function run:log_metrics() error("expected by the test") end
  test.equal(#fit(run, {silent = true}, nil, 3).epoch, 3)
  test.equal(run:steps "loss", {0, 1, 2})
  local raised = notes()
  function raised:log_params() error("expected by the test") end
  raised.log_param = raised.log_params
  test.raises("expected by the test", fit, raised, {errors = "raise"})
end)

test.case("mistakes are errors before training", function()
  test.raises("log_models must be true or false", new, {log_models = 1})
  test.raises("every must be a number or a time", new, {every = "often"})
  test.raises("keep_last_models needs every", new, {log_models = true, keep_last_models = 2})
  test.raises("keep_last_models needs log_models = true", new, {every = 2, log_models = false, keep_last_models = 2})
  test.raises("registered_model_name needs log_models = true", new, {registered_model_name = "m"})
  test.raises("Names cannot contain '/' or ':'", new, {registered_model_name = "a/b", log_models = true})
  test.raises("style must be \"keras\" or \"lightning\"", new, {style = "torch"})
  test.raises("extra_tags must be a table", new, {extra_tags = "x"})
  test.raises("checkpoint_save_freq must be a whole number of 1 or more", new, {checkpoint_save_freq = "often"})
  test.raises("there is no active run", fit, nil, {})
end)
