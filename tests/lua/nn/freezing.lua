-- nn.freeze and nn.unfreeze.
local test = require "test"
local torch = require "torch"

local nn, F = torch.nn, torch.nn.functional

local function net()
  return nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)), nn.Linear(4, 2))
end

local function train(model, optimizer, steps)
  for _ = 1, steps do
    model:train()
    optimizer:zero_grad()
    F.mse_loss(model(torch.randn(6, 3)), torch.randn(6, 2)):backward()
    optimizer:step()
  end
end

local function snapshot(model)
  local copy = {}
  for name, tensor in pairs(model:state_dict()) do copy[name] = tensor:clone() end
  return copy
end

local function changed(model, before)
  local names = {}
  for name, tensor in pairs(model:state_dict()) do
    if not torch.equal(tensor, before[name]) then names[#names + 1] = name end
  end
  return names
end

test.case("what is frozen stays bit-equal over training steps, running statistics too", function()
  local model = net()
  train(model, torch.optim.SGD(model:parameters(), {lr = 0.1}), 2)
  test.equal(nn.freeze(model[0]), model[0])
  local before = snapshot(model)
  train(model, torch.optim.SGD(model:parameters(), {lr = 0.1, weight_decay = 0.1}), 3)
  test.equal(changed(model, before), {"1.weight", "1.bias"})
  test.equal(model[0][1].num_batches_tracked:item(), 2)
end)

test.case("an optimizer made before, with momentum and weight decay, leaves it alone and goes on after unfreeze", function()
  local model = net()
  local optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1, momentum = 0.9, weight_decay = 0.1})
  train(model, optimizer, 2)
  nn.freeze(model[0])
  local before = snapshot(model)
  model:train()
  for _ = 1, 3 do
    optimizer:zero_grad(false)  -- zeros in place of gradients would move parameters by their momentum
    F.mse_loss(model(torch.randn(6, 3)), torch.randn(6, 2)):backward()
    optimizer:step()
  end
  test.equal(changed(model, before), {"1.weight", "1.bias"})
  nn.unfreeze(model[0])
  train(model, optimizer, 1)
  test.equal(#changed(model, before), 9)
end)

test.case("train of the module itself, of one above and of one below leaves evaluation mode", function()
  local model = net()
  nn.freeze(model[0])
  local x = torch.randn(6, 3)
  local expected = model[0](x)
  for _, each in ipairs {model, model[0], model[0][2]} do each:train() end
  model[0][1].training = true
  test.equal({model.training, model[0].training, model[0][1].training, model[0][2].training, model[1].training},
    {true, false, false, false, true})
  test.equal(model[0](x), expected)  -- no dropout, and statistics of before
end)

test.case("unfreeze gives each module the mode and each parameter the flag that it would have", function()
  local model = net()
  model[0][0].bias:requires_grad_(false)
  model[0][1]:eval()
  nn.freeze(model)
  nn.unfreeze(model)
  test.equal({model.training, model[0][1].training, model[0][2].training}, {true, false, true})
  test.equal({model[0][0].weight.requires_grad, model[0][0].bias.requires_grad}, {true, false})
  test.equal(model:state_dict()["0.0.bias"].requires_grad, false)
  nn.freeze(model)
  model:eval()
  model:requires_grad_(true)
  test.equal(model[0][0].bias.requires_grad, false)
  nn.unfreeze(model)
  test.equal({model.training, model[0][2].training, model[0][0].bias.requires_grad}, {false, false, true})
end)

test.case("freezes nest", function()
  local model = net()
  nn.freeze(model[0])
  nn.freeze(model)
  nn.freeze(model)
  test.truthy(nn.is_frozen(model[0]) and nn.is_frozen(model[1]))
  nn.unfreeze(model)
  test.equal({nn.is_frozen(model), nn.is_frozen(model[1]), nn.is_frozen(model[0]), nn.is_frozen(model[0][1])},
    {false, false, true, true})
  test.equal({model[1].weight.requires_grad, model[0][0].weight.requires_grad}, {true, false})
  nn.unfreeze(model)  -- is not frozen itself: all below it is undone
  test.equal({model[0].training, model[0][0].weight.requires_grad}, {true, true})
end)

