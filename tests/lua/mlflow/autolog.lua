-- mlflow.autolog: whose runs it begins and ends, which loops it sees, and what its switches do.
local host = require "host"
local mlflow = require "mlflow"
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F, data = torch.nn, torch.nn.functional, torch.utils.data

-- Each case has a store of its own; autolog is off again after it.
local function case(name, fn)
  test.case(name, function()
    local folder = test.tmpdir()
    mlflow.autolog {disable = true}
    while mlflow.active_run() do mlflow.end_run() end
    mlflow.set_tracking_uri("sqlite:///" .. folder .. "/mlflow.db")
    fn(folder)
    mlflow.autolog {disable = true}
    while mlflow.active_run() do mlflow.end_run() end
    test.truthy(mlflow.flush(20))
  end)
end

local X <const>, Y <const> = torch.randn(20, 2), torch.randn(20, 1)

local function fit(more)
  local net = nn.Linear(2, 1)
  local given = {model = net, optimizer = "adam", loss = "mse", train = {X, Y}, batch_size = 8, epochs = 2, quiet = true}
  for key, value in pairs(more or {}) do given[key] = value end
  return train.fit(given), net
end

local function read(run) return mlflow.get_run(run.info.run_id) end

local function steps(run, key)
  local list = {}
  for i, point in ipairs(mlflow.get_metric_history(run.info.run_id, key)) do list[i] = point.step end
  return list
end

local function values(run, key)
  local list = {}
  for i, point in ipairs(mlflow.get_metric_history(run.info.run_id, key)) do list[i] = point.value end
  return list
end

-- Runs of the store so far: the last one begun, and those before it.
local function last() return mlflow.last_active_run() end

local QUIET <const> = {log_models = false, checkpoint = false}

