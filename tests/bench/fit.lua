-- The benchmark's subject: train.fit beside the same loop by hand, one step of each in turns, and what an event costs.
local torch, train = require "torch", require "train"
local nn, F = torch.nn, torch.nn.functional

local BATCH <const>, STEPS <const>, EPOCHS <const>, TURNS <const> = 64, 200, 8, 5
local clock <const> = require("host").cpu_clock

local function loader()
  local x, y = torch.randn(STEPS * BATCH, 784), torch.randint(0, 10, {STEPS * BATCH})
  return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), {batch_size = BATCH})
end

local function model()
  torch.manual_seed(1)
  local net = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
  return net, torch.optim.Adam(net:parameters(), {lr = 1e-3})
end

-- The loop by hand: a function that does one step, also over several epochs.
local function by_hand(data, with_accuracy)
  local net, optimizer = model()
  local total, count, hits = 0, 0, 0
  local iterate, state, xb, yb
  return function()
    if xb then xb, yb = iterate(state, xb) end
    if not xb then
      iterate, state = data:iter()
      xb, yb = iterate(state)
    end
    optimizer:zero_grad()
    local output = net(xb)
    local loss = F.cross_entropy(output, yb)
    loss:backward()
    optimizer:step()
    total, count = total + loss:item() * #xb, count + #xb
    if with_accuracy then hits = hits + output:argmax(1):eq(yb):sum():item() end
  end
end

local function fit(data, with_accuracy, epochs)
  local net, optimizer = model()
  return train.fit{model = net, optimizer = optimizer, loss = F.cross_entropy, train = data, epochs = epochs, quiet = true,
    metrics = with_accuracy and {accuracy = train.metrics.Accuracy()} or nil,
    callbacks = with_accuracy and {train.Progress{bar = true, write = function() end}} or nil}.loss[1]
end

-- What fit trains on: before each of its batches the loop by hand does a step of its own.
local function in_turns(name, with_accuracy)
  local ours, theirs, times = loader(), loader(), {}
  local data = setmetatable({}, {__len = function() return STEPS end, __index = {enumerate = function()
    local other = by_hand(theirs, with_accuracy)
    local iterate, state, control = ours:enumerate()
    local began
    return function()
      local now = clock()
      if began then times[#times + 1] = now - began end
      now = clock()
      other()
      times[#times + 1] = clock() - now
      began = clock()
      local batch
      control, batch = iterate(state, control)
      return control, batch
    end
  end}})
  fit(data, with_accuracy, EPOCHS)
  for i = 1, #times - 1, 2 do print(("%s\t%.2f\t%.2f"):format(name, times[i] * 1e6, times[i + 1] * 1e6)) end
end

-- How far such figures are to be believed: two loops by hand in turns.
local function control()
  local one, other = by_hand(loader(), false), by_hand(loader(), false)
  local function time(step)
    local now = clock()
    step()
    return (clock() - now) * 1e6
  end
  for _ = 1, EPOCHS * STEPS do print(("control\t%.2f\t%.2f"):format(time(one), time(other))) end
end

control()
in_turns("step", false)
in_turns("watched", true)

-- What is exact: instructions of Lua's machine and calls of a step, from the difference of one epoch and two.
local function counted(mask, f)
  local count = 0
  debug.sethook(function() count = count + 1 end, mask, mask == "" and 1 or 0)
  f()
  debug.sethook()
  return count
end

local function per_step(mask, f, data) return (counted(mask, function() f(2) end) - counted(mask, function() f(1) end)) / #data end

local few = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(50, 784), torch.randint(0, 10, {50})))
local function hand(epochs)
  local step = by_hand(few, false)
  for _ = 1, epochs * #few do step() end
end
for _, kind in ipairs {{"instructions", ""}, {"calls", "c"}} do
  print(("%s\t%.1f\t%.1f"):format(kind[1], per_step(kind[2], hand, few),
    per_step(kind[2], function(epochs) fit(few, false, epochs) end, few)))
end

local function event(callbacks)
  local state, count = train.state{callbacks = callbacks}, 1000000
  local began = clock()
  for _ = 1, count do state:emit("after_backward") end
  return (clock() - began) / count * 1e6
end

for _ = 1, TURNS do
  local none, one = event {}, event {{on_after_backward = function() end}}
  print(("hook\t%.4f\t%.4f"):format(none, one))
end
