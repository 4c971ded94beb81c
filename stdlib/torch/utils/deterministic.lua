-- torch.utils.deterministic: fill_uninitialized_memory, true by default: where torch.use_deterministic_algorithms is on,
-- memory that torch.empty and the like leave as it is holds NaN or the highest integer.
local context = require "native.context"
local vm = require "native.vm"

local NAME <const> = "torch.utils.deterministic"
local FLAG <const> = "fill_uninitialized_memory"

local function check(key)
  if key ~= FLAG then vm.raise("usage", ("%s has no '%s'"):format(NAME, tostring(key)), "it has " .. FLAG) end
end

return setmetatable({}, {
  __name = NAME,
  __names = function() return {FLAG} end,
  __index = function(_, key)
    check(key)
    return context.get(FLAG)
  end,
  __newindex = function(_, key, value)
    check(key)
    context.set(FLAG, value, NAME .. "." .. FLAG)
  end,
})
