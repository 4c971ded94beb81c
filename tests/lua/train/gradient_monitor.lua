-- train.GradientMonitor: norms by layer, warnings that name it, interventions, histograms, activations.
local test = require "test"
local torch = require "torch"
local train = require "train"
local nn, F = torch.nn, torch.nn.functional

local function network()
  torch.manual_seed(2)
  return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
end

local function batches(count)
  torch.manual_seed(1)
  local list = {}
  for i = 1, count do list[i] = {torch.randn(4, 3), torch.randn(4, 1)} end
  return list
end

-- A loop by hand: step k has the gradients that `set(k, parameters by name)` puts there. Returns what was said and the state.
local function drive(options, steps, set, step_size)
  local net, said = network(), {}
  local monitor = train.GradientMonitor(options)
  local optimizer = torch.optim.SGD(net:parameters(), {lr = step_size or 1e-3})
  local state = train.state {model = net, optimizer = optimizer, callbacks = {monitor,
    {on_train_begin = function() end, say = function(_, text) said[#said + 1] = text end}}}
  local by_name, trace = {}, {}
  for name, tensor in net:named_parameters() do by_name[name] = tensor end
  state:emit("train_begin")
  state:emit("epoch_begin")
  for k = 1, steps do
    state:emit("batch_begin")
    for _, tensor in pairs(by_name) do tensor.grad = torch.ones_like(tensor):detach() end
    set(k, by_name)
    state:emit("before_step")
    trace[k] = {norm = nn.utils.get_grad_norm(net:parameters()):item(), skipped = state.skip_step, log = state.logs.grad_norm}
    if not state.skip_step then
      optimizer:step()
      state:emit("after_step")
    end
    state.skip_step = nil
    state:emit("batch_end")
  end
  state:emit("epoch_end")
  state:emit("train_end")
  return said, state, trace, monitor
end

local function matching(said, pattern)
  local found = {}
  for _, text in ipairs(said) do
    if text:find(pattern, 1, true) then found[#found + 1] = text end
  end
  return found
end

test.case("logs the norm of each layer and of all, read before clipping", function()
  local monitor, seen = train.GradientMonitor {log_freq = 1, clip = 0.01}, nil
  local net, net2 = network(), network()
  local data = batches(1)
  train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, train = data, epochs = 1,
    quiet = true, clip_grad_norm = 0.001, callbacks = {monitor, {on_batch_end = function(_, state)
      seen = {state.logs.grad_norm, state.logs["grad_norm/0"], state.logs["grad_norm/2"]}
    end}}}
  F.mse_loss(net2(data[1][1]), data[1][2]):backward()
  local function norm(...) return nn.utils.get_grad_norm({...}):item() end
  test.near(seen, {norm(table.unpack(net2:parameters())), norm(net2[0].weight, net2[0].bias),
    norm(net2[2].weight, net2[2].bias)}, 1e-6)
end)

test.case("clips each step to `clip`, whatever log_freq is", function()
  local _, _, trace = drive({log_freq = 5, clip = 0.5, verbose = false}, 4, function() end)
  for k = 1, 4 do test.near(trace[k].norm, 0.5, 1e-5) end
end)

test.case("reads every log_freq steps; the epoch's log is the mean of what was read", function()
  local said, state, trace = drive({log_freq = 2, update_ratio = false, spike = 1e9}, 4, function(k, p)
    for _, tensor in pairs(p) do tensor.grad:fill_(k) end
  end)
  local one = math.sqrt(21)  -- values
  test.near({trace[1].log, trace[2].log, trace[3].log, trace[4].log}, {one, one, 3 * one, 3 * one}, 1e-5)
  test.near(state.logs.grad_norm, 2 * one, 1e-5)
  test.equal(said, {})
end)

test.case("vanishing and exploding gradients are told once with the layer's name, and again after they recovered", function()
  local said = drive({log_freq = 1, update_ratio = false, spike = 1e30}, 8, function(k, p)
    if k ~= 5 then p["0.weight"].grad:fill_(1e-10) p["0.bias"].grad:fill_(0) end
    if k > 2 then p["2.weight"].grad:fill_(1e6) end
  end)
  local vanishing = matching(said, "vanishing gradient: the norm of layer '0' (Linear)")
  test.equal(#vanishing, 2)
  test.truthy(vanishing[1]:find("step 1:", 1, true))
  test.truthy(vanishing[2]:find("step 6:", 1, true))
  test.equal(#matching(said, "exploding gradient: the norm of layer '2' (Linear) is 2e+06"), 1)
  test.equal(#said, 3)
end)

test.case("a spike against the running median is told, with the layer", function()
  local said, _, _, monitor = drive({log_freq = 1, update_ratio = false}, 12, function(k, p)
    if k == 9 then p["2.bias"].grad:fill_(1000) end
  end)
  test.equal(#said, 1)
  test.truthy(said[1]:find("step 9: the gradient's norm 1000.0", 1, true), said[1])
  test.truthy(said[1]:find("is a spike: 218.", 1, true), said[1])
  test.truthy(said[1]:find("most of it in layer '2' (Linear)", 1, true), said[1])
  test.equal(#monitor.recent, 12)
end)

test.case("a spike that is above max_norm too is told of once", function()
  local said = drive({log_freq = 1, update_ratio = false, max_norm = 50, policy = "skip"}, 12, function(k, p)
    if k == 9 then p["2.bias"].grad:fill_(1000) end
  end)
  test.equal(#matching(said, "step 9: "), 1)
  test.truthy(said[1]:find("is above max_norm = 50, a spike: 218.", 1, true), said[1])
  test.truthy(said[1]:find("layer '2' (Linear); the step is left out", 1, true), said[1])
end)

test.case("the running median is that of the last values", function()
  local recent = {}
  local median = require "train.running_median"(recent)
  for i, value in ipairs {5, 1, 4, 1, 3, 9} do
    median:push(value, 4)
    test.equal(median:value(), ({5, 3.0, 4, 2.5, 2.0, 3.5})[i])
  end
  test.equal(recent, {4, 1, 3, 9})
end)

test.case("a norm that grows tenfold within ten steps is a spike, one that grows slowly is none", function()
  local said = drive({log_freq = 1, update_ratio = false, spike = 10}, 40, function(k, p)
    for _, tensor in pairs(p) do tensor.grad:fill_(1.05 ^ k) end
  end)
  test.equal(said, {})
end)

test.case("max_norm warns once; policies clip, skip, stop and call", function()
  local function large(k, p) if k == 3 then p["0.weight"].grad:fill_(100) end end
  local quiet = {log_freq = 10, update_ratio = false, max_norm = 10}
  local function with(policy)
    quiet.policy = policy
    return drive(quiet, 4, large)
  end
  local said = drive({log_freq = 1, update_ratio = false, max_norm = 10}, 4, large)
  test.equal(#matching(said, "is above max_norm = 10, most of it in layer '0' (Linear)"), 1)
  local _, _, trace = with "clip"
  test.near(trace[3].norm, 10, 1e-3)
  test.near(trace[2].norm, math.sqrt(21), 1e-3, "others are left alone")
  _, _, trace = with "skip"
  test.equal({not trace[2].skipped, trace[3].skipped, not trace[4].skipped}, {true, true, true})
  local _, state = with "stop"
  test.truthy(state.stop_reason:find("the gradient's norm is 346", 1, true))
  local events = {}
  quiet.policy = function(_, event) events[#events + 1] = event end
  drive(quiet, 4, large)
  test.equal(#events, 1)
  test.equal({events[1].kind, events[1].layer, events[1].step, events[1].bound}, {"max_norm", "0", 2, 10})
end)

test.case("parameters without gradient are listed once", function()
  local said, _, _, monitor = drive({log_freq = 1, update_ratio = false}, 3, function(_, p) p["2.bias"].grad = nil end)
  test.equal(said, {"warning: GradientMonitor: 1 parameter without gradient: 2.bias"})
  test.equal(monitor.without_gradient, {"2.bias"})
  said = drive({log_freq = 1, update_ratio = false}, 2, function(_, p)
    p["2.bias"]:requires_grad_(false)
    p["2.bias"].grad = nil
  end)
  test.equal(said, {}, "a frozen one has none to have")
end)

test.case("the update of each layer against its weights is logged, out of bounds with a warning", function()
  local said, state = drive({log_freq = 1}, 1, function() end, 0.01)
  local net = network()
  local function norm(...) return nn.utils.get_total_norm({...}):item() end
  test.near(state.logs["update_ratio/0"], 0.01 * 4 / norm(net[0].weight, net[0].bias), 1e-5)
  test.near(state.logs["update_ratio/2"], 0.01 * math.sqrt(5) / norm(net[2].weight, net[2].bias), 1e-5)
  test.equal(said, {})
  said = drive({log_freq = 1}, 3, function() end, 1e-7)
  test.equal(#matching(said, "the update of layer '0' (Linear) is"), 1)
  test.equal(#matching(said, "of its weights, below 1e-05"), 2)
  said = drive({log_freq = 1}, 2, function() end, 1)
  test.equal(#matching(said, "of its weights, above 0.1"), 2)
end)

test.case("histograms of weights, gradients and activations are in state.histograms", function()
  local net, seen, handles = network(), nil, {}
  train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss, train = batches(3),
    epochs = 1, quiet = true, callbacks = {
      train.GradientMonitor {log_freq = 2, verbose = false, histograms = true, activations = true, bins = 8},
      {on_batch_end = function(_, state)
        seen = state.histograms
        handles[#handles + 1] = state.logs["activation_norm/1"]
      end}}}
  for _, name in ipairs {"weights/0.weight", "gradients/0.weight", "activations/0"} do
    local h = seen[name]
    test.equal({#h.counts, #h.edges}, {8, 9}, name)
    local sum = 0
    for _, count in ipairs(h.counts) do sum = sum + count end
    test.equal(sum, h.count, name)
    test.equal(h.count, name == "activations/0" and 16 or 12)
  end
  test.equal(handles[1], handles[2], "of a step that is not read the last reading stands")
  test.truthy(handles[3] ~= handles[2] and handles[3] > 0 and handles[3] <= 1)
end)

-- Seven steps of gradients of 1, of which `large` have 100 times that.
local function drive_large(options, large)
  return drive(options, 7, function(k, p)
    for _, tensor in pairs(p) do tensor.grad:mul_(large[k] and 100 or 1) end
  end)
end

test.case("what a policy has done is told with the warning and counted at the end", function()
  local given = {log_freq = 1, policy = "clip", max_norm = 10, spike = 1e6, update_ratio = false}
  local said, _, _, monitor = drive_large(given, {[3] = true, [4] = true, [6] = true})
  test.equal(#matching(said, "is above max_norm = 10"), 2, "once, until it recovers")
  test.equal(#matching(said, "; clipped to 10"), 2)
  test.equal(said[#said], "GradientMonitor: clipped the gradients of 3 steps")
  test.equal(monitor.interventions, 3)
  given.policy = "skip"
  said, _, _, monitor = drive_large(given, {[3] = true})
  test.equal(#matching(said, "; the step is left out"), 1)
  test.equal({said[#said], monitor.interventions}, {"GradientMonitor: left out 1 step", 1})
  given.policy = "stop"
  test.equal(#matching(drive_large(given, {[7] = true}), "; the training stops"), 1)
  given.policy = "warn"
  test.equal(#drive_large(given, {[7] = true}), 1)
  given.policy, given.verbose = "clip", false
  test.equal(drive_large(given, {[7] = true}), {})
end)

test.case("a policy without max_norm says that it is about spikes alone", function()
  local said = drive_large({log_freq = 1, policy = "clip", update_ratio = false}, {[2] = true, [7] = true})
  test.equal(said[1], 'GradientMonitor: policy = "clip" without max_norm is about spikes alone: norms above 10 times the running median')
  test.equal(said[#said], "GradientMonitor: clipped the gradients of 1 step")
  test.equal(#matching(said, "is a spike"), 1)
  test.equal(drive_large({log_freq = 1, policy = "clip", max_norm = 1e6, update_ratio = false}, {}), {})
end)

test.case("the hooks are gone at the end, after an error too", function()
  local net = network()
  local function hooks_run()
    local count = 0
    local monitor = train.GradientMonitor {log_freq = 1, activations = true}
    pcall(train.fit, {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}), loss = F.mse_loss,
      train = batches(2), epochs = 1, quiet = true, callbacks = {monitor,
        {on_before_step = function(_, state) if state.step == 1 then error("broken") end end}}})
    if monitor._activations then count = count + 1 end
    return count
  end
  test.equal(hooks_run(), 0)
end)

test.case("does not change the training", function()
  local function weights_after(callbacks)
    local net = network()
    train.fit {model = net, optimizer = torch.optim.Adam(net:parameters(), {lr = 0.01}), loss = F.mse_loss, train = batches(5),
      epochs = 2, quiet = true, callbacks = callbacks}
    return net:get_parameter("0.weight"):detach()
  end
  test.equal(weights_after {train.GradientMonitor {log_freq = 1, activations = true, histograms = true, verbose = false}},
    weights_after {}, "bit for bit")
end)

test.case("norms are right for values that a float cannot square, for doubles and for many values", function()
  local list = require "train.layers"
  local function norms(tensors)
    local net = nn.Module()
    for i, tensor in ipairs(tensors) do net:register_parameter("p" .. i, nn.Parameter(tensor)) end
    local known = list.new {model = net}
    for _, tensor in ipairs(known.tensors) do tensor.grad = tensor:detach():clone() end
    return known:gradient_norms()
  end
  torch.manual_seed(5)
  local long = torch.randn(100003)
  local got = norms {torch.full({100}, 1e25), torch.full({100}, 1e-30), torch.full({7}, 2, {dtype = torch.float64}), long,
    torch.tensor {1, 0 / 0}, torch.tensor {math.huge}, torch.ones(3, 3):t(), torch.zeros(5)}
  test.near(got[1] / 1e26, 1, 1e-6)
  test.near(got[2] / 1e-29, 1, 1e-6)
  test.near(got[3], math.sqrt(28), 1e-12)
  test.near(got[4], long:to(torch.float64):norm():item(), 1e-3)
  test.truthy(got[5] ~= got[5])
  test.equal({got[6], got[7], got[8]}, {math.huge, 3.0, 0.0})
end)

test.case("sparse gradients are clipped, complex weights counted by their absolute values", function()
  local embedding = nn.Embedding(7, 4, {sparse = true})
  local optimizer = torch.optim.SGD(embedding:parameters(), {lr = 0.1})
  local state = train.state {model = embedding, optimizer = optimizer,
    callbacks = {train.GradientMonitor {clip = 0.5, max_norm = 1, policy = "clip", verbose = false}}}
  state:emit("train_begin")
  state:emit("epoch_begin")
  embedding(torch.tensor {1, 2, 1}):sum():backward()
  state:emit("before_step")
  test.near(state.logs.grad_norm, math.sqrt(4 * (4 + 1)), 1e-5)
  test.near(embedding.weight.grad:coalesce():values():norm():item(), 0.5, 1e-5)
  test.equal(embedding.weight.grad.is_sparse, true)

  local weight = nn.Parameter(torch.complex(torch.tensor {3.0, 0.0}, torch.tensor {4.0, -1.0}))
  local counted
  local said = test.warnings(function() counted = require "train.histogram"(weight, 4) end)
  test.equal({counted.min, counted.max, counted.count, said}, {1.0, 5.0, 2, {}})
end)
