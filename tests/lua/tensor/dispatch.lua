-- What a call may look like, and what a wrong one is told.
local test = require "test"
local torch = require "torch"

local x = torch.tensor{{1.0, 2.0}, {3.0, 4.0}}

test.case("a factory takes options beside out= and checks them", function()
  local out = torch.empty(5)
  test.truthy(torch.zeros(2, {out = out, dtype = torch.float32}) == out)
  test.equal(out.shape, {2})
  test.raises("dtype Double does not match dtype of out parameter %(Float%)", torch.zeros, 2, {out = out, dtype = torch.float64})
  test.truthy(torch.zeros_like(x, {requires_grad = true}).requires_grad and x:new_ones(2, {requires_grad = true}).requires_grad)
  test.equal(torch.ones(2)._version, 0)
end)

test.case("a list of outputs is filled, and one that does not fit is refused", function()
  local values, indices = torch.empty(0), torch.empty(0, {dtype = torch.int64})
  torch.max(x, 1, {out = {values, indices}})
  test.equal({values:tolist(), indices:tolist()}, {{2.0, 4.0}, {1, 1}})
  test.raises("invalid combination of arguments", torch.max, x, 1, {out = {values}})
end)

test.case("a tensor with a gradient is no number", function()
  local w = torch.tensor(2.0):requires_grad_()
  test.raises("must be a number", torch.full, {2}, w)
  test.equal(torch.full({1}, torch.tensor(2.0)):item(), 2.0)
end)

test.case("the default device is for new tensors alone", function()
  do
    local _ <close> = torch.set_default_device "meta"
    test.equal(torch.get_default_device().type, "meta")
    test.equal(torch.zeros(2).device.type, "meta")
    test.equal(torch.tensor{1}.device.type, "meta")
    test.equal(torch.zeros(2, {device = "cpu"}).device.type, "cpu")
    test.equal(x:new_zeros(1).device.type, "cpu")
    test.equal(torch.ones_like(x).device.type, "cpu")
  end
  test.equal(torch.zeros(2).device.type, "cpu")
end)

test.case("a call that nothing takes lists the signatures as PyTorch does", function()
  local err = test.raises("received an invalid combination of arguments", torch.sum, x, "x")
  test.equal(err.kind, "usage")
  test.truthy(err.message:find("\n * (Tensor input, *, torch.dtype dtype = None)", 1, true))
  test.raises("argument 'other' must be a Tensor, got string", torch.add, x, "x")
  test.raises("relu%(%) takes 1 positional argument but 3 were given", torch.relu, x, 1, 2)
  test.raises("relu%(%) got an unexpected keyword argument 'dim'", torch.relu, x, {dim = 1})
  test.raises("triu%(%) got multiple values for argument 'input'", torch.triu, x, {input = x})
  test.raises("missing argument 'vec2'", torch.outer, x)
end)

test.case("what is kept behind torch.ops.aten is not found under torch", function()
  test.raises("has no 'exponential'", function() return torch.exponential end)
  test.raises("has no '_fft_c2c'", function() return torch._fft_c2c end)
  test.truthy(torch.ops.aten._fft_c2c and torch._foreach_add and torch.batch_norm_backward_elemt)
end)

test.case("limits of dtypes cannot be assigned", function()
  test.equal(torch.iinfo(torch.int8).max, 127)
  test.equal(torch.iinfo(torch.uint64).max, 2.0 ^ 64)
  test.raises("cannot be assigned", function() torch.finfo().max = 1 end)
  test.raises("Use torch.iinfo", torch.finfo, torch.int8)
end)

test.case("a list stands in an index expression", function()
  test.equal(x["[1, 0], :"]:tolist(), {{3.0, 4.0}, {1.0, 2.0}})
  test.equal(x["[True, False], 1"]:tolist(), {2.0})
  test.equal(x["[[0, 1], [1, 1]]"]:tolist(), {2.0, 4.0}) -- alone it is a tuple, as in Python
  test.equal(x["[[0, 1], [1, 1]],"].shape, {2, 2, 2})
  test.equal(x[{ "[[0, 1], [1, 1]]" }].shape, {2, 2, 2})
  local y = x:clone()
  y["[0, 1], [1, 0]"] = 0
  test.equal(y:tolist(), {{1.0, 0.0}, {0.0, 4.0}})
  test.raises("expected sequence of length 1 at dim 1 %(got 2%)", function() return x["[[0], [1, 0]],"] end)
  test.raises("expected ',' or ']'", function() return x["[0 1]"] end)
  for _, word in ipairs {"True", "False", "None"} do
    test.raises('ends with a comma: x%["' .. word .. ',"%] = value', function() y[word] = 1 end)
  end
end)

test.case("a device runs a function with it as the default, and is no scope", function()
  local meta = torch.device "meta"
  local a, b = meta(function(...) return torch.zeros(2), ... end, 7)
  test.truthy(a.is_meta and b == 7 and torch.zeros(1).is_cpu)
  test.raises("out", meta, function() error "out" end)
  test.truthy(torch.zeros(1).is_cpu)
  test.raises("'fn' must be a function to run with it as the default device, got no value", meta)
  test.raises("non%-closable value", load "local d <close> = require('torch').device 'meta'")
end)
