-- gradcheck's comparison: every element of the Jacobians, or one random projection of each, in every mode.
local is_tensor = require("native.tensor").is_tensor
local jacobians = require "torch.autograd.gradcheck_jacobian"
local vm = require "native.vm"

local compare = {}

local found = false

--- Raises what gradcheck itself finds wrong; with raise_exception = false it answers false.
---@param message string
function compare.fail(message)
  found = true
  vm.raise("usage", message, nil, nil, "GradcheckError")
end
local fail = compare.fail

--- Was it a finding that ended f(...)? Returns that, and what pcall returns.
function compare.finding(f, ...)
  found = false
  local ok, result = pcall(f, ...)
  return found, ok, result
end

--- The outputs that require a gradient.
function compare.differentiable(outputs)
  local list = {}
  for _, output in ipairs(outputs) do
    if is_tensor(output) and output.requires_grad then list[#list + 1] = output end
  end
  return list
end
local differentiable = compare.differentiable

--- torch.allclose, in the wider dtype of both.
function compare.close(a, b, rtol, atol)
  local torch = require "torch"
  local dtype = torch.promote_types(a.dtype, b.dtype)
  return torch.allclose(a:to(dtype), b:to(dtype), rtol, atol)
end
local close = compare.close

local function mismatch(analytical, numerical, output, input, case)
  local prefix = case.part and ("While considering the %s part of complex %s only, "):format(case.part,
    case.forward and "inputs" or "outputs") or ""
  return ("%sJacobian %smismatch for output %d with respect to input %d,\nnumerical:%s\nanalytical:%s\n"):format(prefix,
    case.forward and "computed with forward mode " or "", output - 1, input - 1, tostring(numerical), tostring(analytical))
end

-- --- All elements, one after the other

local function slow(f, inputs, all_outputs, outputs, options, case)
  local places, tensors = jacobians.places(inputs), jacobians.tensors(inputs)
  local numerical = {}
  for i, place in ipairs(places) do
    numerical[i] = jacobians.numerical(f, inputs, place, all_outputs, options.eps, fail)
  end
  if #outputs == 0 then
    for _, of_input in ipairs(numerical) do
      for _, jacobian in ipairs(of_input) do
        if jacobian:ne(0):any():item() then fail("Numerical gradient for function expected to be zero") end
      end
    end
    return
  end
  local forward = case.forward and jacobians.forward(f, inputs, all_outputs, options, fail)
  local k = 0
  for index, output in ipairs(all_outputs) do
    if is_tensor(output) and output.requires_grad then
      k = k + 1
      local analytical = not forward and jacobians.analytical(outputs[k], tensors, options, fail)
      for i = 1, #places do
        local a = forward and forward[i][k] or analytical[i]
        local n = numerical[i][index]:to(a.device)
        if not close(a, n, options.rtol, options.atol) then fail(mismatch(a, n, k, i, case)) end
      end
    end
  end
end

-- --- One random projection of each Jacobian

local function random_vector(x, real)
  local torch = require "torch"
  local dtype = x.dtype
  if real and dtype.is_complex then dtype = dtype == torch.complex64 and torch.float32 or torch.float64 end
  local vector = torch.rand(x:numel(), {generator = torch.Generator()}):to({dtype = dtype, device = x.device})
  return vector / vector:norm()
end

local function slow_text(f, inputs, all_outputs, outputs, i, k, options, case)
  local places, tensors = jacobians.places(inputs), jacobians.tensors(inputs)
  local n = jacobians.numerical(f, inputs, places[i], outputs, options.eps, fail)[k]
  local a = case.forward and jacobians.forward(f, inputs, all_outputs, options, fail)[i][k] or
    jacobians.analytical(outputs[k], tensors, {nondet_tol = math.huge}, fail)[i]
  local text = "\nThe above quantities relating the numerical and analytical jacobians are computed \nin fast mode. See: " ..
    "https://github.com/pytorch/pytorch/issues/53876 for more background \nabout fast mode. Below, we recompute numerical " ..
    ("and analytical jacobians in slow mode:\n\nNumerical:\n %s\nAnalytical:\n%s\n\nThe max per-element difference (slow " ..
    "mode) is: %s.\n"):format(tostring(n), tostring(a), tostring((n - a):abs():max()))
  if close(a, n, options.rtol, options.atol) then
    text = text .. "Fast gradcheck failed but element-wise differences are small. This means that the\ntest might've " ..
      "passed in slow_mode!"
  end
  return text
end

local function fast(f, inputs, all_outputs, outputs, options, case)
  local places, tensors = jacobians.places(inputs), jacobians.tensors(inputs)
  local us, vs = {}, {}
  for i, x in ipairs(tensors) do
    us[i] = x.dtype.is_complex and {random_vector(x, true), random_vector(x, true)} or random_vector(x, true)
  end
  if not case.forward then
    for k, output in ipairs(outputs) do vs[k] = random_vector(output) end
  end
  local forward = case.forward and #outputs > 0 and jacobians.forward(f, inputs, all_outputs, options, fail, us)
  local rows = {}
  for k, output in ipairs(outputs) do
    rows[k] = not case.forward and jacobians.analytical(output, tensors, options, fail, vs[k])
  end
  for i, place in ipairs(places) do
    local slopes = jacobians.numerical_along(f, inputs, place, us[i], options.eps, fail)
    local u, k = us[i], 0
    local sum_u = type(u) == "table" and u[1]:sum():item() + u[2]:sum():item() or u:sum():item()
    for index, output in ipairs(all_outputs) do
      if #outputs == 0 then
        if slopes[index]:numel() > 0 and slopes[index]:abs():max():item() > options.nondet_tol then
          fail("Numerical gradient for function expected to be zero")
        end
      elseif output.requires_grad then
        k = k + 1
        local a, n, scale
        if forward then
          a, n, scale = forward[i][k]:squeeze(0), slopes[index], sum_u
        else
          n, scale = (vs[k] * slopes[index]):sum(), sum_u * vs[k]:sum():item()
          local row = rows[k][i]:squeeze(1)
          if row.dtype.is_complex then
            local torch = require "torch"
            local parts = torch.view_as_real(row:resolve_conj())
            a = torch.complex(parts:select(-1, 0):dot(u[1]), parts:select(-1, 1):dot(u[2]))
          else
            a = row:dot(u)
          end
        end
        if not close(a, n:to(a.device), options.rtol, options.atol * math.abs(scale)) then
          fail(mismatch(a, n, k, i, case) .. slow_text(f, inputs, all_outputs, outputs, i, k, options, case))
        end
      end
    end
  end
end

-- --- Complex numbers: the real and the imaginary part, one after the other

local function any_complex(list)
  for i = 1, list.n or #list do
    if is_tensor(list[i]) and list[i].dtype.is_complex then return true end
  end
  return false
end

local function part_of_outputs(f, part)
  return function(...)
    local parts = {}
    for i, output in ipairs(jacobians.outputs(f(...))) do parts[i] = output.dtype.is_complex and output[part] or output end
    return parts
  end
end

local function part_of_inputs(f, inputs, part)
  local torch = require "torch"
  local parts = {n = inputs.n}
  for i = 1, inputs.n do
    local x = inputs[i]
    parts[i] = is_tensor(x) and x.dtype.is_complex and x[part] or x
  end
  return function(...)
    local given = table.pack(...)
    for i = 1, inputs.n do
      local x = inputs[i]
      if is_tensor(x) and x.dtype.is_complex then
        given[i] = part == "real" and torch.complex(given[i], x.imag:detach()) or torch.complex(x.real:detach(), given[i])
      end
    end
    return f(table.unpack(given, 1, given.n))
  end, parts
end

--- The gradients of f at inputs against differences.
function compare.check(f, inputs, all_outputs, outputs, options)
  local check = options.fast_mode and fast or slow
  if options.check_backward_ad then
    if any_complex(all_outputs) then
      for _, part in ipairs {"imag", "real"} do
        local of_part = part_of_outputs(f, part)
        local parts = jacobians.call(of_part, inputs)
        check(of_part, inputs, parts, differentiable(parts), options, {part = part == "imag" and "imaginary" or "real"})
      end
    else
      check(f, inputs, all_outputs, outputs, options, {})
    end
  end
  if not options.check_forward_ad then return end
  if not any_complex(inputs) then return check(f, inputs, all_outputs, outputs, options, {forward = true}) end
  for _, part in ipairs {"imag", "real"} do
    local of_part, parts = part_of_inputs(f, inputs, part)
    local part_outputs = jacobians.call(of_part, parts)
    check(of_part, parts, part_outputs, differentiable(part_outputs), options,
      {forward = true, part = part == "imag" and "imaginary" or "real"})
  end
end

return compare
