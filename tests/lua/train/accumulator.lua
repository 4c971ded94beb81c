-- train.Accumulator: gradient accumulation in loops by hand.
local test = require "test"
local torch = require "torch"
local train = require "train"

local nn, F = torch.nn, torch.nn.functional

local function model()
  torch.manual_seed(3)
  return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
end

local function data(count)
  torch.manual_seed(4)
  return torch.randn(count, 3), torch.randn(count, 1)
end

-- Trains on batches of these sizes; returns the weights.
local function run(sizes, options)
  local net = model()
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9})
  local steps = train.Accumulator(optimizer, options)
  local total, first = 0, 0
  for _, size in ipairs(sizes) do total = total + size end
  local x, y = data(total)
  local stepped = {}
  for i, size in ipairs(sizes) do
    local loss = F.mse_loss(net(x:narrow(0, first, size)), y:narrow(0, first, size))
    stepped[i] = steps:backward(loss, size)
    first = first + size
  end
  stepped[#stepped + 1] = steps:step()
  return nn.utils.parameters_to_vector(net:parameters()):detach(), stepped, steps
end

-- The same in whole batches.
local function whole(sizes, clip)
  local net = model()
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9})
  local total, first = 0, 0
  for _, size in ipairs(sizes) do total = total + size end
  local x, y = data(total)
  for _, size in ipairs(sizes) do
    optimizer:zero_grad()
    F.mse_loss(net(x:narrow(0, first, size)), y:narrow(0, first, size)):backward()
    if clip then nn.utils.clip_grad_norm_(net:parameters(), clip) end
    optimizer:step()
    first = first + size
  end
  return nn.utils.parameters_to_vector(net:parameters()):detach()
end

test.case("steps as whole batches do, the last one of fewer batches and of fewer samples too", function()
  local got, stepped, steps = run({4, 4, 4, 4, 4, 2}, {every = 4})
  test.equal(stepped, {false, false, false, true, false, false, true})
  test.equal(steps.steps, 2)
  test.near(got, whole {16, 6}, 1e-6)
end)

test.case("without sample counts each batch counts the same", function()
  local x = torch.zeros(1, {requires_grad = true})
  local steps = train.Accumulator(torch.optim.SGD({x}, {lr = 1.0}), {every = 2})
  for _, slope in ipairs {2, 4, 8} do steps:backward((x * slope):sum()) end
  test.equal(x:item(), -3.0)
  test.truthy(steps:step() and not steps:step())
  test.equal(x:item(), -11.0)
end)

test.case("clips the gradients of the whole step, and a scaler changes nothing", function()
  local expected = whole({8, 8}, 0.1)
  test.near(run({4, 4, 4, 4}, {every = 2, clip_grad_norm = 0.1}), expected, 1e-6)
  local got, _, steps = run({4, 4, 4, 4}, {every = 2, clip_grad_norm = 0.1, scaler = torch.GradScaler("cpu")})
  test.near(got, expected, 1e-6)
  test.truthy(steps.grad_norm:item() > 0.1)
  test.near(run({4, 4, 4, 4}, {every = 2, scaler = torch.GradScaler("cpu")}), whole {8, 8}, 1e-6)
end)

test.case("a step with an infinite gradient is left out by the scaler, which shrinks", function()
  local x = torch.zeros(1, {requires_grad = true})
  local scaler = torch.GradScaler("cpu", {init_scale = 4.0})
  local steps = train.Accumulator(torch.optim.SGD({x}, {lr = 1.0}), {every = 2, scaler = scaler})
  for _, slope in ipairs {1, math.huge, 1, 1} do steps:backward((x * slope):sum()) end
  test.equal({x:item(), scaler:get_scale()}, {-1.0, 2.0})
end)

test.case("steps schedules once for each step of the optimizer", function()
  local x = torch.zeros(1, {requires_grad = true})
  local optimizer = torch.optim.SGD({x}, {lr = 1.0})
  local scheduler = torch.optim.lr_scheduler.StepLR(optimizer, {step_size = 1, gamma = 0.5})
  local steps = train.Accumulator(optimizer, {every = 3, scheduler = scheduler})
  for _ = 1, 6 do steps:backward(x:sum()) end
  test.equal({optimizer.param_groups[1].lr, x:item()}, {0.25, -1.5})
  local both = train.Accumulator(optimizer, {every = 1, scheduler = {scheduler}})
  both:backward(x:sum())
  test.equal(optimizer.param_groups[1].lr, 0.125)
end)

test.case("its errors name the argument", function()
  local x = torch.zeros(1, {requires_grad = true})
  local optimizer = torch.optim.SGD({x}, {lr = 1.0})
  test.raises("keyword 'every' is required", train.Accumulator, optimizer)
  test.raises("'every' must be a positive integer, got number 0", train.Accumulator, optimizer, {every = 0})
  test.raises("'optimizer' must be an optimizer, got table", train.Accumulator, {}, {every = 2})
  local steps = train.Accumulator(optimizer, {every = 2})
  test.raises("the loss must be a tensor, got number", steps.backward, steps, 3)
  test.raises("'samples' must be a positive number, got number 0", steps.backward, steps, x:sum(), 0)
end)

test.case("a backward that failed is no batch of the window", function()
  local x = torch.ones(1, {requires_grad = true})
  local steps = train.Accumulator(torch.optim.SGD({x}, {lr = 1.0}), {every = 2})
  test.raises("", steps.backward, steps, torch.ones(1):sum())  -- it has no history
  steps:backward(x:sum() * 2)
  test.equal(steps:step(), true)
  test.equal(x:item(), -1.0)
end)
