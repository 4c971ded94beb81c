-- torch.func.jvp and linearize: derivatives along a direction, in forward mode.
local arguments = require "torch.func.arguments"
local forward_ad = require "torch.autograd.forward_ad"
local is_tensor = require("native.tensor").is_tensor
local native = require "native.autograd"
local pytree = require "torch.pytree"
local signature = require "torch.signature"
local vm = require "native.vm"

local transforms = {}
local NAME <const> = "jvp(f, primals, tangents)"
local nesting = 0

local ForwardGrad = {}
function ForwardGrad.__close(self) native.set_forward_grad_enabled(self.before) end

local Nesting = {}
function Nesting.__close() nesting = nesting - 1 end

local function unpack(dual, strict)
  local primal, tangent = forward_ad.unpack_dual(dual, {level = 0})
  if tangent == nil then
    if strict then
      vm.raise("usage", "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is " ..
        "not allowed with strict=True.")
    end
    tangent = require("torch").zeros_like(primal)
  end
  return primal, tangent
end

local function check_list(leaves, what)
  if leaves.n == 0 then vm.raise("usage", ("%s: Expected %s to contain at least one Tensor."):format(NAME, what)) end
  for i = 1, leaves.n do
    if not is_tensor(leaves[i]) then
      vm.raise("usage", ("%s: Expected %s to only contain Tensors, got %s"):format(NAME, what, vm.describe(leaves[i])))
    end
  end
end

--- jvp with argnums, for jacfwd: primals and tangents as structures, aux.
function transforms.jvp_of(f, primals, tangents, argnums, strict, has_aux)
  local inputs = argnums == nil and primals or arguments.slice(primals, argnums)
  local leaves, spec = pytree.flatten(inputs)
  local directions, directions_spec = pytree.flatten(tangents)
  if pytree.describe(spec) ~= pytree.describe(directions_spec) then
    vm.raise("usage", ("%s: Expected primals and tangents to have the same python structure. For example, if primals is a " ..
      "tuple of 3 tensors, tangents also must be. Got primals with structure %s and tangents with structure %s"):format(
      NAME, pytree.describe(spec), pytree.describe(directions_spec)))
  end
  check_list(leaves, "primals")
  check_list(directions, "tangents")
  local _ <close>, level = native.jvp_layer()
  nesting = nesting + 1
  local _ <close> = setmetatable({}, Nesting)
  local _ <close> = setmetatable({before = native.set_forward_grad_enabled(true)}, ForwardGrad)
  local _ <close> = nesting == 1 and forward_ad.dual_level() or nil
  local duals = {}
  for i = 1, leaves.n do duals[i] = forward_ad.make_dual(leaves[i], directions[i], {level = 0}) end
  local dual_inputs = pytree.unflatten(duals, spec)
  local call = dual_inputs
  if argnums ~= nil then
    call = arguments.wrap(primals, level)
    local places = arguments.places(argnums, primals.n or #primals)
    for i, place in ipairs(places) do call[place] = type(argnums) == "table" and dual_inputs[i] or dual_inputs end
  end
  local results = table.pack(native.call(f, table.unpack(call, 1, primals.n or #primals)))
  local aux
  if has_aux then
    if results.n ~= 2 then
      vm.raise("usage", NAME .. ": output of function f should be a tuple: (output, aux) if has_aux is True")
    end
    aux, results.n = arguments.unwrap(results[2], level), 1
  end
  local outputs, outputs_spec = pytree.flatten(arguments.results(results.n, table.unpack(results, 1, results.n)))
  arguments.check_outputs(outputs, NAME)
  local values, slopes = {}, {}
  for i = 1, outputs.n do
    local primal, tangent = unpack(outputs[i], strict)
    values[i] = native.unwrap_for_grad(primal, level)
    slopes[i] = native.unwrap_for_grad(tangent, level)
  end
  return pytree.unflatten(values, outputs_spec), pytree.unflatten(slopes, outputs_spec), aux
end

-- What a script sees of a structure: a tuple is a plain list.
local function plain(structure)
  local meta = type(structure) == "table" and getmetatable(structure)
  if meta and meta.__name == "tuple" then return setmetatable(structure, nil) end
  return structure
end

local parse = signature("torch.func.jvp", "func, primals, tangents, strict=false, has_aux=false")

--- The output of func(primals...) and its derivative in the direction of the tangents.
---@param func function
---@param primals any[] the arguments
---@param tangents any[] of the same structure
---@param strict? boolean false; an output that does not depend on the primals is an error
---@param has_aux? boolean false; func returns a second value, which is a third result
---@return any output
---@return any tangents
---@example torch.func.jvp(torch.sin, {torch.zeros(1)}, {torch.ones(1)})  --> tensor([0.])	tensor([1.])
function transforms.jvp(...)
  local f, primals, tangents, strict, has_aux = parse(...)
  if type(primals) ~= "table" then
    vm.raise("usage", NAME .. ": Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
  end
  local values, slopes, aux = transforms.jvp_of(f, primals, tangents, nil, strict, has_aux)
  if has_aux then return plain(values), plain(slopes), aux end
  return plain(values), plain(slopes)
end

--- The output of func(...) and a function of tangents that gives the derivative at these primals. (It runs func again;
--- PyTorch keeps a trace.)
---@param func function
---@param ... any primals
---@return any output
---@return fun(...): any
---@example local output, derivative = torch.func.linearize(function(x) return x * x end, torch.tensor{3.})
--- output  --> tensor([9.])
--- derivative(torch.tensor{1.})  --> tensor([6.])
function transforms.linearize(func, ...)
  local primals = table.pack(...)
  local results = table.pack(func(...))
  local output = plain(arguments.results(results.n, table.unpack(results, 1, results.n)))
  return output, function(...)
    local tangents = table.pack(...)
    local _, slopes = transforms.jvp_of(func, primals, tangents, nil, false, false)
    return plain(slopes)
  end
end

return transforms
