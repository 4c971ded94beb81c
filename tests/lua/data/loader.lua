-- DataLoader: batches, order, position, workers, samplers, and what is refused.
local test = require "test"
local torch = require "torch"
local data = torch.utils.data

local function numbers(count) return data.TensorDataset(torch.arange(count), torch.arange(count):mul(10)) end

-- The first fields of all batches of one pass, as one list.
local function pass(loader)
  local seen = {}
  for x in loader:iter() do
    for _, v in ipairs(x:tolist()) do seen[#seen + 1] = v end
  end
  return seen
end

local function sorted(list)
  local copy = table.move(list, 1, #list, 1, {})
  table.sort(copy)
  return copy
end

test.case("batches come in order, the last one ragged or dropped", function()
  local loader = data.DataLoader(numbers(10), {batch_size = 4})
  test.equal(#loader, 3)
  local sizes = {}
  for x, y in loader:iter() do
    sizes[#sizes + 1] = x:size(0)
    test.equal(y:tolist()[1], x:tolist()[1] * 10)
  end
  test.equal(sizes, {4, 4, 2})
  test.equal(pass(loader), {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
  test.equal(pass(data.DataLoader(numbers(10), {batch_size = 4, drop_last = true})), {0, 1, 2, 3, 4, 5, 6, 7})
  test.equal(#data.DataLoader(numbers(3)), 3)
  test.equal(#data.DataLoader(numbers(0)), 0)
  test.equal(pass(data.DataLoader(numbers(0))), {})
end)

test.case("enumerate counts batches from 0 and gives them as tables", function()
  local seen = {}
  for i, batch in data.DataLoader(numbers(5), {batch_size = 2}):enumerate() do
    seen[#seen + 1] = {i, #batch, batch[1]:tolist()}
  end
  test.equal(seen, {{0, 2, {0, 1}}, {1, 2, {2, 3}}, {2, 2, {4}}})
end)

test.case("the order is a function of seed and epoch, whatever the number of workers", function()
  local first, second
  for _, workers in ipairs {0, 1, 3} do
    local loader = data.DataLoader(numbers(100), {batch_size = 7, shuffle = true, seed = 5, workers = workers})
    local a, b = pass(loader), pass(loader)
    first, second = first or a, second or b
    test.equal(a, first)
    test.equal(b, second)
  end
  test.equal(sorted(first), pass(data.DataLoader(numbers(100))))
  test.truthy(table.concat(first, " ") ~= table.concat(second, " "))
  local other = pass(data.DataLoader(numbers(100), {shuffle = true, seed = 6, batch_size = 7}))
  test.truthy(table.concat(first, " ") ~= table.concat(other, " "))
end)

test.case("one seed is drawn from the default generator when the loader is made, and nothing afterwards", function()
  torch.manual_seed(3)
  local loader = data.DataLoader(numbers(20), {shuffle = true})
  local after = torch.rand(3)
  torch.manual_seed(3)
  local again = data.DataLoader(numbers(20), {shuffle = true, workers = 2})
  test.equal(again.seed, loader.seed)
  test.equal(pass(again), pass(loader))
  test.equal(torch.rand(3), after)
  torch.manual_seed(3)
  data.DataLoader(numbers(20), {seed = 1})
  local undrawn = torch.rand(3)
  torch.manual_seed(3)
  test.equal(torch.rand(3), undrawn)
end)

test.case("goes on at any batch as if it had not stopped", function()
  for _, workers in ipairs {0, 2} do
    local function new(seed)
      return data.DataLoader(numbers(23), {batch_size = 4, shuffle = true, seed = seed, workers = workers})
    end
    local whole = new(9)
    pass(whole)
    local second, third = pass(whole), pass(whole)
    for stop = 0, 6 do
      local loader, seen = new(9), {}
      pass(loader)
      local state = loader:state_dict()
      for i, batch in loader:enumerate() do
        if i == stop then break end
        for _, v in ipairs(batch[1]:tolist()) do seen[#seen + 1] = v end
        state = loader:state_dict()
      end
      test.equal(state.epoch, 1)
      test.equal(state.batch, stop)
      local resumed = new(1)
      resumed:load_state_dict(state)
      test.equal(resumed:state_dict(), state)
      for i, batch in resumed:enumerate() do
        if #seen == 4 * stop then test.equal(i, stop) end
        for _, v in ipairs(batch[1]:tolist()) do seen[#seen + 1] = v end
      end
      test.equal(seen, second)
      test.equal(pass(resumed), third)
    end
  end
end)

test.case("a break ends the epoch, an error in the loop keeps the place for a checkpoint", function()
  local loader = data.DataLoader(numbers(10), {batch_size = 2, workers = 1})
  for i in loader:enumerate() do
    if i == 1 then break end
  end
  test.equal(loader:state_dict().epoch, 1)
  test.equal(loader:state_dict().batch, 0)
  pcall(function()
    for i in loader:enumerate() do
      if i == 2 then error "boom" end
    end
  end)
  local state = loader:state_dict()
  test.equal({state.epoch, state.batch}, {1, 3})
end)

test.case("a state of other data or another batch size is refused", function()
  local state = data.DataLoader(numbers(10), {batch_size = 2}):state_dict()
  local function load(set, size, change)
    local given = {}
    for key, value in pairs(state) do given[key] = value end
    for key, value in pairs(change or {}) do given[key] = value end
    data.DataLoader(set, {batch_size = size}):load_state_dict(given)
  end
  load(numbers(10), 2)
  test.raises("taken with a dataset of 10, this loader has 11", load, numbers(11), 2)
  test.raises("taken with batch_size 2, this loader has 3", load, numbers(10), 3)
  test.raises("'epoch' must be an integer", load, numbers(10), 2, {epoch = "x"})
  test.raises("an epoch has 5 batches", load, numbers(10), 2, {batch = 6})
  test.raises("'epoch' must be at least 0", load, numbers(10), 2, {epoch = -1})
  test.raises("expected a table", function() data.DataLoader(numbers(1)):load_state_dict(3) end)
end)

test.case("explicit indices and batches: lists, tensors, repeats", function()
  local set = numbers(6)
  test.equal(pass(data.DataLoader(set, {sampler = {0, 5, 3}})), {0, 5, 3})
  test.equal(pass(data.DataLoader(set, {sampler = torch.tensor {2, 2, 1}, batch_size = 2})), {2, 2, 1})
  local loader = data.DataLoader(set, {batch_sampler = {{0, 5}, torch.tensor {3}, {1, 2, 4}}, workers = 2})
  local seen = {}
  for x in loader:iter() do seen[#seen + 1] = x:tolist() end
  test.equal(seen, {{0, 5}, {3}, {1, 2, 4}})
  test.equal(loader.batch_size, nil)
  local state = loader:state_dict()
  loader:load_state_dict(state)
  test.raises("'sampler' has the index 6, expected 0 to 5", data.DataLoader, set, {sampler = {6}})
  test.raises("'batch_sampler' has the index -1", data.DataLoader, set, {batch_sampler = {{-1}}})
  test.raises("a batch of 'batch_sampler' is empty", data.DataLoader, set, {batch_sampler = {{}}})
  test.raises("sampler[2]", data.DataLoader, set, {sampler = {1, "x"}})
  test.raises("1-dimensional integer Tensor", data.DataLoader, set, {sampler = torch.rand(3)})
  test.raises("'shuffle' and 'sampler' exclude each other", data.DataLoader, set, {sampler = {1}, shuffle = true})
  test.raises("'batch_sampler' and 'batch_size' exclude", data.DataLoader, set,
    {batch_sampler = {{1}}, batch_size = 2})
end)

test.case("wrong options are usage errors that say what is expected", function()
  local set = numbers(4)
  local function refused(pattern, options)
    test.equal(test.raises(pattern, data.DataLoader, set, options).kind, "usage")
  end
  refused("unknown keyword", {batchsize = 3})
  refused("'batch_size' must be at least 1, got 0", {batch_size = 0})
  refused("'workers' must be at least 0", {workers = -1})
  refused("'workers' must be at most 1024", {workers = 1 << 40})
  refused("'prefetch' must be at least 1", {prefetch = 0})
  refused("'workers' and 'num_workers' are the same option", {workers = 1, num_workers = 1})
  refused("'workers' must be an integer", {workers = "two"})
  refused("batch_size", {batch_size = "x"})
  test.raises("expected a dataset, got number 3", data.DataLoader, 3)
  test.raises("write: for x, y in loader:iter()", function() for _ in data.DataLoader(set) do error "no" end end)
  test.equal(data.DataLoader(set, {num_workers = 1, prefetch_factor = 3}).workers, 1)
  test.equal(tostring(data.DataLoader(set, {batch_size = 2, shuffle = true})),
    "DataLoader(4 samples, 2 batches of 2, shuffled, workers 0)")
end)

test.case("many loaders with workers, left at any moment, end their threads", function()
  local function threads()
    local count = 0
    for line in io.lines "/proc/self/status" do count = tonumber(line:match "^Threads:%s*(%d+)") or count end
    return count
  end
  local set = numbers(1000)
  pass(data.DataLoader(set, {workers = 2}))
  local before = threads()
  for stop = 0, 20 do
    local loader = data.DataLoader(set, {batch_size = 3, workers = 4, shuffle = true, seed = 1})
    for i in loader:enumerate() do
      if i == stop then break end
    end
  end
  test.equal(threads(), before)
  local left = {pass = select(2, data.DataLoader(set, {workers = 3}):iter())}  -- never closed: the collector does it
  test.equal(threads(), before + 3)
  test.truthy(left.pass)
  left.pass = nil
  collectgarbage()
  test.equal(threads(), before)
end)

test.case("batches are new memory: a change in place does not reach the dataset", function()
  local x = torch.zeros(4, 2)
  for batch in data.DataLoader(data.TensorDataset(x), {batch_size = 2}):iter() do batch:add_(1) end
  test.equal(x, torch.zeros(4, 2))
end)

test.case("pin_memory has no effect without CUDA", function()
  test.equal(pass(data.DataLoader(numbers(3), {pin_memory = true})), {0, 1, 2})
end)