case("train.fit without a run gets one with a name, which ends FINISHED", function()
  mlflow.autolog(QUIET)
  local seen
  local history = fit {validation_split = 0.2, metrics = {mae = train.metrics.MAE()},
    callbacks = {train.on("train_begin", function() seen = mlflow.active_run() end)}}
  local run = last()
  test.equal(seen, run)
  test.falsy(mlflow.active_run())
  test.equal(run.info.status, "FINISHED")
  test.truthy(#run.info.run_name > 0)
  test.equal(steps(run, "loss"), {0, 1})
  test.equal(steps(run, "validation_mae"), {0, 1})
  test.equal(values(run, "val_loss"), {history.val_loss[1], history.val_loss[2]})
  local stored = read(run)
  test.equal({stored.data.params.batch_size, stored.data.params.epochs, stored.data.params.opt_name, stored.data.params.shuffle,
    stored.data.params.validation_split}, {"8", "2", "adam", "True", "0.2"})
  test.equal(stored.data.tags["mlflow.autologging"], "trainhost")
  test.equal(stored.data.tags["trainhost.version"], host.version)
  test.equal(stored.data.tags["trainhost.seed"], tostring(torch.initial_seed()))
  test.equal(stored.data.tags["trainhost.num_threads"], tostring(torch.get_num_threads()))
end)

case("inside an active run it logs there and leaves it open", function()
  mlflow.autolog(QUIET)
  local run <close> = mlflow.start_run {run_name = "mine"}
  fit()
  test.equal(mlflow.active_run(), run)
  test.equal(run.info.status, "RUNNING")
  test.equal(steps(run, "loss"), {0, 1})
end)

case("an error in the training ends its run FAILED, and leaves the script's own alone", function()
  mlflow.autolog(QUIET)
  local boom = {callbacks = {train.on("epoch_end", function() error("boom") end)}}
  test.raises("boom", fit, boom)
  test.falsy(mlflow.active_run())
  test.equal(read(last()).info.status, "FAILED")
  local run <close> = mlflow.start_run()
  test.raises("boom", fit, boom)
  test.equal({mlflow.active_run() == run, run.info.status}, {true, "RUNNING"})
end)

case("every training has a run of its own", function()
  mlflow.autolog(QUIET)
  fit()
  local first = last()
  fit()
  test.truthy(first.info.run_id ~= last().info.run_id)
end)

case("disable switches it off, and it is off before it is asked for", function()
  fit()
  mlflow.autolog(QUIET)
  mlflow.autolog {disable = true}
  fit()
  local run <close> = mlflow.start_run()
  fit()
  test.equal(read(run).data.metrics, {})
end)

case("exclusive leaves the script's own runs alone", function()
  mlflow.autolog {exclusive = true, log_models = false, checkpoint = false}
  local run = mlflow.start_run()
  fit()
  test.equal(read(run).data.metrics, {})
  run:end_run()
  fit()
  test.equal(steps(last(), "loss"), {0, 1})
end)

case("extra_tags are of the runs that it begins", function()
  mlflow.autolog {extra_tags = {team = "blue"}, log_models = false, checkpoint = false}
  fit()
  test.equal(read(last()).data.tags.team, "blue")
  local run <close> = mlflow.start_run()
  fit()
  test.equal(read(run).data.tags.team, nil)
end)

case("mlflow.callback in the list does it alone", function()
  mlflow.autolog(QUIET)
  local run <close> = mlflow.start_run()
  fit {callbacks = {mlflow.callback {step_base = 5}}}
  test.equal(steps(run, "loss"), {5, 6})
end)

case("names that host.param has logged stand", function()
  host.param("opt_maximize", "my own")
  mlflow.autolog(QUIET)
  fit()
  test.equal(read(last()).data.params.opt_maximize, "my own")
end)

case("a training with autolog is the training without it, bit for bit", function()
  local function weights()
    torch.manual_seed(5)
    local _, net = fit {epochs = 3, validation_split = 0.2}
    return net.weight:tolist()
  end
  local plain = weights()
  mlflow.autolog {every = 1, log_models = true}
  test.equal(weights(), plain)
end)

case("a model every k epochs, keep_last_models of them, and the final one", function()
  mlflow.autolog {every = "2ep", keep_last_models = 2, checkpoint = false}
  local before, folder = {}, host.file.absolute("mlruns/0/models")
  for _, name in ipairs(host.file.exists(folder) and host.file.list(folder) or {}) do before[name] = true end
  fit {epochs = 7}
  local names, root = {}, nil
  for i, model in ipairs(mlflow.search_logged_models()) do
    names[i] = model.name
    if model.name == "model" then root = model.artifact_location end
    test.equal({model.status, model.source_run_id}, {"READY", last().info.run_id})
  end
  table.sort(names)
  test.equal(names, {"epoch_6", "epoch_7", "model"})
  for _, name in ipairs(host.file.list(host.file.folder_of(host.file.folder_of(root)))) do before[name] = not before[name] end
  local kept = 0
  for _, is_new in pairs(before) do kept = kept + (is_new and 1 or 0) end
  test.equal(kept, 3)  -- the files of the others are gone
  test.truthy(host.file.read(root .. "/MLmodel"):find('\\"dtype\\": \\"float32\\"', 1, true))
  test.truthy(host.file.exists(root .. "/model.safetensors"))
end)

case("registered_model_name makes each model a version; one with an alias is kept, others go with their models", function()
  mlflow.autolog {every = 1, keep_last_models = 1, checkpoint = false, registered_model_name = "kept"}
  local client = mlflow.MlflowClient()
  fit {epochs = 3, callbacks = {train.on("epoch_end", function(state)
    if state.epoch == 1 then client:set_registered_model_alias("kept", "good", 1) end
  end)}}
  local versions = {}
  for i, version in ipairs(client:search_model_versions("name = 'kept'", {order_by = {"version_number ASC"}})) do
    versions[i] = version.version
  end
  test.equal(versions, {"1", "3", "4"})
  local names = {}
  for i, model in ipairs(mlflow.search_logged_models()) do names[i] = model.name end
  table.sort(names)
  test.equal(names, {"epoch_1", "epoch_3", "model"})
end)

case("the metrics of a model's step are the model's", function()
  mlflow.autolog {every = "2ep", checkpoint = false}
  fit {epochs = 4}
  for _, model in ipairs(mlflow.search_logged_models {filter_string = "name = 'epoch_2'"}) do
    local losses = {}
    for _, metric in ipairs(model.metrics) do
      if metric.key == "loss" then losses[#losses + 1] = metric.step end
    end
    test.equal(losses, {1})
  end
  test.equal(#mlflow.get_metric_history(last().info.run_id, "loss"), 4)
  local final = mlflow.search_logged_models {filter_string = "name = 'model' AND metrics.loss >= 0"}
  test.equal({#final, final[1].metrics[1].step}, {1, 3})
end)

case("TensorBoard's files of each phase, model_summary.txt and the checkpoint are artifacts", function()
  mlflow.autolog()
  fit {validation_split = 0.2}
  test.truthy(mlflow.flush(20))
  local root = last().info.artifact_uri
  for _, phase in ipairs {"train", "validation"} do
    test.truthy(host.file.list(root .. "/tensorboard_logs/" .. phase)[1]:find("^events%.out%.tfevents"))
  end
  test.truthy(host.file.read(root .. "/model_summary.txt"):find("Trainable params: 3\n", 1, true))
  local saved = host.checkpoint.load(root .. "/checkpoints/latest_checkpoint")
  test.equal(saved.state.epochs_done, saved.state.epoch + 1)
  local about = host.json.decode(host.file.read(root .. "/checkpoints/latest_checkpoint_metrics.json"))
  test.equal({about.epoch, about.global_step}, {saved.state.epoch, saved.state.steps_done})
  test.equal(read(last()).data.tags["mlflow.latest_checkpoint_artifact"], "checkpoints/latest_checkpoint")
end)

case("a training goes on from the checkpoint that autolog has logged, in its run", function()
  mlflow.autolog {checkpoint_save_best_only = false}
  local list = {{X, Y}, {X, Y}}
  local function begin(more)
    torch.manual_seed(7)
    local net = nn.Linear(2, 1)
    local given = {model = net, optimizer = "adam", loss = "mse", train = list, epochs = 4, quiet = true}
    for key, value in pairs(more or {}) do given[key] = value end
    train.fit(given)
    return net.weight:tolist()
  end
  local whole, run = begin(), last()
  test.truthy(mlflow.flush(20))
  test.equal(begin {resume = run.info.artifact_uri .. "/checkpoints/epoch_1/checkpoint"}, whole)
  test.equal({last().info.run_id, last().info.status}, {run.info.run_id, "FINISHED"})
  test.equal(steps(run, "loss"), {0, 1, 2, 3})  -- nothing twice
end)

case("train.state without callbacks is heard", function()
  mlflow.autolog(QUIET)
  local net = nn.Linear(2, 1)
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1})
  local state = train.state {model = net, optimizer = optimizer, epochs = 2}
  state:emit "train_begin"
  while state.epochs_done < 2 do
    state:emit "epoch_begin"
    state:emit "batch_begin"
    optimizer:zero_grad()
    local loss = F.mse_loss(net(X), Y)
    loss:backward()
    optimizer:step()
    state.logs.loss = loss:detach()
    state:emit "batch_end"
    state:emit "epoch_end"
  end
  state:emit "train_end"
  test.equal(steps(last(), "loss"), {0, 1})
  test.equal({read(last()).data.params.opt_learning_rate, last().info.status}, {"0.1", "FINISHED"})
end)

case("train.callback_list is heard, with a plain table as its state", function()
  mlflow.autolog(QUIET)
  local list, state = train.callback_list(), {logs = {}}
  for epoch = 0, 1 do
    state.logs = {loss = 1 / (epoch + 1)}
    list:emit("epoch_begin", state)
    list:emit("epoch_end", state)
  end
  list:emit("train_end", state)
  test.equal(values(last(), "loss"), {1.0, 0.5})
end)

-- One pass by hand; returns the mean loss of its samples.
local function pass(net, optimizer, loader)
  local sum = 0
  for x, y in loader:iter() do
    optimizer:zero_grad()
    local loss = F.mse_loss(net(x), y)
    loss:backward()
    optimizer:step()
    sum = sum + loss:item() * x:size(0)
  end
  return sum / #X
end

case("a loop by hand without a state: parameters, and the mean loss of each pass over its loader", function()
  mlflow.autolog(QUIET)
  local net = nn.Linear(2, 1)
  local optimizer = torch.optim.Adam(net:parameters(), {lr = 0.1})
  local loader = data.DataLoader(data.TensorDataset(X, Y), {batch_size = 8, shuffle = true})
  local want = {}
  for epoch = 1, 3 do
    want[epoch] = pass(net, optimizer, loader)
    local _ <close> = torch.no_grad()
    for x in loader:iter() do net(x) end
  end
  local run = mlflow.active_run()
  run:end_run()
  local params = read(run).data.params
  test.equal({params.batch_size, params.epochs, params.opt_name, params.opt_beta_2}, {"8", "3", "adam", "0.999"})
  test.equal(steps(run, "loss"), {0, 1, 2})
  for i, value in ipairs(values(run, "loss")) do test.near(value, want[i], 1e-6) end
end)

case("a loop by hand without a loader: the loss of each step, log_every_n_steps of them where it is given", function()
  local net = nn.Linear(2, 1)
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1})
  local function loop()
    local want = {}
    for i = 1, 4 do
      optimizer:zero_grad()
      local first, second = F.mse_loss(net(X), Y) / 2, F.mse_loss(net(X), Y) / 2
      first:backward()
      second:backward()  -- of an accumulation
      optimizer:step()
      want[i] = first:item() + second:item()
    end
    return want
  end
  mlflow.autolog(QUIET)
  local want, run = loop(), mlflow.active_run()
  test.equal({steps(run, "loss"), values(run, "loss")}, {{1, 2, 3, 4}, want})
  run:end_run()
  mlflow.autolog {log_every_epoch = false, log_every_n_steps = 2, log_models = false, checkpoint = false}
  loop()
  test.equal(steps(mlflow.active_run(), "loss"), {2, 4})
end)

case("the loss of a loop with a GradScaler is not the scaled one", function()
  mlflow.autolog(QUIET)
  local net, scaler = nn.Linear(2, 1), torch.GradScaler("cpu")
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1})
  local loss = F.mse_loss(net(X), Y)
  scaler:scale(loss):backward()
  scaler:step(optimizer)
  scaler:update()
  test.equal(values(mlflow.active_run(), "loss"), {loss:item()})
