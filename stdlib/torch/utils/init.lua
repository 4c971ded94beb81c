-- torch.utils: its namespaces, loaded when they are first used.
local vm = require "native.vm"

local files = {data = "torch.utils.data", checkpoint = "torch.utils.checkpoint"}

return setmetatable({}, {
  __index = function(utils, name)
    if not files[name] then
      vm.raise("usage", ("torch.utils has no '%s'"):format(tostring(name)), "it has 'checkpoint' and 'data'")
    end
    local value = require(files[name])
    rawset(utils, name, value)
    return value
  end,
  __names = function() return {"checkpoint", "data"} end,
})
