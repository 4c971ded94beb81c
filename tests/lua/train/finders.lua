-- train.lr_find and train.batch_size_find: what they suggest, and that they leave nothing behind.
local host = require "host"
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local function setup(make)
  torch.manual_seed(3)
  local net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))
  local optimizer = (make or function(p) return torch.optim.Adam(p, {lr = 0.01}) end)(net:parameters())
  local x = torch.randn(64, 3)
  local y = x:matmul(torch.tensor {{1.0}, {-2.0}, {0.5}}) + 1
  return net, optimizer, x, y
end

local function loader_of(x, y)
  return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), {batch_size = 16, shuffle = true})
end

-- Everything that a search could change.
local function everything(net, optimizer, loader)
  local all = {rng = torch.get_rng_state(), lr = optimizer.param_groups[1].lr, grads = {}, modes = {}}
  for name, tensor in pairs(net:state_dict()) do all[name] = tensor:detach():clone() end
  for i, parameter in ipairs(net:parameters()) do all.grads[i] = parameter.grad ~= nil and parameter.grad:clone() end
  for i, module in ipairs(net:modules()) do all.modes[i] = module.training end
  local states = {}
  for index, state in pairs(optimizer:state_dict().state) do
    states[index] = {}
    for name, value in pairs(state) do states[index][name] = torch.is_tensor(value) and value:clone() or value end
  end
  all.states = states
  all.loader = loader and loader:state_dict()
  return all
end

local function train_a_little(net, optimizer, x, y)
  for _ = 1, 2 do
    optimizer:zero_grad()
    F.mse_loss(net(x), y):backward()
    optimizer:step()
  end
  net[1]:eval()
end

test.case("lr_find leaves model, optimizer, loader and random numbers bit for bit as they were", function()
  for _, warm in ipairs {false, true} do
    local net, optimizer, x, y = setup()
    if warm then train_a_little(net, optimizer, x, y) end
    local loader = loader_of(x, y)
    local before = everything(net, optimizer, loader)
    train.lr_find {model = net, optimizer = optimizer, loss = F.mse_loss, train = loader, num = 20}
    test.equal(everything(net, optimizer, loader), before)
    train.lr_find {model = net, optimizer = optimizer, loss = F.mse_loss, train = {x, y}, batch_size = 8, num = 20}
    test.equal(everything(net, optimizer, loader), before, "tensors")
    test.raises("broken", train.lr_find, {model = net, optimizer = optimizer, train = loader, step = function(state, batch)
      if state.step == 3 then error("broken") end
      return F.mse_loss(state.model(batch[1]), batch[2])
    end})
    test.equal(everything(net, optimizer, loader), before, "after an error")
  end
end)

test.case("lr_find's rates are spaced exponentially, its losses smoothed, its suggestion where they fall most steeply", function()
  local net = nn.Linear(1, 1)
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 1.0})
  -- a loss that is a known function of the rate
  local function loss_at(lr) return 2 - 1 / (1 + (1e-2 / lr) ^ 2) end
  local result = train.lr_find {model = net, optimizer = optimizer, train = {{torch.ones(1, 1), torch.ones(1, 1)}},
    min_lr = 1e-4, max_lr = 1, num = 41, smoothing = 0, step = function(state, batch)
      return state.model(batch[1]):sum() * 0 + loss_at(state.optimizer.param_groups[1].lr)
    end}
  test.equal(#result.lrs, 41)
  test.near({result.lrs[1], result.lrs[11], result.lrs[21], result.lrs[41]}, {1e-4, 1e-3, 1e-2, 1}, 1e-9)
  test.near(result.losses[21], 1.5, 1e-5)
  test.near(result.suggestion, 1e-2, 1e-9)
  test.equal({result.index, result.stopped}, {21})
end)

test.case("lr_find stops where the loss explodes, and may set what it suggests", function()
  local _, _, x, y = setup()
  local net = nn.Linear(3, 1)
  local optimizer = torch.optim.SGD {{params = {net.weight}, lr = 0.2}, {params = {net.bias}, lr = 0.1}}
  local path = os.tmpname()
  local result = train.lr_find {model = net, optimizer = optimizer, loss = "mse", train = {x, y}, max_lr = 1e4, apply = true,
    plot = path}
  test.equal(result.stopped, true)
  test.truthy(#result.lrs < 100)
  test.truthy(result.suggestion and result.suggestion > 1e-5 and result.suggestion < 10, tostring(result.suggestion))
  test.near(optimizer.param_groups[1].lr, result.suggestion, 1e-12)
  test.near(optimizer.param_groups[2].lr, result.suggestion / 2, 1e-12, "groups keep their ratio")
  local file = io.open(path)
  test.truthy(file:read("a"):find("<svg", 1, true))
  file:close()
  os.remove(path)
end)

test.case("a loss that never falls has no suggestion", function()
  local net = nn.Linear(1, 1)
  local result = train.lr_find {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 1.0}), num = 20,
    train = {{torch.ones(1, 1)}}, step = function(state, batch) return state.model(batch[1]):sum() * 0 + 1 end}
  test.equal(result.suggestion, nil)
end)

