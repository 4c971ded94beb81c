-- torch.nn: layers, losses and what they are made of, each in a file of its own and loaded when first used.
local lazy = require "torch.lazy"
local module = require "torch.nn.module"

require "torch.nn.foreign"

return lazy("torch.nn", {
  Module = module.Module,
  class = module.class,
  is_module = module.is_module,
}, {init = "initializers"})  -- init.lua would be the folder itself
