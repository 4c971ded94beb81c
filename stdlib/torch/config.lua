-- torch.__config__: how LibTorch was built.
local context = require "native.context"

return {
  --- @return string
  show = context.show_config,
  --- @return string
  parallel_info = context.parallel_info,
  _cxx_flags = context.cxx_flags,
}
