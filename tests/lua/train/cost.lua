-- What train.fit costs beside a loop by hand: counts, no times.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local function network()
  torch.manual_seed(1)
  local net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
  return net, torch.optim.SGD(net:parameters(), {lr = 0.1})
end

local function list(count, device)
  local batches = {}
  for i = 1, count do
    batches[i] = {torch.ones({2, 4}, {device = device}), torch.zeros({2}, {dtype = torch.int64, device = device})}
  end
  return batches
end

local function by_hand(batches)
  local net, optimizer = network()
  local total, count = 0, 0
  for _, batch in ipairs(batches) do
    optimizer:zero_grad()
    local loss = F.cross_entropy(net(batch[1]), batch[2])
    loss:backward()
    optimizer:step()
    total, count = total + loss:item() * #batch[1], count + #batch[1]
  end
  return total / count
end

local function fit(batches)
  local net, optimizer = network()
  return train.fit{model = net, optimizer = optimizer, loss = F.cross_entropy, train = batches, epochs = 1, quiet = true,
    attach = false}.loss[1]
end

local function counted(mask, f)
  local count = 0
  debug.sethook(function() count = count + 1 end, mask, mask == "" and 1 or 0)
  f()
  debug.sethook()
  return count
end

-- What a batch more costs.
local function per_step(mask, loop)
  local few, many = list(5), list(25)
  local function once(batches) return counted(mask, function() loop(batches) end) end
  once(few)
  return (once(many) - once(few)) / 20
end

test.case("a step costs few instructions and calls more than that of a loop by hand", function()
  test.equal(fit(list(7)), by_hand(list(7)))
  test.truthy(per_step("", fit) - per_step("", by_hand) < 400, per_step("", fit) - per_step("", by_hand))
  test.truthy(per_step("c", fit) - per_step("c", by_hand) < 32, per_step("c", fit) - per_step("c", by_hand))
end)

test.case("on a device nothing is read before the epoch ends", function()
  local net, steps = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)):to("meta"), 0  -- whose values nobody can read
  test.raises("_local_scalar_dense", train.fit, {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}),
    loss = F.cross_entropy, train = list(5, "meta"), epochs = 1, quiet = true, metrics = {accuracy = train.metrics.Accuracy()},
    callbacks = {{on_batch_end = function() steps = steps + 1 end}}})
  test.equal(steps, 5)
end)

test.case("a progress bar reads the metrics when it is drawn, not at every batch", function()
  local now, drawn, read = 0, 0, 0
  local metric = {reset = function() end, update = function() end, result = function()
    read = read + 1
    return 1
  end}
  local net, optimizer = network()
  local bar = train.Progress{bar = true, summary = false, clock = function() return now end, write = function(text)
    if text:find("\27[2K", 1, true) and not text:find("\n", 1, true) then drawn = drawn + 1 end
  end}
  train.fit{model = net, optimizer = optimizer, loss = F.cross_entropy, train = list(101), epochs = 1, quiet = true,
    metrics = {own = metric}, callbacks = {{on_batch_begin = function() now = now + 0.015625 end}, bar}}
  test.equal(drawn, 25)
  test.equal(read, drawn + 1, "and once at the end of the epoch")
end)

test.case("what is put off to an event that nobody hears is done there", function()
  local net, optimizer = network()
  local seen = {}
  local later = {on_batch_begin = function(_, state)
    for _, event in ipairs {"before_backward", "before_step", "after_step"} do
      state:after(event, function() seen[#seen + 1] = event end)
    end
  end}
  train.fit{model = net, optimizer = optimizer, loss = F.cross_entropy, train = list(1), epochs = 1, quiet = true,
    callbacks = {later}}
  test.equal(seen, {"before_backward", "before_step", "after_step"})
end)
