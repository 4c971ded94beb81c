-- What a user may give by mistake: the error names it and says what to write.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local X, Y = torch.randn(8, 2), torch.randn(8, 1)

local function refuse(pattern, hint, given)
  given.model = given.model or nn.Linear(2, 1)
  for key, value in pairs {optimizer = "sgd", loss = not given.step and "mse" or nil, train = {X, Y}, epochs = 1, quiet = true} do
    if given[key] == nil then given[key] = value end
  end
  local ok, err = pcall(train.fit, given)
  test.falsy(ok, pattern)
  test.truthy(err.message:find(pattern), err.message)
  if hint then test.truthy((err.hint or ""):find(hint, 1, true), tostring(err.hint)) end
end

test.case("a class in place of what it makes", function()
  refuse("loss is the class MSELoss, expected a loss", "torch.nn.MSELoss()", {loss = nn.MSELoss})
  refuse("optimizer must be an optimizer, got the class SGD", "torch.optim.SGD(model:parameters()", {optimizer = torch.optim.SGD})
  refuse("model must be a module, got the class Linear", "call the class: Linear(...)", {model = nn.Linear})
  refuse("metric 'a' is the class AUC", "train.metrics.AUC()", {metrics = {a = train.metrics.AUC}})
  refuse("metrics must have names, got the key 1", "train.metrics.AUC()", {metrics = {train.metrics.AUC}})
  refuse("callbacks%[1%] must be a table with hooks, got the class EarlyStopping", "train.EarlyStopping{...}",
    {callbacks = {train.EarlyStopping}})
  refuse("scheduler is the class StepLR", "lr_scheduler.StepLR(optimizer)", {scheduler = torch.optim.lr_scheduler.StepLR})
end)

test.case("values of another kind are shown", function()
  refuse('epochs must be a whole number of 1 or more, got string "3"', nil, {epochs = "3"})
  refuse('got string "EarlyStopping"', "train.EarlyStopping{", {callbacks = {"EarlyStopping"}})
  refuse("loss must be a function or a module, got number 3", nil, {loss = 3})
  refuse("user must be a table, got number 3", nil, {user = 3})
  refuse('interval must be "epoch" or "step", got string "foo"', nil,
    {scheduler = {torch.optim.lr_scheduler.StepLR(torch.optim.SGD({torch.zeros(1)}, {lr = 1}), {step_size = 1}), interval = "foo"}})
  refuse('scheduler must have a method step, got string "cosine"', "torch.optim.lr_scheduler", {scheduler = "cosine"})
  refuse('the loss must be a tensor, got string "x"', nil, {step = function() return "x" end})
  local function step(parts)
    return function(state, batch) return F.mse_loss(state.model(batch[1]), batch[2]), parts end
  end
  refuse("the part 'kl' of the loss must be a number or a tensor, got string", nil, {step = step {kl = "x"}, train = {{X, Y}}})
  refuse("step must return the loss and a table of its parts, got number 3", nil, {step = step(3), train = {{X, Y}}})
  test.raises("expected a table of keywords, got Module.-train.fit{name = value}", train.fit, nn.Linear(1, 1))
end)
