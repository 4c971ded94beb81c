-- Arguments that end Python's process by a signal are errors here.
local test = require "test"
local torch = require "torch"

local x = torch.randn(2, 3)

test.case("embedding_bag", function()
  local weight, indices = torch.randn(5, 3), torch.tensor {0, 1, 4}
  test.equal(torch.embedding_bag(weight, indices, torch.tensor {0, 2}):size(), {2, 3})
  test.raises("weight has to be a 2D", function() torch.embedding_bag(weight[0], indices, torch.tensor {0}) end)
  test.raises("indices has to be a 1D", function()
    torch.embedding_bag(torch.randn(0, 3), torch.randint(-2, 5, {2, 4}),
      torch.randint(-2, 5, {2, 0, 3, 1}, {dtype = torch.int32}), false, 5, true)
  end)
  test.raises("offsets has to be a 1D", function() torch.embedding_bag(weight, indices, torch.tensor(0)) end)
  test.raises("per_sample_weights to have the same shape", function()
    torch.embedding_bag(weight, indices, torch.tensor {0}, false, 0, false, torch.ones(2))
  end)
end)

test.case("lstm, gru, rnn_tanh, rnn_relu", function()
  local input, state = torch.randn(4, 1, 3), torch.zeros(1, 1, 2)
  local function params(gates)
    return {torch.randn(gates * 2, 3), torch.randn(gates * 2, 2), torch.randn(gates * 2), torch.randn(gates * 2)}
  end
  test.equal(torch.gru(input, state, params(3), true, 1, 0.0, false, false, false):size(), {4, 1, 2})
  test.equal(torch.lstm(input, {state, state}, params(4), true, 1, 0.0, false, false, false):size(), {4, 1, 2})
  for _, f in ipairs {torch.rnn_tanh, torch.rnn_relu} do
    test.equal(f(input, state, params(1), true, 1, 0.0, false, false, false):size(), {4, 1, 2})
    test.raises("input to be 3-D, got 1-D", function()
      f(torch.randn(3), state, params(1), true, 1, 0.0, false, false, false)
    end)
    test.raises("expected 8 params for 2 layers, got 4", function()
      f(input, torch.zeros(2, 1, 2), params(1), true, 2, 0.0, false, false, false)
    end)
  end
  test.raises("expected 4 params for 1 layers, got 0", function()
    torch.lstm(input, {state, state}, {}, true, 1, 0.0, false, false, false)
  end)
  test.raises("two tensors %(h_0, c_0%), got 1", function()
    torch.lstm(input, {state}, params(4), true, 1, 0.0, false, false, false)
  end)
  test.raises("hx of 1 x batch x hidden size, got %[2, 3%]", function()
    torch.gru(input, x, params(3), true, 1, 0.0, false, false, false)
  end)
  test.raises("num_layers must be greater than zero, got 0", function()
    torch.gru(input, state, params(3), true, 0, 0.0, false, false, false)
  end)
  test.raises("expected params of the input's dtype", function()
    torch.gru(input:double(), state, params(3), true, 1, 0.0, false, false, false)
  end)
  test.raises("batch_sizes to be a 1D int64", function()
    torch.gru(torch.randn(4, 3), torch.tensor {1.5}, state, params(3), true, 1, 0.0, false, false)
  end)
end)

test.case("native_group_norm", function()
  for _, group in ipairs {0, -1, 2} do
    test.raises("group to be positive and to divide C %(3%), got " .. tostring(group):gsub("%-", "%%-"), function()
      torch.native_group_norm(torch.randn(1, 3, 4), nil, nil, 1, 3, 4, group, 1e-5)
    end)
  end
  test.equal(torch.native_group_norm(torch.randn(1, 3, 4), nil, nil, 1, 3, 4, 3, 1e-5):size(), {1, 3, 4})
end)

test.case("fused_moving_avg_obs_fake_quant", function()
  local function call(changes)
    local t = {
      input = x, observer_on = torch.ones(1, {dtype = torch.int64}), fake_quant_on = torch.ones(1, {dtype = torch.int64}),
      running_min = torch.zeros(1), running_max = torch.ones(1), scale = torch.ones(1),
      zero_point = torch.zeros(1, {dtype = torch.int32}), ch_axis = 0, per_row = false,
    }
    for name, value in pairs(changes or {}) do t[name] = value end
    return torch.fused_moving_avg_obs_fake_quant(t.input, t.observer_on, t.fake_quant_on, t.running_min, t.running_max,
      t.scale, t.zero_point, 0.01, 0, 255, t.ch_axis, t.per_row)
  end
  test.equal(call():size(), {2, 3})
  test.raises("scale to be float32", function() call {scale = torch.ones(1):double()} end)
  test.raises("input to be float32", function() call {input = torch.randn(2, {dtype = torch.complex64})} end)
  test.raises("observer_on to have one element", function() call {observer_on = torch.empty(0)} end)
  test.raises("zero_point to be int32", function() call {zero_point = torch.zeros(1)} end)
  test.raises("ch_axis in 0 to 1, got %-5", function() call {ch_axis = -5, per_row = true} end)
  test.raises("scale to have an element", function() call {scale = torch.empty(0)} end)
end)

