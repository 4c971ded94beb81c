-- torch.version: which LibTorch this is.
local context = require "native.context"
local vm = require "native.vm"

local version = {
  __version__ = vm.versions().torch,
  debug = false,
  --- The CUDA that LibTorch was built for, "12.6", or nil.
  cuda = context.show_config():match "CUDA Runtime ([%d%.]+)",
}

-- Builds for other accelerators have no Lua host: their versions are nil, as PyTorch's are where they are not built in.
return setmetatable(version, {__index = function(_, name)
  if name == "hip" or name == "rocm" or name == "xpu" or name == "git_version" or name == "cuda" then return nil end
  vm.raise("usage", ("torch.version has no '%s'"):format(tostring(name)), "it has __version__, cuda, debug, hip")
end})
