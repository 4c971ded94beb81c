-- Parametrizations written in Lua, and their errors.
local test = require "test"
local torch = require "torch"

local nn = torch.nn
local parametrize = nn.utils.parametrize

local Symmetric = nn.class("Symmetric")
function Symmetric:forward(x) return x:triu() + x:triu(1):t() end
function Symmetric:right_inverse(x) return x:triu() end

local function symmetric(layer) return parametrize.register_parametrization(layer, "weight", Symmetric()) end

test.case("a parametrized layer prints and lists what PyTorch's does", function()
  local layer = symmetric(nn.Linear(3, 3))
  test.equal(tostring(layer), [[
ParametrizedLinear(
  in_features=3, out_features=3, bias=True
  (parametrizations): ModuleDict(
    (weight): ParametrizationList(
      (0): Symmetric()
    )
  )
)]])
  local names = {}
  for name in layer:named_parameters() do names[#names + 1] = name end
  test.equal(names, {"bias", "parametrizations.weight.original"})
end)

test.case("what is assigned goes through right_inverse", function()
  local layer = symmetric(nn.Linear(2, 2))
  layer.weight = torch.tensor{{1., 2.}, {2., 3.}}
  test.equal(layer.parametrizations.weight.original:detach(), torch.tensor{{1., 2.}, {0., 3.}})
  test.equal(layer.weight:detach(), torch.tensor{{1., 2.}, {2., 3.}})
end)

test.case("the optimizer that knew the parameter trains the original", function()
  local layer = nn.Linear(2, 2)
  local opt = torch.optim.SGD(layer:parameters(), {lr = 0.1})
  symmetric(layer)
  local before = layer.weight:detach():clone()
  layer(torch.ones(1, 2)):sum():backward()
  opt:step()
  test.truthy(not torch.equal(before, layer.weight))
end)

test.case("removing gives the layer its class and parameter back", function()
  local layer = symmetric(nn.Linear(2, 2))
  local value = layer.weight:detach():clone()
  parametrize.remove_parametrizations(layer, "weight")
  test.equal(tostring(layer), "Linear(in_features=2, out_features=2, bias=True)")
  test.equal(layer.weight:detach(), value)
  test.truthy(not parametrize.is_parametrized(layer) and layer.parametrizations == nil)
end)

test.case("within cached() each weight is computed once", function()
  local count = 0
  local Counting = nn.class("Counting")
  function Counting:forward(x)
    count = count + 1
    return x * 1
  end
  local layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Counting())
  count = 0
  parametrize.cached(function()
    layer(torch.ones(1, 2))
    layer(torch.ones(1, 2))
  end)
  test.equal(count, 1)
  layer(torch.ones(1, 2))
  layer(torch.ones(1, 2))
  test.equal(count, 3)
end)

test.case("a state dict restores the original", function()
  local from, to = symmetric(nn.Linear(2, 2)), symmetric(nn.Linear(2, 2))
  to:load_state_dict(from:state_dict())
  test.equal(to.weight, from.weight)
end)

test.case("wrong parametrizations are refused in PyTorch's words", function()
  local Narrow = nn.class("Narrow")
  function Narrow:forward(x) return x[0] end
  test.raises("Registering a parametrization may not change the shape of the tensor, unless `unsafe` flag is enabled.",
    parametrize.register_parametrization, nn.Linear(2, 2), "weight", Narrow())
  test.raises("does not have a parameter, a buffer, or a parametrized element with name 'w'",
    parametrize.register_parametrization, nn.Linear(2, 2), "w", Symmetric())
  test.raises("does not have a parametrization on weight", parametrize.remove_parametrizations, nn.Linear(2, 2), "weight")
end)

test.case("pruning by a method of one's own", function()
  local prune = nn.utils.prune
  local Even = prune.BasePruningMethod.class("Even")
  Even.PRUNING_TYPE = "unstructured"
  function Even:compute_mask(t, mask)
    mask = mask:clone()
    mask:view(-1):index_fill_(0, torch.arange(0, t:numel(), 2), 0)
    return mask
  end
  local layer = nn.Linear(4, 1)
  Even.apply(layer, "weight")
  test.equal(layer.weight_mask, torch.tensor{{0., 1., 0., 1.}})
  layer(torch.ones(1, 4)):sum():backward()
  test.equal(layer.weight_orig.grad, torch.tensor{{0., 1., 0., 1.}})
  test.truthy(prune.is_pruned(nn.Sequential(layer)))
  test.raises("has to be pruned before pruning can be removed", prune.remove, layer, "bias")
end)
