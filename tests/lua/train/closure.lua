-- train.fit with optimizers that evaluate the loss several times a step.
local test, torch, train = require "test", require "torch", require "train"
local nn, F = torch.nn, torch.nn.functional

local function model()
  torch.manual_seed(5)
  return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 1))
end

local X, Y = torch.randn(10, 4), torch.randn(10, 1)

local function fit(given)
  for name, value in pairs({train = {X, Y}, batch_size = 4, shuffle = false, loss = F.mse_loss, epochs = 2, quiet = true}) do
    if given[name] == nil then given[name] = value end
  end
  return train.fit(given)
end

local function by_hand(net, optimizer, penalty)
  local evaluations, first = 0, {}
  for epoch = 1, 2 do
    local total = 0
    for begin = 0, 9, 4 do
      local x, y = X:narrow(0, begin, math.min(4, 10 - begin)), Y:narrow(0, begin, math.min(4, 10 - begin))
      local loss = optimizer:step(function()
        evaluations = evaluations + 1
        optimizer:zero_grad()
        local loss = F.mse_loss(net(x), y)
        if penalty then loss = loss + penalty(net) end
        loss:backward()
        return loss
      end)
      total = total + loss:item() * #x
    end
    first[epoch] = total / 10
  end
  return first, evaluations
end

for _, search in ipairs {"none", "strong_wolfe"} do
  test.case("LBFGS in train.fit is the loop by hand, line search " .. search, function()
    local options = {max_iter = 4, lr = 0.5, line_search_fn = search ~= "none" and search or nil}
    local net = model()
    torch.manual_seed(9)
    local losses, evaluations = by_hand(net, torch.optim.LBFGS(net:parameters(), options))
    local other, heard = model(), 0
    torch.manual_seed(9)
    local steps = 0
    local history = fit {model = other, optimizer = torch.optim.LBFGS(other:parameters(), options), metrics = {"mse"},
      callbacks = {{on_after_backward = function() heard = heard + 1 end, on_after_step = function() steps = steps + 1 end}}}
    test.equal({heard, steps}, {evaluations, 6})
    for i, p in ipairs(net:parameters()) do test.truthy(torch.equal(p, other:parameters()[i])) end
    for epoch = 1, 2 do
      test.near(history.loss[epoch], losses[epoch], 1e-7)
      test.near(history.mse[epoch], losses[epoch], 1e-6)
    end
  end)
end

test.case("a hook that changes the loss does so at every evaluation", function()
  local function penalty(net) return net:parameters()[1]:abs():sum() * 0.01 end
  local net, other = model(), model()
  torch.manual_seed(9)
  by_hand(net, torch.optim.LBFGS(net:parameters(), {max_iter = 3}), penalty)
  torch.manual_seed(9)
  fit {model = other, optimizer = torch.optim.LBFGS(other:parameters(), {max_iter = 3}),
    callbacks = {{on_before_backward = function(_, state) state.loss = state.loss + penalty(other) end}}}
  for i, p in ipairs(net:parameters()) do test.truthy(torch.equal(p, other:parameters()[i])) end
end)

test.case("by name, and an optimizer of one's own", function()
  local history = fit {model = nn.Linear(4, 1), optimizer = "lbfgs", batch_size = 10}
  test.truthy(history.loss[2] < history.loss[1])
  local net, calls = nn.Linear(4, 1), 0
  local own = {needs_closure = true, param_groups = {}, zero_grad = function() net:zero_grad() end,
    step = function(_, closure) closure() calls = calls + 1 end}
  fit {model = net, optimizer = own}
  test.equal(calls, 6)
end)

test.case("what does not go with it is refused before the first step", function()
  for name, value in pairs {accumulate = 2, clip_grad_norm = 1, clip_grad_value = 1, scaler = true} do
    local net = nn.Linear(4, 1)
    test.raises(name .. ".* does not go with LBFGS", fit, {model = net, optimizer = "lbfgs", [name] = value})
  end
  local net = nn.Linear(4, 1)
  local sgd = torch.optim.SGD(net:parameters(), {lr = 0.1})
  test.raises("must be an optimizer, got a list of 2", fit, {model = net, optimizer = {sgd, torch.optim.SGD(net:parameters(), {lr = 1})}})
end)
