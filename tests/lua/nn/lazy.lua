-- Layers that learn their sizes from the first batch.
local test = require "test"
local torch = require "torch"

local nn = torch.nn

local function net() return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2)) end

test.case("becomes the layer that it stands for at the first forward", function()
  local layer = nn.LazyLinear(2)
  test.equal(tostring(layer), "LazyLinear(in_features=0, out_features=2, bias=True)")
  test.truthy(layer:is_instance(nn.Linear) and layer:has_uninitialized_params())
  layer(torch.ones(4, 3))
  test.equal(tostring(layer), "Linear(in_features=3, out_features=2, bias=True)")
  test.equal(layer.weight.shape, torch.Size{2, 3})
end)

test.case("draws what the layer itself draws", function()
  torch.manual_seed(1)
  local lazy = nn.LazyLinear(2)
  lazy(torch.ones(4, 3))
  torch.manual_seed(1)
  local plain = nn.Linear(3, 2)
  test.equal(lazy.weight, plain.weight)
  test.equal(lazy.bias, plain.bias)
end)

test.case("an optimizer made before the first forward trains the layer", function()
  local model = net()
  local opt = torch.optim.SGD(model:parameters(), {lr = 0.1})
  model(torch.randn(2, 3, 5, 5)):pow(2):sum():backward()
  local before = model[3].weight:detach():clone()
  opt:step()
  test.truthy(not torch.equal(before, model[3].weight))
end)

test.case("a state dict gives the shapes", function()
  local from, to = net(), net()
  from(torch.randn(2, 3, 5, 5))
  to:load_state_dict(from:state_dict())
  test.equal(to[0].weight, from[0].weight)
  local x = torch.randn(2, 3, 5, 5)
  test.equal(to:eval()(x), from:eval()(x))
end)

test.case("the state dict of what has no shape yet has it as it is", function()
  local state = net():state_dict()
  test.truthy(nn.parameter.is_lazy(state["0.weight"]) and nn.parameter.is_lazy(state["1.running_mean"]))
  local other = net()
  other:load_state_dict(state)
  test.truthy(other[0]:has_uninitialized_params())
end)

test.case("a copy learns its own sizes", function()
  local model = net()
  local copy = model:deepcopy()
  model(torch.randn(2, 3, 5, 5))
  copy(torch.randn(2, 1, 5, 5))
  test.equal(model[0].in_channels, 3)
  test.equal(copy[0].in_channels, 1)
end)

test.case("inputs of other dimensions are refused in PyTorch's words", function()
  test.raises("Expected 3D (unbatched) or 4D (batched) input to LazyConv2d, but got input of size: torch.Size([2, 3])",
    nn.LazyConv2d(1, 1), torch.ones(2, 3))
  test.raises("in_channels must be divisible by groups", nn.LazyConv1d(4, 1, {groups = 2}), torch.ones(1, 3, 4))
end)

test.case("a parameter gets its shape once and stays the same tensor", function()
  local p = nn.UninitializedParameter{dtype = torch.float64}
  local module = nn.Identity()
  module.p = p
  module.p:materialize{2, 3}
  test.equal(p.shape, torch.Size{2, 3})
  test.equal(p.dtype, torch.float64)
  test.truthy(p.requires_grad and not nn.parameter.is_lazy(p))
  test.raises("has its shape already", p.materialize, p, {2})
end)

test.case("what has no shape yet does not tell of one", function()
  for kind, lazy in pairs{UninitializedParameter = nn.UninitializedParameter(),
    UninitializedBuffer = nn.UninitializedBuffer()} do
    for method, of in pairs{dim = "dim", ndimension = "dim", numel = "numel", nelement = "numel", stride = "stride",
      is_contiguous = "is_contiguous", element_size = "element_size", data_ptr = "data_ptr", item = "item"} do
      local err = test.raises("Attempted to use an uninitialized parameter in <method '" .. of
        .. "' of 'torch._C.TensorBase' objects>", lazy[method], lazy)
      test.truthy(err.message:find("`torch.nn.parameter." .. kind .. "` objects", 1, true))
    end
    test.raises("Can't access the shape of an uninitialized parameter", function() return lazy.shape end)
    test.raises("uninitialized parameter in", function() return #lazy end)
    test.raises("uninitialized parameter in", function() return lazy[0] end)
    test.equal({lazy:size(), lazy:get_device(), lazy:is_floating_point()}, {torch.Size{0}, -1, true})
  end
end)

test.case("a file keeps what has no shape yet", function()
  local model, path = net(), test.tmpdir() .. "/lazy.pt"
  torch.save(model:state_dict(), path)
  local state = torch.load(path)
  test.truthy(nn.parameter.is_lazy(state["0.weight"]) and nn.parameter.is_lazy(state["1.running_mean"]))
  test.equal({tostring(state["0.weight"]), tostring(state["1.running_mean"]), state["0.weight"].requires_grad},
    {"<UninitializedParameter>", "<UninitializedBuffer>", true})
  local other = net()
  test.equal(tostring(other:load_state_dict(state)), "<All keys matched successfully>")
  other(torch.randn(2, 3, 5, 5))
  test.equal(other[0].in_channels, 3)
  test.raises("Can't access the shape of an uninitialized parameter", other.load_state_dict, other, state)
end)
