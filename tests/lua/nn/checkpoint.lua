-- torch.utils.checkpoint with modules: equal gradients, random numbers and statistics, less memory.
local test = require "test"
local torch = require "torch"

local nn = torch.nn
local checkpoint, checkpoint_sequential = torch.utils.checkpoint.checkpoint, torch.utils.checkpoint.checkpoint_sequential
local OPTIONS <const> = {use_reentrant = false}

local function block(seed)
  torch.manual_seed(seed)
  return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 8), nn.Tanh())
end

-- Output and gradients of forward(model, x), which draws random numbers from the same seed each time.
local function gradients(model, forward)
  model:zero_grad()
  torch.manual_seed(9)
  local x = torch.randn(16, 8, {requires_grad = true})
  local out = forward(model, x)
  out:pow(2):sum():backward()
  local list = {out:detach(), x.grad, torch.get_rng_state()}
  for _, parameter in ipairs(model:parameters()) do list[#list + 1] = parameter.grad:clone() end
  return list
end

test.case("a module with dropout has the same gradients bit for bit, and leaves the same random numbers", function()
  for _, reentrant in ipairs {false, true} do
    local model = block(1)
    local plain = gradients(model, function(m, x) return m(x) end)
    local saved = gradients(model, function(m, x) return checkpoint(m, x, {use_reentrant = reentrant}) end)
    test.equal(saved, plain)
  end
end)

test.case("checkpoint_sequential of a Sequential and of a list has the same gradients bit for bit", function()
  local model = nn.Sequential(block(1), block(2), block(3), block(4))
  local plain = gradients(model, function(m, x) return m(x) end)
  for segments = 1, 4 do
    test.equal(gradients(model, function(m, x) return checkpoint_sequential(m, segments, x, OPTIONS) end), plain)
  end
  test.equal(gradients(model, function(m, x) return checkpoint_sequential(m:children(), 2, x, OPTIONS) end), plain)
end)

-- Bytes of the tensors that a forward saves for its backward and that nothing else holds.
local function saved_bytes(forward)
  local total, seen = 0, {}
  local out = torch.autograd.graph.saved_tensors_hooks(function(x)
    local at = x:untyped_storage():data_ptr()
    if not seen[at] and not x.is_leaf then total = total + x:untyped_storage():nbytes() end
    seen[at] = x
    return x
  end, function(x) return x end, forward)
  return total, out
end

test.case("keeps less memory for the backward", function()
  local model = nn.Sequential(block(1), block(2), block(3), block(4))
  local x = torch.randn(16, 8, {requires_grad = true})
  local plain = saved_bytes(function() return model(x) end)
  local less = saved_bytes(function() return checkpoint_sequential(model, 4, x, OPTIONS) end)
  test.truthy(less < plain / 2, ("%d of %d bytes"):format(less, plain))
end)

test.case("a module in a custom forward, of several inputs", function()
  local Net = nn.class("Net")
  function Net:__init(save)
    self.save = save
    self.mix = nn.Bilinear(8, 8, 8)
    self.body = block(5)
  end
  function Net:forward(x)
    if not self.save then return self.body(self.mix(x, x)) end
    return checkpoint(self.body, checkpoint(self.mix, x, x, OPTIONS), OPTIONS)
  end
  torch.manual_seed(2)
  local net = Net(false)
  local function forward(model, x) return model(x) end
  local plain = gradients(net, forward)
  net.save = true
  test.equal(gradients(net, forward), plain)
end)

test.case("BatchNorm meets a batch twice: momentum 1 - sqrt(1 - m) gives the statistics of m", function()
  local plain, saved = nn.BatchNorm1d(4), nn.BatchNorm1d(4, {momentum = 1 - math.sqrt(1 - 0.1)})
  for seed = 1, 3 do
    torch.manual_seed(seed)
    local x = torch.randn(8, 4, {requires_grad = true})
    plain(x):sum():backward()
    checkpoint(saved, x, {use_reentrant = false, early_stop = false}):sum():backward()
  end
  test.equal(saved.num_batches_tracked:item(), 6)
  test.near(saved.running_mean, plain.running_mean, 1e-6)
  test.near(saved.running_var, plain.running_var, 1e-6)
end)