test.case("lr_find checks its arguments", function()
  local net, optimizer, x, y = setup()
  local function find(more)
    local a = {model = net, optimizer = optimizer, loss = F.mse_loss, train = {x, y}}
    for key, value in pairs(more) do a[key] = value end
    return train.lr_find(a)
  end
  test.raises("train.lr_find: min_lr must be above 0", find, {min_lr = 0})
  test.raises("max_lr must be above min_lr", find, {max_lr = 1e-9})
  test.raises("num must be a whole number of 5 or more, got 2", find, {num = 2})
  test.raises("train.lr_find: model must be a module", find, {model = 5})
end)

test.case("batch_size_find doubles until memory ends, and leaves nothing behind", function()
  for _, mode in ipairs {"power", "binary"} do
    local net, optimizer, x, y = setup()
    train_a_little(net, optimizer, x, y)
    local before = everything(net, optimizer)
    local size, trials = train.batch_size_find {model = net, optimizer = optimizer, train = {x, y}, mode = mode,
      step = function(state, batch)
        if #batch[1] > 23 then torch.empty(1 << 50) end  -- no memory for that
        return F.mse_loss(state.model(batch[1]), batch[2])
      end, loader = nil}
    test.equal(size, mode == "power" and 16 or 23)
    test.equal({trials[1].batch_size, trials[2].batch_size, trials[4].ok, trials[5].ok}, {2, 4, true, false})
    test.equal(everything(net, optimizer), before)
  end
end)

test.case("batch_size_find ends at the bound, and other errors pass", function()
  local net, optimizer, x, y = setup()
  local size, trials = train.batch_size_find {model = net, optimizer = optimizer, loss = F.mse_loss, train = {x, y}, max = 24}
  test.equal({size, #trials}, {24, 5})
  test.equal(train.batch_size_find {model = net, optimizer = optimizer, loss = F.mse_loss, train = {x, y}}, 64, "all samples")
  test.equal(train.batch_size_find {model = net, optimizer = optimizer, loss = F.mse_loss, train = {x, y}, memory_limit = 1}, nil)
  test.raises("broken", train.batch_size_find, {model = net, optimizer = optimizer, train = {x, y},
    step = function() error("broken") end})
  local sizes = {}
  train.batch_size_find {model = net, optimizer = optimizer, loss = F.mse_loss, max = 4, loader = function(n)
    sizes[#sizes + 1] = n
    return {{x:narrow(0, 0, n), y:narrow(0, 0, n)}}
  end}
  test.equal(sizes, {2, 4})
end)

test.case("lr_find's picture has the rates on a logarithmic axis and marks the suggestion", function()
  local folder = test.tmpdir()
  local model = torch.nn.Linear(2, 1)
  local x = torch.randn(16, 2)
  local result = train.lr_find {model = model, optimizer = torch.optim.SGD(model:parameters(), {lr = 0.1}), loss = "mse",
    train = {x, x:sum(1, {keepdim = true})}, num = 40, min_lr = 1e-4, max_lr = 10, plot = folder .. "/lr.svg"}
  local svg = host.file.read(folder .. "/lr.svg")
  for _, text in ipairs {">learning rate<", ">0.0001<", ">0.001<", ">0.1<", (">%.3g<"):format(result.suggestion),
    "stroke-dasharray"} do
    test.truthy(svg:find(text, 1, true), text)
  end
  test.truthy(host.file.exists(result:plot(folder .. "/lr.png", {log = true})))
  -- A rate in the middle of the powers of ten stands in the middle of the axis.
  local half = train.plot({loss = {3, 2, 1}}, folder .. "/half.svg", {x = {1, 10, 100}, log_x = true, mark = 10})
  local _, _, from, middle, to = host.file.read(half):find('d="M([%d.]+) [%d.]+ ?L([%d.]+) [%d.]+ ?L([%d.]+)')
  test.near(tonumber(middle), (tonumber(from) + tonumber(to)) / 2, 0.02)
  test.raises("x has 2 values, the series 'loss' has 3", train.plot, {loss = {3, 2, 1}}, folder .. "/a.svg", {x = {1, 2}})
  test.raises("mark must be above 0 on a logarithmic axis", train.plot, {loss = {3, 2}}, folder .. "/a.svg",
    {x = {1, 2}, log_x = true, mark = 0})
end)

test.case("a momentum of sparse gradients is put back too", function()
  torch.manual_seed(4)
  local net = nn.Sequential(nn.Embedding(7, 4, {sparse = true}), nn.Linear(4, 1))
  local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9})
  local x, y = torch.randint(0, 7, {16}), torch.randn(16, 1)
  F.mse_loss(net(x), y):backward()
  optimizer:step()
  local function momentum() return optimizer:state_dict().state[0].momentum_buffer:to_dense() end
  local before, weight = momentum(), net[0].weight:detach():clone()
  train.lr_find {model = net, optimizer = optimizer, loss = F.mse_loss, train = {x, y}, batch_size = 4, num = 6}
  train.batch_size_find {model = net, optimizer = optimizer, loss = F.mse_loss, train = {x, y}}
  test.equal(momentum(), before)
  test.equal(net[0].weight:detach(), weight)
end)
