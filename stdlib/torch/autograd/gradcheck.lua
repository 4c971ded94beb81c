-- torch.autograd.gradcheck and gradgradcheck: gradients held against differences.
local compare = require "torch.autograd.gradcheck_compare"
local is_tensor = require("native.tensor").is_tensor
local jacobians = require "torch.autograd.gradcheck_jacobian"
local log = require "native.log"
local native = require "native.autograd"
local none = require("native.tensor").None
local signature = require "torch.signature"
local vm = require "native.vm"

local UNDEFINED <const> = '"tools/autograd/derivatives.yaml"'

local differentiable, fail = compare.differentiable, compare.fail

local function check_inputs(inputs)
  local torch = require "torch"
  local any = false
  for i = 1, inputs.n do
    local x = inputs[i]
    if is_tensor(x) and x.requires_grad then
      any = true
      if x.dtype ~= torch.float64 and x.dtype ~= torch.complex128 then
        log.warn(("Input #%d requires gradient and is not a double precision floating point or complex. This check will " ..
          "likely fail if all the inputs are not of double precision floating point or complex. "):format(i - 1))
      end
      if x.is_sparse then
        vm.raise("usage", ("gradcheck: input %d is sparse, which is not supported here"):format(i - 1),
          "give a dense input, and make it sparse inside func")
      end
      for d = 0, x:dim() - 1 do
        if x:stride(d) == 0 and x:size(d) > 1 then
          vm.raise("usage", ("The %dth input has a dimension with stride 0. gradcheck only supports inputs that are " ..
            "non-overlapping to be able to compute the numerical gradients correctly. You should call .contiguous on the " ..
            "input before passing it to gradcheck."):format(i - 1))
        end
      end
    end
  end
  if not any then
    vm.raise("usage", "gradcheck expects at least one input tensor to require gradient, but none of them have " ..
      "requires_grad=True.")
  end
end

local function check_outputs(outputs)
  for _, output in ipairs(outputs) do
    if is_tensor(output) and output.is_sparse then
      vm.raise("usage", "Sparse output is not supported at gradcheck yet. Please call to_dense(masked_grad=...) on the " ..
        "output of fn for gradcheck.")
    end
  end
end

-- --- What a backward must do besides

local function zeros_of(outputs)
  local torch = require "torch"
  local zeros = {}
  for i, output in ipairs(outputs) do zeros[i] = torch.zeros_like(output, {memory_format = torch.contiguous_format}) end
  return zeros
end

local function check_multiplied(outputs, tensors)
  if #outputs == 0 then return end
  local grads = native.grad(outputs, tensors, {grad_outputs = zeros_of(outputs), retain_graph = true, allow_unused = true})
  for i, x in ipairs(tensors) do
    local grad = grads[i]
    if grad then
      if not grad:eq(0):all():item() then fail("backward not multiplied by grad_output") end
      if grad.dtype ~= x.dtype then fail("grad is incorrect type") end
      if grad.device ~= x.device then fail("grad is incorrect device") end
      if grad:size() ~= x:size() then fail("grad is incorrect size") end
    end
  end
end

local function check_undefined(f, inputs, tensors)
  local function supports(outputs)
    local ok, grads = pcall(native.grad, outputs, tensors, {grad_outputs = zeros_of(outputs), allow_unused = true})
    if not ok then
      fail("Expected backward function to handle undefined output grads. Please look at \"Notes about undefined output " ..
        "gradients\" in " .. UNDEFINED)
    end
    for i = 1, #tensors do
      if grads[i] and not grads[i]:eq(0):all():item() then
        fail("Expected all input grads to be undefined or zero when all output grads are undefined or zero. Please look at " ..
          "\"Notes about undefined output gradients\" in " .. UNDEFINED)
      end
    end
  end
  local function outputs_without(index)
    local outputs = differentiable(jacobians.call(f, inputs))
    for i, output in ipairs(outputs) do
      if not index or i == index then outputs[i] = native.undefined_grad(output) end
    end
    return outputs
  end
  local all = outputs_without()
  if #all == 0 then return end
  supports(all)
  if #all > 1 then
    for i = 1, #all do supports(outputs_without(i)) end
  end
end

-- The options by name, from the results of a parser: keyword arguments alone.
local function options_of(spec, ...)
  local options, i = {}, 0
  for name in spec:gmatch "([%w_]+)=" do
    i = i + 1
    options[name] = select(i, ...)
  end
  return options
end

local COMMON <const> = "eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=true, nondet_tol=0.0, check_undefined_grad=true, "
  .. "check_grad_dtypes=false, check_batched_grad=false, fast_mode=false, masked=false"
local OPTIONS <const> = COMMON .. ", check_batched_forward_grad=false, check_forward_ad=false, check_backward_ad=true"
local SECOND <const> = COMMON .. ", gen_non_contig_grad_outputs=false, check_fwd_over_rev=false, check_rev_over_rev=true"
local parse = signature("torch.autograd.gradcheck", "func, inputs, *, " .. OPTIONS)
local parse_second = signature("torch.autograd.gradgradcheck", "func, inputs, grad_outputs=nil, *, " .. SECOND)

