-- Modules moved and converted: in place, gradients and ties too, and through what classes make of it.
local test = require "test"
local torch = require "torch"
local nn = torch.nn

local function dtypes(module)
  local all = {}
  for name, tensor in pairs(module:state_dict()) do all[#all + 1] = name .. "=" .. tostring(tensor.dtype):sub(7) end
  return table.concat(all, " ")
end

test.case("tensors stay the same ones, with their ties, gradients and optimizers", function()
  local model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
  model[2].weight = model[0].weight
  local weight, opt = model[0].weight, torch.optim.SGD(model:parameters(), {lr = 1})
  model(torch.randn(4, 2)):sum():backward()
  local grad, before = weight.grad, weight:detach():clone()
  test.truthy(rawequal(model:double(), model))
  test.truthy(rawequal(model[0].weight, weight) and rawequal(model[2].weight, weight) and rawequal(weight.grad, grad))
  test.equal({weight.dtype, grad.dtype, weight.requires_grad, weight.is_leaf}, {torch.float64, torch.float64, true, true})
  test.equal(dtypes(model[1]), "weight=float64 bias=float64 running_mean=float64 running_var=float64 "
    .. "num_batches_tracked=int64")
  opt:step()
  test.equal(weight:detach(), before:double() - grad)
  model:to("meta"):to_empty{device = "cpu"}
  test.equal({weight.device.type, weight.dtype}, {"cpu", torch.float64})
end)

test.case("complex tensors follow to, and not float and double", function()
  local m = nn.Identity()
  m.z = nn.Parameter(torch.zeros(2, {dtype = torch.complex64}))
  m.r = nn.Parameter(torch.zeros(2))
  test.equal(dtypes(m:double()), "z=complex64 r=float64")
  test.equal(dtypes(m:to(torch.complex128)), "z=complex128 r=complex128")
end)

test.case("memory formats are for tensors of four dimensions", function()
  local model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Linear(2, 2)):to{memory_format = torch.channels_last}
  test.truthy(model[0].weight:is_contiguous{memory_format = torch.channels_last})
  test.truthy(not model[0].weight:is_contiguous() and model[1].weight:is_contiguous())
end)

test.case("what a class or a module makes of _apply is asked", function()
  local calls = 0
  local Counting = nn.class("Counting", nn.Linear)
  function Counting:_apply(fn, recurse)
    calls = calls + 1
    return nn.Linear._apply(self, fn, recurse)
  end
  local model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(Counting(1, 1)))
  test.equal(dtypes(model:half()), "0.weight=float16 0.bias=float16 1.0.weight=float16 1.0.bias=float16")
  model:to("cpu"):float()
  test.equal(calls, 3)
  local own = nn.Sequential(nn.ReLU())
  own[0]._apply = function(self) calls = calls + 1 return self end
  own:double()
  test.equal(calls, 4)
end)

test.case("modules without a shape yet are converted with the others, and no data is an error", function()
  local model = nn.Sequential(nn.Linear(1, 1), nn.LazyLinear(2)):double()
  test.equal(dtypes(model), "0.weight=float64 0.bias=float64 1.weight=float64 1.bias=float64")
  test.truthy(nn.parameter.is_lazy(model[1].weight))
  test.raises("Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty%(%)",
    nn.Linear(1, 1, {device = "meta"}).to, nn.Linear(1, 1, {device = "meta"}), "cpu")
  test.raises("nowhere", model.to, model, "nowhere")
end)
