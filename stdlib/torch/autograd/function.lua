-- torch.autograd.function_ (PyTorch's torch.autograd.function): operators of one's own, forward and backward in Lua.
local native = require "native.autograd"
local is_tensor = require("native.tensor").is_tensor
local vm = require "native.vm"

local apply, is_transforming = native.apply, native.is_transforming

local functions = {}

-- What a class lacks it has from its base, in the end from here.
local Function = {__name = "Function", generate_vmap_rule = false}

local function check_class(value)
  return type(value) == "table" and rawget(value, "__name") ~= nil and
    (value == Function or rawget(value, "apply") ~= nil)
end

-- A class is called through `apply`, which is a function of its own: Exp.apply(x).
local function make_class(_, name, base)
  if type(name) ~= "string" then
    vm.raise("usage", "torch.autograd.Function: argument 'name' must be a string, got " .. vm.describe(name))
  end
  if base ~= nil and not check_class(base) then
    vm.raise("usage", "torch.autograd.Function: argument 'base' must be a Function, got " .. vm.describe(base))
  end
  local label = name .. "Backward"
  local class = {__name = name}
  function class.apply(first, ...)
    if first == class then
      vm.raise("usage", ("%s:apply(...) passes the class as an argument"):format(name),
        ("call %s.apply(...)"):format(name))
    end
    if is_transforming() then return require("torch.autograd.function_transforms").apply(class, first, ...) end
    return apply(class, label, first, ...)
  end
  return setmetatable(class, {
    __name = "class",
    __index = base or Function,
    __tostring = function() return "class " .. name end,
    __call = function()
      vm.raise("usage", "Legacy autograd function with non-static forward method is deprecated. Please use new-style " ..
        "autograd function with static forward method.", ("call %s.apply(...)"):format(name))
    end,
  })
end

--- Makes a class of operators: `local Exp = torch.autograd.Function("Exp")`. Define `Exp.forward(ctx, ...)` (or
--- `Exp.forward(...)` and `Exp.setup_context(ctx, inputs, output)`), `Exp.backward(ctx, ...)` with a gradient for each
--- argument of forward, and `Exp.jvp(ctx, ...)` for forward mode; call it by `Exp.apply(...)`.
---@param name string grad_fn prints as <nameBackward>
---@param base? table another Function, whose functions it has
---@return table class
---@example local Square = torch.autograd.Function("Square")
--- function Square.forward(ctx, x)
---   ctx:save_for_backward(x)
---   return x * x
--- end
--- function Square.backward(ctx, grad) return 2 * ctx.saved_tensors[1] * grad end
--- local x = torch.tensor({3.}, {requires_grad = true})
--- Square.apply(x):backward()
--- x.grad  --> tensor([6.])
functions.Function = setmetatable(Function, {
  __name = "class",
  __call = make_class,
  __tostring = function() return "class Function" end,
})

local function record(count, ...)
  local differentiable = false
  for i = 1, count do
    local value = select(i, ...)
    differentiable = differentiable or (is_tensor(value) and value.requires_grad)
  end
  return differentiable
end

local function delayed(...)
  return native.delayed_error(
    "trying to differentiate twice a function that was marked with @once_differentiable", ...)
end

--- A backward that works on numbers alone: its gradients cannot be differentiated again, which is an error then.
---@param backward fun(ctx: FunctionCtx, ...): ...
---@return function
---@example local once = torch.autograd.function_.once_differentiable
--- local Double = torch.autograd.Function("Double")
--- function Double.forward(ctx, x) return 2 * x end
--- Double.backward = once(function(ctx, grad) return 2 * grad end)
--- local x = torch.ones(1, {requires_grad = true})
--- Double.apply(x):backward()
--- x.grad  --> tensor([2.])
function functions.once_differentiable(backward)
  if type(backward) ~= "function" then
    vm.raise("usage", "once_differentiable: argument 'backward' must be a function, got " .. vm.describe(backward))
  end
  return function(ctx, ...)
    if not native.is_grad_enabled() or not record(select("#", ...), ...) then
      return native.no_grad(backward, ctx, ...)
    end
    return delayed(native.no_grad(backward, ctx, ...))
  end
end

return functions
