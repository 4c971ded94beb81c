-- torch.func: functions of functions, as in PyTorch: grad, vmap, jacrev and their like.
--
-- Where PyTorch takes a tuple (in_dims, argnums, primals, several outputs in one structure), a list is given; torch.None
-- stands for None in it. argnums count from 0.
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local vm = require "native.vm"

local held = {
  vmap = "vmap", grad = "grad", grad_and_value = "grad", vjp = "grad", jvp = "jvp", jacrev = "jacobian",
  jacfwd = "jacobian", hessian = "jacobian", hvp = "jacobian", linearize = "jvp", functional_call = "functional_call",
  stack_module_state = "functional_call",
}

return setmetatable({}, {
  __name = "torch.func",
  __index = function(self, name)
    if not held[name] then
      vm.raise("usage", ("torch.func has no '%s'"):format(tostring(name)),
        name == "functionalize" and "a rewrite of programs for compilers, which there are none of here"
          or keywords.did_you_mean(name, ordered.keys(held)))
    end
    local value = require("torch.func." .. held[name])[name]
    rawset(self, name, value)
    return value
  end,
  __names = function() return ordered.keys(held) end,
})
