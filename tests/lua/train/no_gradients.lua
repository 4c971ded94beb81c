-- An optimizer over parameters that the loss does not reach is told of at the first step, once; a loss that reaches none
-- is an error.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn = torch.nn

local X, Y = torch.randn(8, 2), torch.randn(8, 1)

local function warnings(model, optimizer, more)
  local given = {model = model, optimizer = optimizer, loss = "mse", train = {X, Y}, batch_size = 4, epochs = 2, quiet = true}
  for key, value in pairs(more or {}) do given[key] = value or nil end
  return test.warnings(function() train.fit(given) end)
end

local function sgd(parameters) return torch.optim.SGD(parameters, {lr = 0.1}) end

test.case("the optimizer of another model", function()
  local said = warnings(nn.Linear(2, 1), sgd(nn.Linear(2, 1):parameters()))
  test.equal(said, {"train.fit: none of the optimizer's 2 parameters has a gradient after the first backward, nothing is trained " ..
    "(none of them is the model's: the optimizer takes model:parameters())"})
  test.equal(#warnings(nn.Linear(2, 1), sgd(nn.Linear(2, 1):parameters()), {accumulate = 2}), 1)
  test.equal(#warnings(nn.Linear(2, 1), torch.optim.Adam(nn.Linear(2, 1):parameters()), {clip_grad_norm = 1}), 1)
end)

test.case("a loss that is not made of the model's output", function()
  local apart = torch.zeros(1, {requires_grad = true})
  local said = warnings(nn.Linear(2, 1), "sgd", {loss = false, step = function() return (apart ^ 2):sum() end})
  test.truthy(said[1]:find("has a gradient after the first backward, nothing is trained (is the loss made of", 1, true), said[1])
  test.equal(#said, 1)
end)

test.case("a model that is frozen in part, or trained with others, is left in peace", function()
  local function network() return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)) end
  local net = network()
  net[0]:requires_grad_(false)
  test.equal(warnings(net, sgd(net:parameters())), {})
  net = network()
  test.equal(warnings(net, sgd {net[2].bias}), {}, "one of the parameters")
  test.equal(warnings(network(), "sgd"), {})
  local unused, model = nn.Linear(2, 1), network()
  local both = model:parameters()
  for _, parameter in ipairs(unused:parameters()) do table.insert(both, 1, parameter) end
  test.equal(warnings(model, sgd(both)), {})
  local noise = torch.zeros(8, 2, {requires_grad = true})
  test.equal(warnings(nn.Linear(2, 1), sgd {noise}, {loss = false, batch_size = 8,
    step = function(state, batch) return (state.model(noise) - batch[2]):pow(2):mean() end}), {}, "an input that is trained")
end)

test.case("a loss that requires no gradient", function()
  local frozen = nn.Linear(2, 1):requires_grad_(false)
  local told = "train.fit: the loss requires no gradient: element 0 of tensors does not require grad.-all parameters are frozen"
  test.raises(told, warnings, frozen, "sgd")
  test.raises(told, warnings, nn.Linear(2, 1), "sgd", {loss = function(output, target)
    return nn.functional.mse_loss(output:detach(), target)
  end})
end)
