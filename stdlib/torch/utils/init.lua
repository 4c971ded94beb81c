-- torch.utils: its namespaces, loaded when they are first used.
local vm = require "native.vm"

return setmetatable({}, {
  __index = function(utils, name)
    if name ~= "data" then
      vm.raise("usage", ("torch.utils has no '%s'"):format(tostring(name)), "it has 'data'")
    end
    local value = require "torch.utils.data"
    rawset(utils, name, value)
    return value
  end,
  __names = function() return {"data"} end,
})
