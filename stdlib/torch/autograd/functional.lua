-- torch.autograd.functional: jacobian, hessian, vjp, jvp, vhp, hvp. A list of inputs gives lists, one Tensor a Tensor.
local is_tensor = require("native.tensor").is_tensor
local native = require "native.autograd"
local none = require("native.tensor").None
local signature = require "torch.signature"
local vm = require "native.vm"

local functional = {}

local function size_text(tensor) return tostring(tensor:size()) end

-- A list, and whether it was one.
local function as_list(value, what, where)
  local is_list = type(value) == "table"
  local list = is_list and value or {value}
  for i = 1, math.max(#list, 1) do
    if not is_tensor(list[i]) then
      vm.raise("usage", ("The %s given to %s must be either a Tensor or a tuple of Tensors but the %s has type %s."):format(
        what, where, is_list and "value at index " .. i - 1 or "given " .. what, vm.describe(list[i])))
    end
  end
  return list, is_list
end

-- What a user's function returns: several results, or a list, are several outputs.
local function call(f, inputs, where)
  local results = table.pack(f(table.unpack(inputs, 1, #inputs)))
  if results.n > 1 then return as_list({table.unpack(results, 1, results.n)}, "outputs of the user-provided function", where) end
  return as_list(results[1], "outputs of the user-provided function", where)
end

local function prepare(inputs, create_graph, need_graph)
  local prepared = {}
  for i, input in ipairs(inputs) do
    if create_graph and input.requires_grad then
      prepared[i] = input.is_sparse and input:clone() or input:view_as(input)
    else
      prepared[i] = input:detach():requires_grad_(need_graph)
    end
  end
  return prepared
end

-- Detached copies, in lists of lists too.
local function finish(value, create_graph)
  if create_graph then return value end
  if is_tensor(value) then return value:detach() end
  local list = {}
  for i, each in ipairs(value) do list[i] = finish(each, create_graph) end
  return list
end

local function one_or_list(list, is_list) return is_list and list or list[1] end

local function check_v(v, others, is_list)
  if #v ~= #others then
    vm.raise("usage", is_list and ("v is a tuple of invalid length: should be %d but got %d."):format(#others, #v) or
      "The given v should contain a single Tensor.")
  end
  for i, each in ipairs(v) do
    if each:size() ~= others[i]:size() then
      vm.raise("shape", ("%sv has invalid size: should be %s but got %s."):format(
        is_list and ("Entry %d in "):format(i - 1) or "", size_text(others[i]), size_text(each)))
    end
  end
end

local TEXTS <const> = {
  outputs = "Output %d of the user-provided function does not require gradients. The outputs must be computed in a " ..
    "differentiable manner from the input when running in strict mode.",
  grad_inputs = "The gradient with respect to input %d is independent of the inputs of the user-provided function. This " ..
    "is not allowed in strict mode.",
  jacobian = "While computing the hessian, found that the jacobian of the user-provided function with respect to input " ..
    "%d is independent of the input. This is not allowed in strict mode. You should ensure that your function is twice " ..
    "differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for example).",
  hessian = "The hessian of the user-provided function with respect to input %d is independent of the input. This is not " ..
    "allowed in strict mode. You should ensure that your function is thrice differentiable and that the hessian depends " ..
    "on the inputs.",
  none = "The output of the user-provided function is independent of input %d. This is not allowed in strict mode.",
}

local function check_recorded(list, count, what, strict)
  if not strict then return end
  for i = 1, count do
    if list[i] == nil then vm.raise("usage", TEXTS.none:format(i - 1)) end
    if not list[i].requires_grad then vm.raise("usage", TEXTS[what]:format(i - 1)) end
  end
end

-- Gradients where there are any: nil for the others.
local function gradients(outputs, inputs, v, options)
  local of, with, any = {}, {}, false
  for i, output in ipairs(outputs) do
    if output ~= nil and output ~= none and output.requires_grad then
      of[#of + 1] = output
      with[#of] = v and v[i] or none
      any = any or v ~= nil
    end
  end
  if #of == 0 then return {} end
  return native.grad(of, inputs, {grad_outputs = any and with or nil, allow_unused = true,
    create_graph = options.create_graph or false, retain_graph = options.retain_graph,
    is_grads_batched = options.is_grads_batched})
end

local MISSING <const> = {
  back = "The output of the user-provided function is independent of input %d. This is not allowed in strict mode.",
  back_trick = "The gradient with respect to the input is independent of entry %d in the grad_outputs when using the " ..
    "double backward trick to compute forward mode gradients. This is not allowed in strict mode.",
  double_back = "The jacobian of the user-provided function is independent of input %d. This is not allowed in strict mode.",
  double_back_trick = "The hessian of the user-provided function is independent of entry %d in the grad_jacobian. This " ..
    "is not allowed in strict mode as it prevents from using the double backward trick to replace forward mode AD.",
}

local function fill_zeros(grads, refs, strict, create_graph, stage)
  local torch = require "torch"
  local filled = {}
  for i, ref in ipairs(refs) do
    local grad = grads[i]
    if grad == nil then
      if strict then vm.raise("usage", MISSING[stage]:format(i - 1)) end
      grad = torch.zeros_like(ref)
    elseif strict and create_graph and not grad.requires_grad then
      vm.raise("usage", ("The %s of the user-provided function is independent of input %d. This is not allowed in strict " ..
        "mode when create_graph=True."):format(stage:find "double" and "hessian" or "jacobian", i - 1))
    end
    filled[i] = grad
  end
  return filled
end

-- The inputs, the direction v, and the outputs, recorded. `of`: what v must look like.
local function start(where, f, inputs, v, create_graph, strict, of, no_v)
  local list, is_list = as_list(inputs, "inputs", where)
  list = prepare(list, create_graph, true)
  local outputs, is_outputs_list = call(f, list, where)
  check_recorded(outputs, #outputs, "outputs", strict)
  local others = of == "outputs" and outputs or list
  if v ~= nil then
    v = prepare((as_list(v, "v", where)), create_graph, false)
    check_v(v, others, of == "outputs" and is_outputs_list or of ~= "outputs" and is_list)
  elseif #others ~= 1 or others[1]:numel() ~= 1 then
    vm.raise("usage", no_v)
  end
  return list, is_list, v, outputs, is_outputs_list
end

local function single_output(where, outputs, is_list)
  if is_list then vm.raise("usage", ("The function given to %s should return a single Tensor"):format(where)) end
  if outputs[1]:numel() ~= 1 then
    vm.raise("shape", ("The Tensor returned by the function given to %s should contain a single element"):format(where))
  end
end

local NO_INPUT <const> = "The vector v can only be None if the input to the user-provided function is a single Tensor " ..
  "with a single element."

local parse_vjp = signature("torch.autograd.functional.vjp", "func, inputs, v=nil, create_graph=false, strict=false")

--- The outputs of func(inputs...) and v^T times its Jacobian.
---@param func function
---@param inputs Tensor|Tensor[]
---@param v? Tensor|Tensor[] of the shape of the outputs; needed unless that is one number
---@param create_graph? boolean false
---@param strict? boolean false; an independent input is an error, not zeros
---@return Tensor|Tensor[] outputs
---@return Tensor|Tensor[] vjp
---@example select(2, torch.autograd.functional.vjp(torch.square, torch.tensor{3.}, torch.ones(1)))  --> tensor([6.])
function functional.vjp(...)
  local f, inputs, v, create_graph, strict = parse_vjp(...)
  local list, is_list, given, outputs, is_outputs_list
  native.enable_grad(function()
    list, is_list, given, outputs, is_outputs_list = start("vjp", f, inputs, v, create_graph, strict, "outputs",
      "The vector v can only be None if the user-provided function returns a single Tensor with a single element.")
  end)
  local product = native.set_grad_enabled(create_graph or native.is_grad_enabled(), function()
    return fill_zeros(gradients(outputs, list, given, {create_graph = create_graph}), list, strict, create_graph, "back")
  end)
  return one_or_list(finish(outputs, create_graph), is_outputs_list), one_or_list(finish(product, create_graph), is_list)
end

local parse_jvp = signature("torch.autograd.functional.jvp", "func, inputs, v=nil, create_graph=false, strict=false")

--- The outputs of func(inputs...) and its Jacobian times v, by differentiating twice.
---@param func function
---@param inputs Tensor|Tensor[]
---@param v? Tensor|Tensor[] of the shape of the inputs; needed unless that is one number
---@param create_graph? boolean false
---@param strict? boolean false
---@return Tensor|Tensor[] outputs
---@return Tensor|Tensor[] jvp
---@example select(2, torch.autograd.functional.jvp(torch.square, torch.tensor{3.}, torch.ones(1)))  --> tensor([6.])
function functional.jvp(...)
  local torch = require "torch"
  local f, inputs, v, create_graph, strict = parse_jvp(...)
  local list, given, outputs, is_list, grads, dummies
  native.enable_grad(function()
    local _
    list, _, given, outputs, is_list = start("jvp", f, inputs, v, create_graph, strict, "inputs", NO_INPUT)
    dummies = {}
    for i, output in ipairs(outputs) do dummies[i] = torch.zeros_like(output, {requires_grad = true}) end
    grads = gradients(outputs, list, dummies, {create_graph = true})
    check_recorded(grads, #list, "grad_inputs", strict)
  end)
  for i = 1, #list do grads[i] = grads[i] or none end
  local product = native.set_grad_enabled(create_graph or native.is_grad_enabled(), function()
    return fill_zeros(gradients(grads, dummies, given, {create_graph = create_graph}), outputs, strict, create_graph,
      "back_trick")
  end)
  return one_or_list(finish(outputs, create_graph), is_list), one_or_list(finish(product, create_graph), is_list)
end

local function product_with_hessian(where, stage, ...)
  local torch = require "torch"
  local f, inputs, v, create_graph, strict = ...
  local list, is_list, given, outputs, jacobian, dummies, doubled
  native.enable_grad(function()
    local is_outputs_list
    list, is_list, given, outputs, is_outputs_list = start(where, f, inputs, v, create_graph, strict, "inputs", NO_INPUT)
    single_output(where, outputs, is_outputs_list)
    jacobian = gradients(outputs, list, nil, {create_graph = true})
    check_recorded(jacobian, #list, "jacobian", strict)
    for i = 1, #list do jacobian[i] = jacobian[i] or none end
    if stage == "double_back" then return end
    dummies = {}
    for i, input in ipairs(list) do dummies[i] = torch.zeros_like(input, {requires_grad = true}) end
    doubled = gradients(jacobian, list, dummies, {create_graph = true})
    check_recorded(jacobian, #list, "hessian", strict)
    for i = 1, #list do doubled[i] = doubled[i] or none end
  end)
  local product = native.set_grad_enabled(create_graph or native.is_grad_enabled(), function()
    return fill_zeros(gradients(doubled or jacobian, dummies or list, given, {create_graph = create_graph}), list, strict,
      create_graph, stage)
  end)
  return finish(outputs, create_graph)[1], one_or_list(finish(product, create_graph), is_list)
end

local parse_vhp = signature("torch.autograd.functional.vhp", "func, inputs, v=nil, create_graph=false, strict=false")

--- The output of func(inputs...), one number, and v^T times its Hessian.
---@param func function
---@param inputs Tensor|Tensor[]
---@param v? Tensor|Tensor[]
---@param create_graph? boolean false
---@param strict? boolean false
---@return Tensor output
---@return Tensor|Tensor[] vhp
---@example local function f(x) return (x ^ 3):sum() end
--- select(2, torch.autograd.functional.vhp(f, torch.tensor{2.}, torch.ones(1)))  --> tensor([12.])
function functional.vhp(...) return product_with_hessian("vhp", "double_back", parse_vhp(...)) end

local parse_hvp = signature("torch.autograd.functional.hvp", "func, inputs, v=nil, create_graph=false, strict=false")

--- The output of func(inputs...), one number, and its Hessian times v. (vhp is quicker, and equal where the Hessian is
--- symmetric.)
---@param func function
---@param inputs Tensor|Tensor[]
---@param v? Tensor|Tensor[]
---@param create_graph? boolean false
---@param strict? boolean false
---@return Tensor output
---@return Tensor|Tensor[] hvp
---@example local function f(x) return (x ^ 3):sum() end
--- select(2, torch.autograd.functional.hvp(f, torch.tensor{2.}, torch.ones(1)))  --> tensor([12.])
function functional.hvp(...) return product_with_hessian("hvp", "double_back_trick", parse_hvp(...)) end

functional.parts = {as_list = as_list, call = call, prepare = prepare, finish = finish, one_or_list = one_or_list,
  check_recorded = check_recorded, gradients = gradients, single_output = single_output}

for name, f in pairs(require("torch.autograd.jacobian")(functional.parts)) do functional[name] = f end
functional.parts = nil

return require("host.namespace")("torch.autograd.functional", {held = functional})