local function as_inputs(inputs)
  if type(inputs) ~= "table" then return {n = 1, inputs} end
  local list = {n = inputs.n or #inputs}
  for i = 1, list.n do
    list[i] = inputs[i]
    if list[i] == none then list[i] = nil end
  end
  return list
end

local function run(f, inputs, options)
  check_inputs(inputs)
  local all_outputs = jacobians.call(f, inputs)
  local outputs = differentiable(all_outputs)
  check_outputs(all_outputs)
  compare.check(f, inputs, all_outputs, outputs, options)
  local tensors = jacobians.tensors(inputs)
  if options.check_batched_forward_grad then
    require("torch.autograd.gradcheck_batched").forward(compare, f, inputs)
  end
  if not options.check_backward_ad then return true end
  if options.check_batched_grad then
    for k, output in ipairs(outputs) do require("torch.autograd.gradcheck_batched").backward(compare, output, tensors, k) end
  end
  check_multiplied(outputs, tensors)
  if options.check_undefined_grad then check_undefined(f, inputs, tensors) end
  return true
end

local gradcheck = {}

--- Holds the gradients of func at inputs against differences; raises where they differ.
---@param func function
---@param inputs Tensor|any[] float64, with requires_grad
---@param options? {eps: number, atol: number, rtol: number, raise_exception: boolean, nondet_tol: number,
--- check_undefined_grad: boolean, check_grad_dtypes: boolean, check_batched_grad: boolean, check_batched_forward_grad:
--- boolean, check_forward_ad: boolean, check_backward_ad: boolean, fast_mode: boolean, masked: boolean} 1e-6, 1e-5, 1e-3,
--- true, 0.0, true, false, false, false, false, true, false, false
---@return boolean true; false where raise_exception is false and they differ
---@example local x = torch.rand(3, {dtype = torch.float64, requires_grad = true})
--- torch.autograd.gradcheck(torch.sin, {x})  --> true
function gradcheck.gradcheck(...)
  local arguments = table.pack(parse(...))
  local func, inputs = arguments[1], arguments[2]
  local given = options_of(OPTIONS, table.unpack(arguments, 3, arguments.n))
  if not (given.check_forward_ad or given.check_backward_ad) then
    vm.raise("usage", "Expected at least one of check_forward_ad or check_backward_ad to be True")
  end
  if given.check_batched_grad and not given.check_backward_ad then
    vm.raise("usage", "Setting check_batched_grad=True requires check_backward_ad to be True")
  end
  if given.check_batched_forward_grad and not given.check_forward_ad then
    vm.raise("usage", "Setting check_batched_forward_grad=True requires check_forward_ad to be True")
  end
  local list = as_inputs(inputs)
  if given.raise_exception then return run(func, list, given) end
  local found, ok, result = compare.finding(run, func, list, given)
  if not ok and not found then error(result, 0) end
  return ok
end

--- The same for the gradients of the gradients.
---@param func function
---@param inputs Tensor|any[]
---@param grad_outputs? Tensor|Tensor[] random ones
---@param options? table as gradcheck, and gen_non_contig_grad_outputs, check_fwd_over_rev (both false),
--- check_rev_over_rev (true)
---@return boolean
---@example local x = torch.rand(2, {dtype = torch.float64, requires_grad = true})
--- torch.autograd.gradgradcheck(torch.sin, {x})  --> true
function gradcheck.gradgradcheck(...)
  local torch = require "torch"
  local arguments = table.pack(parse_second(...))
  local func, inputs, grad_outputs = arguments[1], arguments[2], arguments[3]
  local given = options_of(SECOND, table.unpack(arguments, 4, arguments.n))
  if not (given.check_fwd_over_rev or given.check_rev_over_rev) then
    vm.raise("usage", "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
  end
  for _, name in ipairs {"check_undefined_grad", "check_batched_grad"} do
    if given[name] and not given.check_rev_over_rev then
      vm.raise("usage", ("Setting %s=True requires check_rev_over_rev to be True"):format(name))
    end
  end
  local list = as_inputs(inputs)
  local grads = is_tensor(grad_outputs) and {grad_outputs} or grad_outputs
  if grads == nil then
    grads = {}
    for i, output in ipairs(differentiable(jacobians.call(func, list))) do
      local shape = {table.unpack(output.shape)}
      if given.gen_non_contig_grad_outputs and #shape > 0 then shape[#shape] = shape[#shape] * 2 end
      local fresh = torch.rand(shape, {dtype = output.dtype, device = output.device}) * 2 - 1
      if given.gen_non_contig_grad_outputs and #shape > 0 then fresh = fresh["..., ::2"] end
      grads[i] = fresh:detach():requires_grad_()
    end
  end
  local places, all = jacobians.places(list), {n = list.n + #grads}
  local recorded = {}
  for i = 1, list.n do all[i] = list[i] end
  for i, grad in ipairs(grads) do
    all[list.n + i] = grad
    recorded[i] = grad.requires_grad
  end
  local function gradient(...)
    local values = table.pack(...)
    for _, place in ipairs(places) do values[place] = values[place]:requires_grad_() end
    local outputs = differentiable(jacobians.call(func, {n = list.n, table.unpack(values, 1, list.n)}))
    local with, of = {}, {}
    for i = 1, #grads do
      local grad = values[list.n + i]
      with[i] = recorded[i] and grad:requires_grad_() or grad
    end
    for i, place in ipairs(places) do of[i] = values[place] end
    local result = {}
    local computed = native.grad(outputs, of, {grad_outputs = with, create_graph = true, allow_unused = true})
    for i = 1, #of do result[#result + 1] = computed[i] end
    return result
  end
  return gradcheck.gradcheck(gradient, all, {eps = given.eps, atol = given.atol, rtol = given.rtol,
    raise_exception = given.raise_exception, nondet_tol = given.nondet_tol,
    check_undefined_grad = given.check_undefined_grad, check_grad_dtypes = given.check_grad_dtypes,
    check_batched_grad = given.check_batched_grad, fast_mode = given.fast_mode, masked = given.masked,
    check_forward_ad = given.check_fwd_over_rev, check_backward_ad = given.check_rev_over_rev})
end

return gradcheck