test.case("a part of what is frozen can be unfrozen alone, and a new head is trained", function()
  local model = net()
  nn.freeze(model)
  nn.unfreeze(model[0][1])
  test.equal({model[0][1].training, model[0][1].weight.requires_grad, model[0][0].weight.requires_grad},
    {true, true, false})
  model[1] = nn.Linear(4, 2)
  model:train()
  test.equal({model.training, model[1].training, model[1].weight.requires_grad}, {false, true, true})
  local before = snapshot(model)
  train(model, torch.optim.SGD(model:parameters(), {lr = 0.1}), 1)
  test.equal(changed(model, before), {"0.1.weight", "0.1.bias", "0.1.running_mean", "0.1.running_var",
    "0.1.num_batches_tracked", "1.weight", "1.bias"})
end)

test.case("what is added to a frozen module in any way trains as under any other, until it is frozen again", function()
  local add = {
    function(model, new) model:append(new) end,
    function(model, new) model[1] = new end,
    function(model, new) model.head = new end,
    function(model, new) model:add_module("head", new) end,
  }
  for _, way in ipairs(add) do
    local model, new = nn.freeze(net()), nn.Linear(4, 2)
    way(model, new)
    local function state() return {new.training, new.weight.requires_grad, model.training, model[0][0].training} end
    test.equal(state(), {true, true, false, false})
    model:eval()
    test.equal(state(), {false, true, false, false})
    model:train()
    model:requires_grad_(false)
    test.equal(state(), {true, false, false, false})
    model:requires_grad_(true)
    test.equal({state(), model[0][0].weight.requires_grad}, {{true, true, false, false}, false})
    nn.freeze(model)
    model:train()
    test.equal(state(), {false, false, false, false})
    nn.unfreeze(model)
    test.equal({state(), model[0][0].weight.requires_grad}, {{true, true, true, true}, true})
  end
end)

test.case("a parameter tied to a frozen one is frozen until both are not", function()
  local a, b = nn.Linear(2, 2), nn.Linear(2, 2)
  b.weight = a.weight
  nn.freeze(a)
  nn.freeze(b)
  nn.unfreeze(a)
  test.equal({a.weight.requires_grad, a.bias.requires_grad}, {false, true})
  nn.unfreeze(b)
  test.equal(a.weight.requires_grad, true)
end)

test.case("a deep copy is frozen, and unfrozen apart from its original", function()
  local model = net()
  model[0][0].bias:requires_grad_(false)
  nn.freeze(model[0])
  local copy = model:deepcopy()
  copy:train()
  test.equal({copy[0].training, copy[0][1].training, copy[0][0].weight.requires_grad}, {false, false, false})
  copy:requires_grad_(true)
  test.equal(copy[0][0].weight.requires_grad, false)
  nn.unfreeze(copy[0])
  test.equal({copy[0].training, copy[0][0].weight.requires_grad, copy[0][0].bias.requires_grad}, {true, true, true})
  model:train()
  test.equal({model[0].training, model[0][0].weight.requires_grad}, {false, false})
  local part = model[0]:deepcopy()
  nn.unfreeze(part)
  test.equal({part.training, part[0].weight.requires_grad, part[0].bias.requires_grad}, {true, true, false})
end)

test.case("state dicts, hooks and the printed text are as before; states load", function()
  local model, calls = net(), 0
  model[0]:register_forward_hook(function() calls = calls + 1 end)
  local text, names = tostring(model), {}
  for name in pairs(model:state_dict()) do names[#names + 1] = name end
  nn.freeze(model)
  model(torch.randn(2, 3))
  local after = {}
  for name in pairs(model:state_dict()) do after[#after + 1] = name end
  test.equal({tostring(model), calls, after}, {text, 1, names})
  local other = net()
  model:load_state_dict(other:state_dict())
  test.equal(model[0][0].weight, other[0][0].weight)
  model:to(torch.float64)
  test.equal({model[0][0].weight.dtype, model[0][0].weight.requires_grad}, {torch.float64, false})
end)

test.case("parameters that load_state_dict assigns are frozen, and unfrozen", function()
  local model = net()
  nn.freeze(model[0])
  model:load_state_dict(net():state_dict(), {assign = true})
  test.equal(model[0][0].weight.requires_grad, false)
  nn.unfreeze(model[0])
  test.equal(model[0][0].weight.requires_grad, true)
end)

test.case("update_bn leaves frozen statistics alone", function()
  local model = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
  model(torch.randn(4, 2))
  nn.freeze(model[0])
  local before = snapshot(model)
  torch.optim.swa_utils.update_bn({torch.randn(4, 2) * 3}, model)
  test.equal(changed(model, before), {"1.running_mean", "1.running_var"})
end)

test.case("takes modules alone", function()
  test.raises("nn.freeze: argument 'module' must be a Module, got table", nn.freeze, {})
  test.raises("nn.unfreeze: argument 'module' must be a Module, got nil", nn.unfreeze)
end)