end)

case("two optimizers of a loop by hand", function()
  mlflow.autolog(QUIET)
  local nets, optimizers = {nn.Linear(2, 1), nn.Linear(2, 1)}, {}
  for i, net in ipairs(nets) do optimizers[i] = torch.optim.SGD(net:parameters(), {lr = i / 10}) end
  for i, net in ipairs(nets) do
    F.mse_loss(net(X), Y):backward()
    optimizers[i]:step()
  end
  local run = mlflow.active_run()
  local params = read(run).data.params
  test.equal({params.opt_learning_rate, params.opt_2_learning_rate}, {"0.1", "0.2"})
  test.equal({steps(run, "loss"), steps(run, "loss_2")}, {{1}, {1}})
end)

case("what follows a loop by hand has a run of its own", function()
  mlflow.autolog(QUIET)
  local net = nn.Linear(2, 1)
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1})
  F.mse_loss(net(X), Y):backward()
  optimizer:step()
  local first = mlflow.active_run()
  fit()
  test.equal(first.info.status, "FINISHED")
  test.equal(steps(last(), "loss"), {0, 1})
  optimizer:step()
  local second = mlflow.active_run()
  local own <close> = mlflow.start_run {run_name = "own"}
  test.equal({second.info.status, own.info.run_name}, {"FINISHED", "own"})
