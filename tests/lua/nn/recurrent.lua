-- Recurrent layers: what parity tests do not see.
local test = require "test"
local torch = require "torch"

local nn = torch.nn

test.case("a weight that is exchanged counts at the next call", function()
  local layer = nn.GRU(2, 3)
  local x = torch.ones(4, 1, 2)
  layer(x)
  layer.weight_ih_l0 = nn.Parameter(torch.zeros(9, 2))
  layer.weight_hh_l0 = nn.Parameter(torch.zeros(9, 3))
  layer.bias_ih_l0 = nn.Parameter(torch.zeros(9))
  layer.bias_hh_l0 = nn.Parameter(torch.zeros(9))
  test.equal((layer(x)), torch.zeros(4, 1, 3))
end)

test.case("converting the layer converts what it computes with", function()
  local layer = nn.LSTM(2, 3):double()
  test.equal(layer(torch.ones(4, 1, 2, {dtype = torch.float64})).dtype, torch.float64)
end)

test.case("functional_call computes with the weights that it is given", function()
  local layer = nn.RNN(2, 3, {bias = false})
  local zeros = {weight_ih_l0 = torch.zeros(3, 2), weight_hh_l0 = torch.zeros(3, 3)}
  test.equal((torch.func.functional_call(layer, zeros, torch.ones(4, 1, 2))), torch.zeros(4, 1, 3))
  test.truthy(layer(torch.ones(4, 1, 2)):abs():sum():item() > 0)
end)

test.case("a parametrized weight is computed at each call", function()
  local layer = nn.utils.parametrizations.weight_norm(nn.LSTM(2, 3), "weight_hh_l0")
  local out = layer(torch.ones(4, 1, 2))
  out:sum():backward()
  test.truthy(layer.parametrizations.weight_hh_l0.original0.grad ~= nil)
end)

test.case("a copy has weights of its own", function()
  local layer = nn.LSTM(2, 3)
  local x = torch.ones(4, 1, 2)
  local copy, before = layer:deepcopy(), layer(x)
  layer.weight_ih_l0:detach():zero_()
  test.equal((copy(x)), before)
end)

test.case("what does not fit is refused in PyTorch's words", function()
  local layer = nn.LSTM(2, 3)
  test.raises("input.size(-1) must be equal to input_size. Expected 2, got 5", layer, torch.ones(4, 1, 5))
  test.raises("Expected hidden[1] size (1, 1, 3), got [1, 1, 4]", layer, torch.ones(4, 1, 2),
    {torch.zeros(1, 1, 3), torch.zeros(1, 1, 4)})
  test.raises("RNN input dtype (torch.float64) does not match weight dtype (torch.float32)", layer,
    torch.ones(4, 1, 2, {dtype = torch.float64}))
  test.raises("proj_size argument is only supported for LSTM", nn.GRU, 2, 3, {proj_size = 1})
end)
