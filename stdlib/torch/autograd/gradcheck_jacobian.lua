-- Jacobians for gradcheck: by differences, by backward and by forward mode. A Jacobian is [input numel, output numel].
local forward_ad = require "torch.autograd.forward_ad"
local is_tensor = require("native.tensor").is_tensor
local native = require "native.autograd"

local jacobians = {}

--- What a function returns as a list: several results, or a list.
---@return Tensor[]
function jacobians.outputs(...)
  if select("#", ...) == 1 and type((...)) == "table" then return (...) end
  return {...}
end

--- The places of the inputs that are differentiated, from 1.
---@param inputs any[] with the count in `n`
---@return integer[]
function jacobians.places(inputs)
  local places = {}
  for i = 1, inputs.n do
    if is_tensor(inputs[i]) and inputs[i].requires_grad then places[#places + 1] = i end
  end
  return places
end

--- The inputs that are differentiated.
---@param inputs any[] with the count in `n`
---@return Tensor[]
function jacobians.tensors(inputs)
  local tensors = {}
  for i, place in ipairs(jacobians.places(inputs)) do tensors[i] = inputs[place] end
  return tensors
end

local function is_float(x) return x.dtype.is_floating_point or x.dtype.is_complex end

--- The outputs that have a derivative at all: floating point or complex.
---@param outputs any[]
---@return Tensor[]
function jacobians.float_outputs(outputs)
  local list = {}
  for _, output in ipairs(outputs) do
    if is_tensor(output) and is_float(output) then list[#list + 1] = output end
  end
  return list
end

--- What a function returns, as a list.
---@param f function
---@param inputs table with their number in n
---@return table outputs
local function call(f, inputs) return jacobians.outputs(f(table.unpack(inputs, 1, inputs.n))) end
jacobians.call = call

local function copies(outputs)
  local list = {}
  for i, output in ipairs(outputs) do list[i] = output:detach():clone() end
  return list
end

-- (f(x + v) - f(x - v)) / 2 norm for each output, where x lies in `entry`.
local function central(f, inputs, entry, v, norm, fail)
  local before = entry:clone()
  entry:copy_(before - v)
  local low = copies(call(f, inputs))
  entry:copy_(before + v)
  local high = copies(call(f, inputs))
  entry:copy_(before)
  local slopes = {}
  for i, b in ipairs(high) do
    local a = low[i]
    if a:size() ~= b:size() then
      fail(("Expected `func` to return outputs with the same shape when inputs are perturbed by %g, but got: shapes %s " ..
        "and %s."):format(norm, tostring(a:size()), tostring(b:size())))
    end
    if a.dtype ~= b.dtype then
      fail(("Expected `func` to return outputs with the same dtype when inputs are perturbed by %g, but got: dtypes %s " ..
        "and %s."):format(norm, tostring(a.dtype), tostring(b.dtype)))
    end
    slopes[i] = ((b - a) / (2 * norm)):detach():reshape(-1)
  end
  return slopes
end

-- Slopes along v, and for a complex input along i v too: conj of W and d.
local function slopes_along(f, inputs, entry, v, v_imaginary, eps, fail)
  local torch = require "torch"
  local slopes = central(f, inputs, entry, v, eps, fail)
  if not entry.dtype.is_complex then return slopes end
  local imaginary = central(f, inputs, entry, v_imaginary, eps, fail)
  for i, slope in ipairs(slopes) do
    slopes[i] = torch.complex(slope, imaginary[i])
  end
  return slopes
end

local function numbers(entry, eps)
  local torch = require "torch"
  if not entry.dtype.is_complex then return torch.full({}, eps, {dtype = entry.dtype, device = entry.device}) end
  local part = entry.dtype == torch.complex64 and torch.float32 or torch.float64
  local zero = torch.zeros({}, {dtype = part, device = entry.device})
  local step = torch.full({}, eps, {dtype = part, device = entry.device})
  return torch.complex(step, zero), torch.complex(zero, step)
end

-- Each element of x as a 0-dim view.
local function elements(x)
  if x:dim() == 0 then return {x} end
  local list = {}
  local function walk(view)
    for i = 0, view:size(0) - 1 do
      if view:dim() == 1 then list[#list + 1] = view[i] else walk(view[i]) end
    end
  end
  walk(x)
  return list
end

--- By differences, of every output with respect to the input at `place`.
---@return Tensor[] one for each output
function jacobians.numerical(f, inputs, place, outputs, eps, fail)
  local torch = require "torch"
  local x = inputs[place].data
  local columns = elements(x)
  local result = {}
  for k, output in ipairs(outputs) do
    local dtype = x.dtype.is_complex and x.dtype or is_float(output) and output.dtype or torch.float64
    result[k] = torch.zeros({#columns, output:numel()}, {dtype = dtype, device = output.device})
  end
  for i, entry in ipairs(columns) do
    local step, imaginary = numbers(entry, eps)
    for k, slope in ipairs(slopes_along(f, inputs, entry, step, imaginary, eps, fail)) do result[k][i - 1] = slope end
  end
  return result
end

--- The same along one direction u (two of them for a complex input): a vector for each output.
function jacobians.numerical_along(f, inputs, place, u, eps, fail)
  local torch = require "torch"
  local x = inputs[place].data
  if not x.dtype.is_complex then return central(f, inputs, x, u:reshape(x.shape) * eps, eps, fail) end
  local real, imaginary = u[1]:reshape(x.shape) * eps, u[2]:reshape(x.shape) * eps
  return slopes_along(f, inputs, x, torch.complex(real, torch.zeros_like(real)),
    torch.complex(torch.zeros_like(imaginary), imaginary), eps, fail)
end

local function rows_of(output, tensors, next_gradient)
  local columns = {}
  for i = 1, #tensors do columns[i] = {} end
  for gradient in next_gradient do
    local grads = native.grad({output}, tensors, {grad_outputs = {gradient}, retain_graph = true, allow_unused = true})
    for i = 1, #tensors do table.insert(columns[i], grads[i] and grads[i]:clone() or false) end
  end
  return columns
end

local function unit_gradients(output)
  local torch = require "torch"
  local base = torch.zeros_like(output, {memory_format = torch.contiguous_format})
  local flat, j = base:view(-1), -1
  return function()
    j = j + 1
    if j >= flat:numel() then return nil end
    flat:zero_()
    flat[j] = 1
    return base
  end
end

local function once(value)
  local given = false
  return function()
    if given then return nil end
    given = true
    return value
  end
end

local function assemble(columns, tensors)
  local torch = require "torch"
  local result, sizes_ok, types_ok = {}, true, true
  for i, input in ipairs(tensors) do
    local jacobian = torch.zeros({input:numel(), #columns[i]}, {dtype = input.dtype, device = input.device})
    for j, grad in ipairs(columns[i]) do
      if grad then
        if grad:size() ~= input:size() then sizes_ok = false
        elseif grad.dtype ~= input.dtype then types_ok = false end
        if grad.is_sparse then grad = grad:to_dense() end
        jacobian:select(1, j - 1):copy_(grad:reshape(-1))
      end
    end
    result[i] = jacobian
  end
  return result, sizes_ok, types_ok
end

--- By backward, of one output with respect to every input; with v, the one row v^T J.
---@return Tensor[] one for each input
function jacobians.analytical(output, tensors, options, fail, v)
  local function rows()
    return rows_of(output, tensors, v and once(v:reshape(output.shape)) or unit_gradients(output))
  end
  local first, sizes_ok, types_ok = assemble(rows(), tensors)
  local second = assemble(rows(), tensors)
  if not types_ok and options.check_grad_dtypes then fail("Gradient has dtype mismatch") end
  if not sizes_ok then fail("Analytical gradient has incorrect size") end
  for i, jacobian in ipairs(first) do
    if jacobian:numel() > 0 and (jacobian - second[i]):abs():max():item() > options.nondet_tol then
      fail("Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives " ..
        "different values, although analytical gradient matches numerical gradient.The tolerance for nondeterminism was " ..
        ("%s."):format(options.nondet_tol))
    end
  end
  return first
end

--- By forward mode: result[input][output]; with directions, the rows J u.
function jacobians.forward(f, inputs, outputs, options, fail, directions)
  local torch = require "torch"
  local result = {}
  local _ <close> = forward_ad.dual_level()
  local duals, tangents = {n = inputs.n}, {}
  for i = 1, inputs.n do
    duals[i] = inputs[i]
    if is_tensor(inputs[i]) and inputs[i].requires_grad then
      duals[i] = forward_ad.make_dual(inputs[i]:detach(), torch.zeros_like(inputs[i]))
      local _, tangent = forward_ad.unpack_dual(duals[i])
      tangents[#tangents + 1] = tangent
    end
  end
  local function run(into, row)
    for k, dual in ipairs(jacobians.float_outputs(call(f, duals))) do
      local value, tangent = forward_ad.unpack_dual(dual)
      if options.check_grad_dtypes and tangent and value.dtype.is_complex ~= tangent.dtype.is_complex then
        fail("Forward AD gradient has dtype mismatch.")
      end
      if tangent then into[k][row] = tangent:reshape(-1) end
    end
  end
  for i, tangent in ipairs(tangents) do
    result[i] = {}
    local rows = directions and 1 or tangent:numel()
    for k, output in ipairs(jacobians.float_outputs(outputs)) do
      result[i][k] = torch.zeros({rows, output:numel()}, {dtype = output.dtype, device = output.device})
    end
    if directions then
      tangent:copy_(directions[i]:view_as(tangent))
      run(result[i], 0)
      tangent:zero_()
    else
      for row, entry in ipairs(elements(tangent)) do
        entry:fill_(1)
        run(result[i], row - 1)
        entry:fill_(0)
      end
    end
  end
  return result
end

return jacobians