end)

case("the trials of lr_find are no training", function()
  mlflow.autolog(QUIET)
  local net = nn.Linear(2, 1)
  train.lr_find {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, train = {X, Y}, num = 10}
  test.falsy(mlflow.active_run())
end)

case("a dry run logs nothing", function()
  mlflow.autolog()
  local before = last()
  fit {dry_run = true}
  test.equal(last(), before)
end)

test.case("mistakes", function()
  test.raises("mlflow.autolog: `log_every_n_steps` must be None if", mlflow.autolog, {log_every_n_steps = 2})
  test.raises("mlflow.autolog: exclusive must be true or false", mlflow.autolog, {exclusive = 1})
  test.raises("mlflow.autolog: unknown keyword string \"log_model\"", mlflow.autolog, {log_model = true})
  test.raises("keras_model_kwargs must be a table", mlflow.autolog, {keras_model_kwargs = 1})
  mlflow.autolog {disable = true, saved_model_kwargs = {}, keras_model_kwargs = {}, disable_for_unsupported_versions = true}
end)

case("the evaluations of a closure are no sum: the loss of a step is the last of them", function()
  mlflow.autolog(QUIET)
  local net, loss = nn.Linear(2, 1), nil
  local lbfgs = torch.optim.LBFGS(net:parameters(), {lr = 0.1, max_iter = 4})
  lbfgs:step(function()
    net:zero_grad()
    loss = F.mse_loss(net(X), Y)
    loss:backward()
    return loss
  end)
  local sgd = torch.optim.SGD(net:parameters(), {lr = 0.1})
  F.mse_loss(net(X), Y):backward()  -- a try that zero_grad forgets
  sgd:zero_grad()
  local parts = {F.mse_loss(net(X), Y) / 2, F.l1_loss(net(X), Y) / 2}
  for _, part in ipairs(parts) do part:backward() end
  sgd:step()
  local run = mlflow.active_run()
  test.equal(#values(run, "loss"), 1)
  test.near(values(run, "loss")[1], loss:item(), 1e-6)
  test.near(values(run, "loss_2")[1], parts[1]:item() + parts[2]:item(), 1e-6)
end)

-- A loop of three epochs by hand: a step for each batch, after which `look(epoch)` does as it likes; the mean losses.
local function loop_by_hand(loader, draw, look)
  local net = nn.Linear(2, 1)
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1})
  local means = {}
  for epoch = 1, 3 do
    local sum = 0
    for x, y in loader:iter() do
      draw()
      optimizer:zero_grad()
      local loss = F.mse_loss(net(x), y)
      loss:backward()
      optimizer:step()
      sum = sum + loss:item() * x:size(0)
      look(epoch, net)
    end
    means[epoch] = sum / #X
  end
  return means
