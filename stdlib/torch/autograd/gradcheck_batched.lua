-- gradcheck's batched gradients: a vmapped backward, or forward, must give what a loop gives.
local is_tensor = require("native.tensor").is_tensor
local jacobians = require "torch.autograd.gradcheck_jacobian"
local func = require "torch.func"
local native = require "native.autograd"
local vmap = func.vmap

local batched = {}

-- The results of f for two directions, by a loop and by vmap, both stacked.
local function both(parts, f, directions)
  local torch = require "torch"
  local first, second = f(directions[1]), f(directions[2])
  local expected = {}
  for i = 1, #first do expected[i] = torch.stack {first[i], second[i]} end
  local ok, result = pcall(vmap(f), torch.stack(directions))
  if not ok then
    parts.fail(("While computing batched gradients, got: %s\n\ngradcheck or gradgradcheck failed while testing batched " ..
      "gradient computation."):format(tostring(result)))
  end
  return result, expected
end

local function compare(parts, result, expected, output_index, mode)
  for i, each in ipairs(expected) do
    if not parts.close(result[i], each, 1e-5, 1e-8) then
      parts.fail(("For output %d and input %d:\n\ngradcheck or gradgradcheck failed while testing batched %sgradient " ..
        "computation.\n\nGot:\n%s\n\nExpected:\n%s"):format(output_index - 1, i - 1, mode, tostring(result[i]),
        tostring(each)))
    end
  end
end

--- For one output, of all inputs.
function batched.backward(parts, output, tensors, output_index)
  local torch = require "torch"
  local function pull(v)
    local grads = native.grad({output}, tensors, {grad_outputs = {v}, retain_graph = true, allow_unused = true})
    for i, x in ipairs(tensors) do
      if grads[i] == nil then grads[i] = torch.zeros({}, {dtype = x.dtype, device = x.device}):expand(x.shape) end
    end
    return grads
  end
  local result, expected = both(parts, pull, {torch.randn_like(output), torch.randn_like(output)})
  compare(parts, result, expected, output_index, "")
end

--- For each input, of all outputs.
function batched.forward(parts, f, inputs)
  local torch = require "torch"
  for _, place in ipairs(jacobians.places(inputs)) do
    local x = inputs[place]
    local function of_one(value)
      local given = {n = inputs.n}
      for i = 1, inputs.n do given[i] = is_tensor(inputs[i]) and inputs[i]:detach() or inputs[i] end
      given[place] = value
      return jacobians.call(f, given)
    end
    local function push(tangent)
      local _, slopes = func.jvp(of_one, {x:detach()}, {tangent})
      return slopes
    end
    local result, expected = both(parts, push, {torch.randn_like(x), torch.randn_like(x)})
    compare(parts, result, expected, place, "forward ")
  end
end

return batched
