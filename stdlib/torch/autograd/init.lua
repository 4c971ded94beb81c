-- torch.autograd: gradients, modes, and what is loaded when it is first used.
local keywords = require "host.keywords"
local namespace = require "torch.namespace"
local native = require "native.autograd"
local vm = require "native.vm"

local autograd = {}

for _, name in ipairs {
  "backward", "grad", "no_grad", "enable_grad", "set_grad_enabled", "inference_mode", "set_multithreading_enabled",
  "set_detect_anomaly", "is_multithreading_enabled",
} do
  autograd[name] = native[name]
end

autograd.grad_mode = namespace("torch.autograd.grad_mode", {}, nil, {
  no_grad = native.no_grad, enable_grad = native.enable_grad, set_grad_enabled = native.set_grad_enabled,
  inference_mode = native.inference_mode, set_multithreading_enabled = native.set_multithreading_enabled,
})

--- Anomaly mode until the scope ends, or for fn(...): set_detect_anomaly(true, check_nan).
---@param check_nan? boolean true
---@param fn? function
---@return any|scope
function autograd.detect_anomaly(check_nan, ...)
  if type(check_nan) == "function" then return native.set_detect_anomaly(true, true, check_nan, ...) end
  if check_nan == nil then check_nan = true end
  if type(check_nan) == "table" then
    check_nan = require("host.keywords").check("torch.autograd.detect_anomaly", check_nan, {check_nan = true}).check_nan
  end
  return native.set_detect_anomaly(true, check_nan, ...)
end

autograd.anomaly_mode = namespace("torch.autograd.anomaly_mode", {}, nil,
  {detect_anomaly = autograd.detect_anomaly, set_detect_anomaly = native.set_detect_anomaly})

-- `function` is a keyword of Lua: the namespace torch.autograd.function is `function_`, as `end` is `end_`.
local files = {
  forward_ad = "torch.autograd.forward_ad", functional = "torch.autograd.functional",
  graph = "torch.autograd.graph", function_ = "torch.autograd.function", ["function"] = "torch.autograd.function",
}
local held = {
  Function = "torch.autograd.function", gradcheck = "torch.autograd.gradcheck",
  gradgradcheck = "torch.autograd.gradcheck", GradcheckError = "torch.autograd.gradcheck",
}

return setmetatable(autograd, {
  __name = "torch.autograd",
  __index = function(self, name)
    local value
    if files[name] then value = require(files[name])
    elseif held[name] then value = require(held[name])[name]
    else
      local names = getmetatable(self).__names()
      for held_name in next, self do names[#names + 1] = held_name end
      vm.raise("usage", ("torch.autograd has no '%s'"):format(tostring(name)), keywords.did_you_mean(name, names))
    end
    rawset(self, name, value)
    return value
  end,
  __names = function()
    local names = {}
    for name in pairs(files) do if name ~= "function" then names[#names + 1] = name end end
    for name in pairs(held) do names[#names + 1] = name end
    return names
  end,
})
