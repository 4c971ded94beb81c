-- torch.nn.modules.module: hooks of all modules, for debugging and profiling.
local Module = require("torch.nn.module").Module
local hooks = require("torch.nn.hooks").hooks
local signature = require "torch.signature"

local add <const>, every <const> = hooks.add_to_every, hooks.every

local module_hooks = {Module = Module}

local parse_pre = signature("register_module_forward_pre_hook", "hook")

--- hook(module, args) runs before the forward of each module, and before the module's own hooks; what it returns, if not
--- nil, replaces the arguments.
---@param hook function
---@return RemovableHandle
---@example local count = 0
--- local handle = nn.modules.module.register_module_forward_pre_hook(function() count = count + 1 end)
--- nn.Sequential(nn.ReLU())(torch.ones(1))
--- handle:remove()
--- count  --> 2
---@source torch.nn.modules.module.register_module_forward_pre_hook
function module_hooks.register_module_forward_pre_hook(...)
  return add(every, "_forward_pre_hooks", {call = (parse_pre(...))})
end

local parse_forward = signature("register_module_forward_hook", "hook, *, with_kwargs=false, always_call=false")

--- hook(module, args, output) runs after the forward of each module, and before the module's own hooks; what it returns,
--- if not nil, replaces the output.
---@param hook function
---@param with_kwargs boolean hook(module, args, kwargs, output), where a last table of keywords is `kwargs`, false
---@param always_call boolean runs also when forward or another hook fails, false
---@return RemovableHandle
---@example local names = {}
--- local handle = nn.modules.module.register_module_forward_hook(function(module) names[#names + 1] = tostring(module) end)
--- nn.ReLU()(torch.ones(1))
--- handle:remove()
--- names  --> {"ReLU()"}
---@source torch.nn.modules.module.register_module_forward_hook
function module_hooks.register_module_forward_hook(...)
  local hook, with_kwargs, always_call = parse_forward(...)
  return add(every, "_forward_hooks", {call = hook, with_kwargs = with_kwargs, always_call = always_call})
end

local parse_old = signature("register_module_backward_hook", "hook")

--- The old kind of register_module_full_backward_hook.
---@param hook function hook(module, grad_input, grad_output)
---@return RemovableHandle
---@example nn.modules.module.register_module_backward_hook(function() end):remove()
---@source torch.nn.modules.module.register_module_backward_hook
function module_hooks.register_module_backward_hook(...)
  local hook = parse_old(...)
  hooks.set_full(every, false, "as a global Module hook")
  return add(every, "_backward_hooks", {call = hook})
end

local parse_backward_pre = signature("register_module_full_backward_pre_hook", "hook")

--- hook(module, grad_output) runs when the gradients of the outputs of a module are there, of each module.
---@param hook function
---@return RemovableHandle
---@example nn.modules.module.register_module_full_backward_pre_hook(function() end):remove()
---@source torch.nn.modules.module.register_module_full_backward_pre_hook
function module_hooks.register_module_full_backward_pre_hook(...)
  return add(every, "_backward_pre_hooks", {call = (parse_backward_pre(...))})
end

local parse_backward = signature("register_module_full_backward_hook", "hook")

--- hook(module, grad_input, grad_output) runs when the gradients of the arguments of a module are there, of each module.
---@param hook function
---@return RemovableHandle
---@example nn.modules.module.register_module_full_backward_hook(function() end):remove()
---@source torch.nn.modules.module.register_module_full_backward_hook
function module_hooks.register_module_full_backward_hook(...)
  local hook = parse_backward(...)
  hooks.set_full(every, true, "as a global Module hook")
  return add(every, "_backward_hooks", {call = hook})
end

local parse_parameter = signature("register_module_parameter_registration_hook", "hook")

--- hook(module, name, param) runs before a parameter is registered in any module; what it returns, if not nil, is
--- registered in its place.
---@param hook function
---@return RemovableHandle
---@example local names = {}
--- local handle = nn.modules.module.register_module_parameter_registration_hook(function(_, name) names[#names + 1] = name end)
--- nn.Linear(2, 1)
--- handle:remove()
--- names  --> {"weight", "bias"}
---@source torch.nn.modules.module.register_module_parameter_registration_hook
function module_hooks.register_module_parameter_registration_hook(...)
  return add(every, "parameter", {call = (parse_parameter(...))})
end

local parse_buffer = signature("register_module_buffer_registration_hook", "hook")

--- hook(module, name, buffer) runs before a buffer is registered in any module; what it returns, if not nil, is registered
--- in its place.
---@param hook function
---@return RemovableHandle
---@example nn.modules.module.register_module_buffer_registration_hook(function() end):remove()
---@source torch.nn.modules.module.register_module_buffer_registration_hook
function module_hooks.register_module_buffer_registration_hook(...)
  return add(every, "buffer", {call = (parse_buffer(...))})
end

local parse_module = signature("register_module_module_registration_hook", "hook")

--- hook(module, name, child) runs before a child is registered in any module; what it returns, if not nil, is registered
--- in its place.
---@param hook function
---@return RemovableHandle
---@example nn.modules.module.register_module_module_registration_hook(function() end):remove()
---@source torch.nn.modules.module.register_module_module_registration_hook
function module_hooks.register_module_module_registration_hook(...)
  return add(every, "child", {call = (parse_module(...))})
end

return require("host.namespace")("torch.nn.modules.module", {held = module_hooks})
