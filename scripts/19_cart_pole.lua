-- Reinforcement learning in a loop by hand: REINFORCE learns to balance a pole on a cart, with the callbacks of train.fit.
--
--   trainhost scripts/19_cart_pole.lua [--set episodes=400] [--set lr=0.003] [--set gamma=0.99]
--
-- An "epoch" is 10 episodes; it ends early once the pole stands for 195 of 200 steps on the average of the last 50.
local host = require "host"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local episodes = host.param("episodes", 400, {min = 10})
local lr = host.param("lr", 3e-3, {min = 0})
local gamma = host.param("gamma", 0.99, {min = 0, max = 1})
local most_steps = host.param("steps", 200, {min = 1})
local solved = host.param("solved", 195.0)
local seed = host.param("seed", 1)

-- The cart-pole of Barto, Sutton and Anderson (1983): place, speed, angle, turn; a push to the left or to the right.
local function reset() return {(math.random() - 0.5) / 10, (math.random() - 0.5) / 10, (math.random() - 0.5) / 10, 0.0} end

local function push(s, right)
  local force, cos, sin = right and 10.0 or -10.0, math.cos(s[3]), math.sin(s[3])
  local shove = (force + 0.05 * s[4] ^ 2 * sin) / 1.1
  local turn = (9.8 * sin - cos * shove) / (0.5 * (4 / 3 - 0.1 * cos ^ 2 / 1.1))
  local speed_up = shove - 0.05 * turn * cos / 1.1
  local after = {s[1] + 0.02 * s[2], s[2] + 0.02 * speed_up, s[3] + 0.02 * s[4], s[4] + 0.02 * turn}
  return after, math.abs(after[1]) > 2.4 or math.abs(after[3]) > 0.2095
end

torch.manual_seed(seed)
math.randomseed(seed)
local policy = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2))
local optimizer = torch.optim.Adam(policy:parameters(), {lr = lr})

-- Plays one episode; returns the places it went through, what it did there, and how long it lasted.
local function play()
  local _ <close> = torch.no_grad()
  local s, places, pushes, done = reset(), {}, {}, false
  while not done and #pushes < most_steps do
    local right = math.random() < F.softmax(policy(torch.tensor(s)), 0)[1]:item()
    places[#places + 1], pushes[#pushes + 1] = s, right and 1 or 0
    s, done = push(s, right)
  end
  return places, pushes
end

-- The rewards that were still to come, discounted, against their own mean.
local function returns(count)
  local list, sum = {}, 0.0
  for i = count, 1, -1 do
    sum = 1 + gamma * sum
    list[i] = sum
  end
  local values = torch.tensor(list)
  if count < 2 then return values end
  return (values - values:mean()) / (values:std() + 1e-6)
end

local lengths = {}
local state = train.state {model = policy, optimizer = optimizer, epochs = episodes // 10, batch_count = 10, callbacks = {
  train.EarlyStopping {monitor = "length", mode = "max", patience = math.maxinteger, stopping_threshold = solved},
  train.Progress {summary = false},
}}

state:emit("train_begin")
while not state.stopping and state.epochs_done < state.epochs do
  state:emit("epoch_begin")
  local loss_mean = train.metrics.Mean()
  for _ = 1, 10 do
    state:emit("batch_begin")
    local places, pushes = play()
    local chosen = F.log_softmax(policy(torch.tensor(places)), 1):gather(1, torch.tensor(pushes):unsqueeze(1)):squeeze(1)
    local loss = -(chosen * returns(#pushes)):sum()
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
    state:emit("after_step")
    loss_mean:update(loss)
    lengths[#lengths + 1] = #pushes
    state:emit("batch_end")
  end
  local sum, first = 0, math.max(1, #lengths - 49)
  for i = first, #lengths do sum = sum + lengths[i] end
  state.logs.loss = loss_mean:result()
  state.logs.length = sum / (#lengths - first + 1)
  state:emit("epoch_end")
end
state:emit("train_end")
print(("after %d episodes the pole stands for %.0f steps"):format(#lengths, state.logs.length))
