-- torch.autograd.gradcheck and gradgradcheck.
local test = require "test"
local torch = require "torch"
local gradcheck, gradgradcheck = torch.autograd.gradcheck, torch.autograd.gradgradcheck

local function leaf(...) return torch.rand(..., {dtype = torch.float64}):add_(0.5):requires_grad_() end

local Wrong = torch.autograd.Function("Wrong")
function Wrong.forward(ctx, x)
  ctx:save_for_backward(x)
  return x ^ 2
end
function Wrong.backward(ctx, grad) return grad * 3 * ctx.saved_tensors[1] end

test.case("agrees with right gradients in every mode", function()
  local f = function(x, y) return x:matmul(y):tanh(), x:sum(1) end
  local inputs = {leaf {2, 3}, leaf {3, 2}}
  for _, options in ipairs {{}, {fast_mode = true}, {check_forward_ad = true}, {check_forward_ad = true, fast_mode = true},
    {check_batched_grad = true}, {check_forward_ad = true, check_batched_forward_grad = true}} do
    test.truthy(gradcheck(f, inputs, next(options) and options or nil))
  end
  test.truthy(gradgradcheck(f, inputs))
  test.truthy(gradgradcheck(f, inputs, {fast_mode = true}))
  test.truthy(gradgradcheck(function(x) return x ^ 3 end, {leaf {2}}, {check_fwd_over_rev = true}))
end)

test.case("finds wrong gradients and shows both", function()
  local x = torch.tensor({1.0, 2.0}, {dtype = torch.float64, requires_grad = true})
  test.raises("Jacobian mismatch for output 0 with respect to input 0,\nnumerical:tensor", gradcheck, Wrong.apply, {x})
  test.raises("The above quantities relating the numerical and analytical jacobians are computed", gradcheck, Wrong.apply,
    {x}, {fast_mode = true})
  test.equal(gradcheck(Wrong.apply, {x}, {raise_exception = false}), false)
  test.truthy(gradcheck(Wrong.apply, {x}, {atol = 10}))
end)

test.case("passes complex numbers", function()
  local z = torch.randn({3}, {dtype = torch.complex128}):requires_grad_()
  test.truthy(gradcheck(function(a) return a * a end, {z}))
  test.truthy(gradcheck(function(a) return a * a end, {z}, {fast_mode = true}))
  test.truthy(gradcheck(function(a) return a:abs() end, {z}))
  test.truthy(gradcheck(function(a) return a * a end, {z}, {check_forward_ad = true}))
  local w = torch.randn({3}, {dtype = torch.complex128}):requires_grad_()
  local Conj = torch.autograd.Function("Conj")
  function Conj.forward(_, a) return a * 2 end
  function Conj.backward(_, grad) return grad * torch.complex(torch.tensor(0.0), torch.tensor(2.0)) end
  test.raises("While considering the imaginary part of complex outputs only", gradcheck, Conj.apply, {w})
end)

test.case("refuses what it cannot check", function()
  test.raises("gradcheck expects at least one input tensor to require gradient", gradcheck, torch.sin, {torch.ones(2)})
  test.raises("The 0th input has a dimension with stride 0", gradcheck, torch.sin,
    {torch.ones({1}, {dtype = torch.float64}):expand(3):requires_grad_()})
  test.raises("Expected at least one of check_forward_ad or check_backward_ad to be True", gradcheck, torch.sin,
    {leaf {1}}, {check_backward_ad = false})
  test.raises("unknown keyword", gradcheck, torch.sin, {leaf {1}}, {epsilon = 1})
end)

test.case("finds a backward that is not reentrant, and one that ignores grad_output", function()
  local calls = 0
  local Drift = torch.autograd.Function("Drift")
  function Drift.forward(_, x) return x * 1 end
  function Drift.backward(_, grad)
    calls = calls + 1
    return grad * (1 + 1e-9 * calls)
  end
  test.raises("Backward is not reentrant", gradcheck, Drift.apply, {leaf {2}})
  test.truthy(gradcheck(Drift.apply, {leaf {2}}, {nondet_tol = 1e-5, check_undefined_grad = false}))
  local Ones = torch.autograd.Function("Ones")
  function Ones.forward(_, x) return x:sum() end
  function Ones.backward() return torch.ones(2, {dtype = torch.float64}) end
  test.raises("backward not multiplied by grad_output", gradcheck, Ones.apply, {leaf {2}})
end)