end

case("the pass of an epoch is that of its own loader, whatever other loaders are asked for meanwhile", function()
  local function loader(size) return data.DataLoader(data.TensorDataset(X, Y), {batch_size = size}) end
  local function nothing() end
  local valid, unlabelled = loader(4), loader(3)
  local function peek(epoch, net)  -- without no_grad
    if epoch == 3 then return end
    for x, y in valid:iter() do
      F.mse_loss(net(x), y):item()
      if epoch == 2 then break end
    end
  end
  local under_way
  local function cycle()
    if under_way and under_way[1](under_way[2], under_way[3]) then return end
    under_way = {unlabelled:iter()}
    under_way[1](under_way[2], under_way[3])
  end
  for _, way in ipairs {{nothing, peek}, {cycle, nothing}} do
    mlflow.autolog(QUIET)
    local want = loop_by_hand(loader(8), way[1], way[2])
    local run = mlflow.active_run()
    test.equal(steps(run, "loss"), {0, 1, 2})  -- the pass is over: it waits for no other one
    for i, value in ipairs(values(run, "loss")) do test.near(value, want[i], 1e-6) end
    run:end_run()
    test.equal(read(run).data.params.epochs, "3")
  end
end)

case("two optimizers that take turns over two loaders have epochs of their own; the rest of an accumulation is of its pass", function()
  mlflow.autolog(QUIET)
  local loaders, nets, optimizers, want = {}, {}, {}, {{}, {}}
  for i = 1, 2 do
    loaders[i] = data.DataLoader(data.TensorDataset(X, Y), {batch_size = #X // 4})
    nets[i] = nn.Linear(2, 1)
    optimizers[i] = torch.optim.SGD(nets[i]:parameters(), {lr = 0.1})
  end
  for epoch = 1, 2 do
    for i, loader in ipairs(loaders) do
      local sum = 0
      for k, batch in loader:enumerate() do
        local loss = F.mse_loss(nets[i](batch[1]), batch[2]) / 3
        loss:backward()
        sum = sum + loss:item() * (k < 3 and 3 or 1)
        if k == 2 then
          optimizers[i]:step()
          optimizers[i]:zero_grad()
        end
      end
      optimizers[i]:step()
      optimizers[i]:zero_grad()
      want[i][epoch] = sum / 4
    end
  end
  local run = mlflow.active_run()
  for i, key in ipairs {"loss", "loss_2"} do
    test.equal(steps(run, key), {0, 1})
    for k, value in ipairs(values(run, key)) do test.near(value, want[i][k], 1e-6) end
  end
  run:end_run()
  test.equal(read(run).data.params.epochs, "2")
end)
