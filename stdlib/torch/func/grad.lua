-- torch.func.grad, grad_and_value and vjp: gradients of functions, in reverse mode.
local arguments = require "torch.func.arguments"
local is_tensor = require("native.tensor").is_tensor
local native = require "native.autograd"
local pytree = require "torch.pytree"
local signature = require "torch.signature"
local vm = require "native.vm"

local transforms = {}

local function check_function(f, api)
  if type(f) ~= "function" and not (getmetatable(f) and (type(f) == "table" or type(f) == "userdata")) or is_tensor(f) then
    vm.raise("usage", ("%s: argument 'func' must be a function, got %s"):format(api, vm.describe(f)))
  end
end

local function differentiate(f, argnums, has_aux, ...)
  local _ <close> = native.disable_saved_tensors_hooks(arguments.no_saved_hooks)
  local _ <close>, level = native.grad_layer()
  local _ <close> = native.enable_grad()
  local wrapped = arguments.wrap(pytree.tuple(...), level)
  local inputs = arguments.slice(wrapped, argnums)
  arguments.differentiate(inputs)
  local results = table.pack(native.call(f, table.unpack(wrapped, 1, wrapped.n)))
  local output, aux = results[1], results[2]
  if has_aux and results.n ~= 2 then
    vm.raise("usage", "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if has_aux is True")
  end
  if not is_tensor(output) or not has_aux and results.n ~= 1 then
    vm.raise("usage", "grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got " ..
      (results.n > 1 and not has_aux and results.n .. " values" or vm.describe(output)))
  end
  if output:dim() ~= 0 then
    vm.raise("shape", ("grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with %d dims. " ..
      "Maybe you wanted to use the vjp or jacrev APIs instead?"):format(output:dim()))
  end
  local leaves, spec = pytree.flatten(inputs)
  local grads = arguments.gradients({output}, leaves, nil, true, true)
  for i, grad in ipairs(grads) do grads[i] = native.unwrap_for_grad(grad, level) end
  if has_aux then aux = arguments.unwrap(aux, level) end
  return pytree.unflatten(grads, spec), native.unwrap_for_grad(output, level), aux
end

local parse = signature("torch.func.grad", "func, argnums=0, has_aux=false")

--- A function that gives the gradient of `func`, whose result is one number.
---@param func function
---@param argnums? integer|integer[] 0; the arguments to differentiate by, from 0; a list gives a list of gradients
---@param has_aux? boolean false; func returns a second value, which is passed on
---@return function
---@example torch.func.grad(function(x) return (x ^ 3):sum() end)(torch.tensor{1., 2.})  --> tensor([ 3., 12.])
function transforms.grad(...)
  local f, argnums, has_aux = parse(...)
  check_function(f, "torch.func.grad")
  return function(...)
    local grads, _, aux = differentiate(f, argnums, has_aux, ...)
    if has_aux then return grads, aux end
    return grads
  end
end

--- A function that gives the gradient of `func`, and its value.
---@param func function
---@param argnums? integer|integer[] 0
---@param has_aux? boolean false; the value is {value, aux} then
---@return function
---@example torch.func.grad_and_value(function(x) return (x ^ 2):sum() end)(torch.tensor{3.})
--- --> tensor([6.])	tensor(9.)
function transforms.grad_and_value(...)
  local f, argnums, has_aux = parse(...)
  check_function(f, "torch.func.grad_and_value")
  return function(...)
    local grads, value, aux = differentiate(f, argnums, has_aux, ...)
    if has_aux then return grads, {value, aux} end
    return grads, value
  end
end

--- vjp with argnums, for jacrev: output structure, the function of cotangents, aux.
function transforms.vjp_of(f, argnums, has_aux, ...)
  local _ <close> = native.disable_saved_tensors_hooks(arguments.no_saved_hooks)
  local _ <close>, level = native.grad_layer()
  local _ <close> = native.enable_grad()
  local primals = arguments.wrap(pytree.tuple(...), level)
  local inputs = argnums == nil and primals or arguments.slice(primals, argnums)
  arguments.differentiate(inputs)
  local results = table.pack(native.call(f, table.unpack(primals, 1, primals.n)))
  local aux
  if has_aux then
    if results.n ~= 2 then
      vm.raise("usage", "vjp(f, *primals): output of function f should be a tuple: (output, aux) if has_aux is True")
    end
    aux, results.n = arguments.unwrap(results[2], level), 1
  end
  local output = arguments.results(results.n, table.unpack(results, 1, results.n))
  local outputs, outputs_spec = pytree.flatten(output)
  arguments.check_outputs(outputs, "vjp(f, *primals)")
  local leaves, spec = pytree.flatten(inputs)
  local unwrapped = arguments.unwrap(output, level)
  for _, each in ipairs(outputs) do
    if not (each.dtype.is_floating_point or each.dtype.is_complex) then
      vm.raise("dtype", "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype " ..
        tostring(each.dtype))
    end
  end
  local function pull_back(cotangents, retain_graph, create_graph)
    local given, given_spec = pytree.flatten(cotangents)
    if not pytree.same(given_spec, outputs_spec) then
      vm.raise("usage", ("Expected pytree structure of cotangents to be the same as pytree structure of outputs to the " ..
        "function. cotangents: %s, primal output: %s"):format(pytree.describe(given_spec), pytree.describe(outputs_spec)))
    end
    if create_graph == nil then create_graph = native.is_grad_enabled() end
    local grads = arguments.gradients(outputs, leaves, given, create_graph, retain_graph ~= false)
    return pytree.unflatten(grads, spec)
  end
  return unwrapped, pull_back, aux
end

local parse_vjp = signature("torch.func.vjp", "func")

--- The output of func(...), and a function that pulls a cotangent of it back to the arguments: one result an argument.
--- Several outputs are taken as a list.
---@param func function
---@param ... any the primals; a last table {has_aux = true} if func returns a second value, which is a third result
---@return any output
---@return fun(cotangents: any): ...
---@example local _, pullback = torch.func.vjp(torch.sin, torch.zeros(2))
--- pullback(torch.ones(2))  --> tensor([1., 1.])
function transforms.vjp(func, ...)
  check_function(parse_vjp(func), "torch.func.vjp")
  local primals = table.pack(...)
  local has_aux = false
  local last = primals[primals.n]
  if type(last) == "table" and next(last) == "has_aux" and next(last, "has_aux") == nil then
    has_aux, primals.n = last.has_aux, primals.n - 1
  end
  local output, pull_back, aux = transforms.vjp_of(func, nil, has_aux, table.unpack(primals, 1, primals.n))
  local function vjp_fn(cotangents, ...)
    local grads = pull_back(cotangents, ...)
    return table.unpack(grads, 1, primals.n)
  end
  if getmetatable(output) == getmetatable(pytree.tuple()) then output = setmetatable(output, nil) end
  if has_aux then return output, vjp_fn, aux end
  return output, vjp_fn
end

return transforms