test.case("linalg.eigvals", function()
  test.raises("should not contain infs or NaNs", function() torch.linalg.eigvals(torch.eye(3):mul(0 / 0)) end)
  test.equal(torch.linalg.eigvals(torch.eye(3)).real:tolist(), {1.0, 1.0, 1.0})
end)

test.case("native_batch_norm", function()
  local function call(input, weight)
    return torch.native_batch_norm(input, weight, nil, nil, nil, true, 0.1, 1e-5)
  end
  test.equal(call(x, torch.ones(3)):size(), {2, 3})
  test.raises("2 or more dimensions, got 1", function() call(torch.randn(3)) end)
  test.raises("weight should contain 3 elements, got a Tensor of %[2%]", function() call(x, torch.ones(2)) end)
  test.equal(torch._native_batch_norm_legit(x, torch.ones(3), nil, true, 0.1, 1e-5):size(), {2, 3})
  test.raises("weight should contain 3 elements, got a Tensor of %[3, 2%]", function()
    torch._native_batch_norm_legit(x, torch.ones(3, 2), torch.ones(1), false, 0.1, 0.5)
  end)
end)

test.case("lu_unpack", function()
  local lu, pivots = torch.linalg.lu_factor(torch.randn(3, 3))
  test.equal(select("#", torch.lu_unpack(lu, pivots)), 3)
  test.raises("LU_pivots to be of %[3%], got %[2%]", function()
    torch.lu_unpack(lu, torch.ones(2, {dtype = torch.int32}))
  end)
  test.raises("LU_data to have 2 or more dimensions, got 1", function() torch.lu_unpack(lu[0], pivots) end)
  test.raises("LU_pivots between 1 and 3", function() torch.lu_unpack(lu, torch.zeros(3, {dtype = torch.int32})) end)
end)

test.case("range", function()
  for _, dtype in ipairs {torch.uint8, torch.int64} do
    test.raises("step must be 1 or more", function() torch.range(1, 3, 0.5, {dtype = dtype}) end)
  end
  test.equal(torch.range(1, 2, 0.5):tolist(), {1.0, 1.5, 2.0})
  test.equal(torch.range(1, 3, 1, {dtype = torch.int64}):tolist(), {1, 2, 3})
end)

test.case("windows and borders", function()
  local image = torch.randn(1, 2, 4, 4)
  test.equal(torch.max_pool2d(image, 2):size(), {1, 2, 2, 2})
  test.equal(torch.replication_pad2d(image, {1, 1, 1, 1}):size(), {1, 2, 6, 6})
  for _, call in ipairs {
    function() torch.max_pool1d(torch.randn(1, 3), {math.maxinteger}) end,
    function() torch.max_pool2d(image, math.maxinteger) end,
    function() torch.avg_pool2d(image, {2, 1 << 40}) end,
    function() torch.replication_pad2d(image, {math.maxinteger, math.maxinteger, 2, 1}) end,
    function() torch.reflection_pad1d(torch.randn(1, 4), {math.mininteger, 1}) end,
  } do
    test.raises("below 2%^31", call)
  end
end)

test.case("backwards of max pooling take indices inside the input", function()
  local aten = torch.ops.aten
  local image, volume = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 4, 4, 4)
  local function check(input, size, call)
    local grad, good = torch.randn(size), torch.zeros(size, {dtype = torch.int64})
    test.equal(call(grad, input, good):size(), input:size())
    test.raises("indices between 0 and %d+, got 1099511627776", call, grad, input, good + (1 << 40))
    test.raises("indices between 0 and %d+, got %-1099511627776", call, grad, input, good - (1 << 40))
    test.raises("indices of the shape of grad_output", call, grad, input, good[0])
  end
  check(image, {1, 2, 2, 2}, function(grad, input, indices)
    return aten.max_pool2d_with_indices_backward(grad, input, {2, 2}, {2, 2}, {0, 0}, {1, 1}, false, indices)
  end)
  check(image, {1, 2, 2, 2}, aten.adaptive_max_pool2d_backward)
  check(volume, {1, 2, 2, 2, 2}, function(grad, input, indices)
    return aten.max_pool3d_with_indices_backward(grad, input, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}, {1, 1, 1}, false, indices)
  end)
  check(volume, {1, 2, 2, 2, 2}, aten.adaptive_max_pool3d_backward)
  test.raises("more than 2 dimensions, got 1", aten.adaptive_max_pool2d_backward, x[0], x[0],
    torch.zeros(3, {dtype = torch.int64}))
