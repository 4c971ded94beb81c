-- mlflow.callback: what it logs, on a run that takes notes.
local test = require "test"
local torch = require "torch"
local train = require "train"
local new = require "mlflow.callback"
local nn, F = torch.nn, torch.nn.functional

-- A run that notes what is logged.
local function notes()
  local run = {params = {}, metrics = {}, tags = {}, files = {}}
  function run:log_params(params) for key, value in pairs(params) do self.params[key] = value end end
  function run:log_metric(key, value, options) self.metrics[#self.metrics + 1] = {key, value, options.step} end
  function run:log_metrics(metrics, options)
    local keys = {}
    for key in pairs(metrics) do keys[#keys + 1] = key end
    table.sort(keys)
    for _, key in ipairs(keys) do self:log_metric(key, metrics[key], options) end
  end
  function run:set_tag(key, value) self.tags[key] = value end
  function run:log_text(_, file) self.files[#self.files + 1] = file end
  function run:log_dict(_, file) self.files[#self.files + 1] = file end
  function run:log_artifact(path, folder) self.files[#self.files + 1] = folder .. "/" .. path:match("[^/]+$") end
  function run:log_artifacts(_, folder) self.files[#self.files + 1] = folder .. "/*" end
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
  test.equal({p.epochs, p.opt_name, p.opt_learning_rate, p.opt_beta_1, p.opt_beta_2, p.opt_epsilon, p.opt_weight_decay},
    {2, "AdamW", 0.01, 0.9, 0.999, 1e-8, 1e-2})
  test.equal(p.accumulate, nil)
end)

test.case("logs each epoch's metrics at steps from 0", function()
  local run = notes()
  local history = fit(run, {})
  test.equal(run.metrics, {{"loss", history.loss[1], 0}, {"val_loss", history.val_loss[1], 0},
    {"loss", history.loss[2], 1}, {"val_loss", history.val_loss[2], 1}})
  test.equal(run.files, {"model_summary.txt"})
end)

test.case("checkpoints become artifacts", function()
  local run, folder = notes(), test.tmpdir()
  fit(run, {log_model_summary = false}, {
    train.ModelCheckpoint {filepath = folder .. "/{epoch:02d}"},
    train.ModelCheckpoint {filepath = folder .. "/w{epoch}", save_weights_only = true, save_freq = "2ep"},
  })
  test.equal(run.files, {"checkpoints/01/*", "checkpoints/02/*", "checkpoints/w2.safetensors"})
  test.equal(run.tags["mlflow.latest_checkpoint_artifact"], "checkpoints/w2.safetensors")
end)

test.case("every logs the weights by itself", function()
  local run = notes()
  fit(run, {every = "2ep", log_model_summary = false}, nil, 5)
  test.equal(run.files, {"checkpoints/epoch_2/checkpoint.safetensors", "checkpoints/epoch_2/checkpoint_metrics.json",
    "checkpoints/epoch_4/checkpoint.safetensors", "checkpoints/epoch_4/checkpoint_metrics.json"})
end)

test.case("every takes several times, of which any counts, and batches within an epoch", function()
  local run = notes()
  local net, x, y = nn.Linear(2, 1), torch.ones(4, 2), torch.ones(4, 1)
  train.fit {
    model = net, optimizer = torch.optim.AdamW(net:parameters(), {lr = 0.01}), loss = F.mse_loss, epochs = 2, quiet = true,
    train = {{x, y}, {x, y}, {x, y}}, callbacks = {new {run = run, every = {2, "4ba"}, log_model_summary = false}},
  }
  test.equal(run.files, {"checkpoints/global_step_4/checkpoint.safetensors", "checkpoints/global_step_4/checkpoint_metrics.json",
    "checkpoints/epoch_2/checkpoint.safetensors", "checkpoints/epoch_2/checkpoint_metrics.json"})
end)

test.case("an early stop leaves its reason, stopped_epoch and restored_epoch", function()
  local run = notes()
  local values = {1, 2, 3, 4}
  fit(run, {}, {
    train.on("epoch_end", function(state) state.logs.val_loss = values[state.epoch + 1] end),
    train.EarlyStopping {patience = 2, restore_best_weights = true},
  }, 9)
  test.equal(run.tags.stop_reason, "val_loss has not improved for 2 epochs, best 1 at epoch 1")
  local last = #run.metrics
  test.equal({run.metrics[last - 1], run.metrics[last]}, {{"stopped_epoch", 2, 0}, {"restored_epoch", 0, 0}})
  test.equal({run.params.monitor, run.params.patience}, {"val_loss", 2})
end)

test.case("a tracker that fails does not end the training", function()
  local run = notes()
  function run:log_metrics() error("expected by the test") end
  test.equal(#fit(run, {}, nil, 3).epoch, 3)
end)

test.case("mistakes are errors before training", function()
  test.raises("log_models = true is not available yet", new, {log_models = true})
  test.raises("every must be a number or a time", new, {every = "often"})
  test.raises("there is no active run", fit, nil, {})
end)
