-- train.LayerFreeze: schedules by epoch, patterns, gradual unfreezing.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local function network()
  torch.manual_seed(2)
  return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Linear(4, 1))
end

local function batches()
  torch.manual_seed(1)
  return {{torch.randn(4, 3), torch.randn(4, 1)}, {torch.randn(4, 3), torch.randn(4, 1)}}
end

-- Which parameters changed in each epoch.
local function changes(options, epochs, net, parameters)
  net = net or network()
  local before, changed = {}, {}
  local function copy()
    for name, tensor in pairs(net:state_dict()) do before[name] = tensor:detach():clone() end
  end
  local optimizer = torch.optim.SGD(parameters or net:parameters(), {lr = 0.1})
  train.fit {model = net, optimizer = optimizer, loss = F.mse_loss, train = batches(), epochs = epochs, quiet = true,
    callbacks = {train.LayerFreeze(options), {on_epoch_begin = copy, on_epoch_end = function(_, state)
      local names = {}
      for name, tensor in pairs(net:state_dict()) do
        if not torch.equal(tensor, before[name]) then names[name] = true end
      end
      changed[state.epoch] = names
    end}}}
  return changed, optimizer
end

test.case("layers are frozen and unfrozen at the begin of epochs, running statistics too", function()
  local changed = changes({schedule = {[0] = {freeze = {"0", "1"}}, [2] = {unfreeze = "0"}, [3] = {unfreeze = {"1"}, freeze = "3"}}}, 4)
  test.equal({changed[0]["0.weight"], changed[0]["1.running_mean"], changed[0]["2.weight"]}, {[3] = true})
  test.equal({changed[2]["0.weight"], changed[2]["1.weight"]}, {true})
  test.equal({changed[3]["1.running_mean"], changed[3]["3.weight"] or false}, {true, false})
end)

test.case("patterns and single parameters", function()
  local changed = changes({schedule = {{epoch = 0, freeze = "*.bias"}, {epoch = 1, unfreeze = "*"}}}, 1)
  test.equal({changed[0]["0.bias"] or false, changed[0]["0.weight"]}, {false, true})
  changed = changes({schedule = {[0] = {freeze = "*", unfreeze = "3"}, [1] = {unfreeze = "*"}}}, 2)
  test.equal({changed[0]["0.weight"] or false, changed[0]["3.weight"], changed[1]["0.weight"]}, {false, true, true})
end)

test.case("gradual: from the last layer on, one more every k epochs", function()
  local net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 1))
  local changed = changes({gradual = 2}, 5, net)
  for epoch, expected in pairs {[0] = {false, false, true}, [1] = {false, false, true}, [2] = {false, true, true},
    [3] = {false, true, true}, [4] = {true, true, true}} do
    local names = changed[epoch]
    test.equal({names["0.weight"] or false, names["2.weight"] or false, names["3.weight"] or false}, expected, "epoch " .. epoch)
  end
  changed = changes({gradual = 1, layers = {"0", "2"}}, 1, nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)))
  test.equal({changed[0]["0.weight"] or false, changed[0]["2.weight"]}, {false, true})
end)

test.case("what the optimizer did not have becomes a group of it", function()
  local net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
  nn.freeze(net[0])
  local changed, optimizer = changes({schedule = {[1] = {unfreeze = "0"}}, lr_factor = 0.5}, 2, net, net[1]:parameters())
  test.equal({changed[0]["0.weight"] or false, changed[1]["0.weight"]}, {false, true})
  test.equal({#optimizer.param_groups, optimizer.param_groups[2].lr}, {2, 0.05})
end)

test.case("frozen weights stay bit for bit under momentum and weight decay", function()
  local net = network()
  local before = net[0].weight:detach():clone()
  train.fit {model = net, optimizer = torch.optim.AdamW(net:parameters(), {lr = 0.1, weight_decay = 0.1}), loss = F.mse_loss,
    train = batches(), epochs = 3, quiet = true, callbacks = {train.LayerFreeze {schedule = {[0] = {freeze = "0"}}}}}
  test.equal(net[0].weight:detach(), before)
end)

test.case("a name that is not there, and wrong options, are errors before the first step", function()
  local err = test.raises("the model has no layer 'head'", changes, {schedule = {[0] = {freeze = "head"}}}, 1)
  test.equal(err.kind, "usage")
  test.raises("give schedule or gradual", train.LayerFreeze, {})
  test.raises("schedule must be by epoch", train.LayerFreeze, {schedule = {[0] = "0"}})
  test.raises("schedule%[0%] has frozen", train.LayerFreeze, {schedule = {[0] = {frozen = "0"}}})
end)