end)

test.case("pdist", function()
  local empty = torch.empty(0, 3, {requires_grad = true})
  test.raises("pdist of an input without rows has no gradient", torch.pdist, empty)
  test.equal(torch.pdist(empty:detach()):size(), {0})
  test.equal(torch.no_grad(torch.pdist, empty):size(), {0})
  local one = torch.ones(1, 3, {requires_grad = true})
  torch.pdist(one):sum():backward()
  test.equal(one.grad, torch.zeros(1, 3))
end)

test.case("segment_reduce", function()
  local data = torch.arange(6.0)
  local function reduce(options, of) return torch.segment_reduce(of or data, "sum", options) end
  test.equal(reduce {lengths = torch.tensor {2, 4}, unsafe = true}:tolist(), {1.0, 14.0})
  test.equal(reduce {lengths = torch.tensor {2, 1}, unsafe = true}:tolist(), {1.0, 2.0})
  test.equal(reduce {offsets = torch.tensor {0, 2, 6}}:tolist(), {1.0, 14.0})
  test.equal(reduce({lengths = torch.tensor {{1, 2}, {3, 0}}, axis = 1}, torch.ones(2, 3)):tolist(), {{1.0, 2.0}, {3.0, 0.0}})
  for _, unsafe in ipairs {false, true} do
    test.raises("lengths between 0 and 6, got 1099511627776", reduce, {lengths = torch.tensor {1 << 40}, unsafe = unsafe})
    test.raises("lengths between 0 and 6, got %-1", reduce, {lengths = torch.tensor {-1}, unsafe = unsafe})
    test.raises("the sum of lengths between 0 and 6, got 8", reduce, {lengths = torch.tensor {4, 4}, unsafe = unsafe})
    test.raises("offsets between 0 and 6, got 1099511627776", reduce, {offsets = torch.tensor {0, 1 << 40}, unsafe = unsafe})
    test.raises("data's sizes %[2%] before axis, got %[3, 1%]", reduce,
      {lengths = torch.ones(3, 1, {dtype = torch.int64}), axis = 1, unsafe = unsafe}, torch.ones(2, 3))
  end
end)

test.case("fused optimizers", function()
  local options = {weight_decay = 0, momentum = 0, lr = 0.5, dampening = 0, nesterov = false, maximize = false,
    is_first_step = false}
  local function step(params, grads, buffers) torch._fused_sgd_(params, grads, buffers or {}, options) end
  local p = torch.ones(2, 3)
  step({p}, {torch.ones(2, 3)})
  test.equal(p, torch.full({2, 3}, 0.5))
  test.raises("expected 1 grads, one for each parameter, got 0", step, {p}, {})
  test.raises("grads of their parameters' shapes, got %[0%] for %[2, 3%]", step, {p}, {torch.ones(0)})
  test.raises("grads of their parameters' dtypes, got Double for Float", step, {p}, {torch.ones(2, 3):double()})
  test.raises("grads that own their memory without gaps, got strides %[0, 1%]", step, {p}, {torch.ones(1, 3):expand(2, 3)})
  test.raises("grads with their parameters' strides, got %[1, 2%] for %[3, 1%]", step, {p}, {torch.ones(3, 2):t()})
  test.raises("grads to be strided tensors, got Sparse", step, {p}, {torch.ones(2, 3):to_sparse()})
  test.raises("momentum_buffer_list of their parameters' shapes", step, {p}, {torch.ones(2, 3)}, {torch.ones(1)})
  step({torch.ones(1, 3)}, {torch.ones(3, 1):t()})
  local m, v = torch.zeros(2, 3), torch.zeros(2, 3)
  local adam = {lr = 0.1, beta1 = 0.9, beta2 = 0.99, weight_decay = 0, eps = 1e-8, amsgrad = false, maximize = false}
  torch._fused_adam_({p}, {torch.ones(2, 3)}, {m}, {v}, {}, {torch.ones(1)}, adam)
  test.near(p[{0, 0}]:item(), 0.4, 1e-6)
  test.raises("state_steps to be float32 numbers", torch._fused_adam_, {p}, {torch.ones(2, 3)}, {m}, {v}, {},
    {torch.ones(2)}, adam)
end)
