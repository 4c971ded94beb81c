-- torch.nn.modules: PyTorch's other place of the classes of torch.nn, and what is public of its files.
return require("host.namespace")("torch.nn.modules", {
  modules = {module = "torch.nn.module_hooks", lazy = "torch.nn.lazy_mixin"},
  find = function(name)
    local nn = require("torch").nn
    local found, value = pcall(function() return nn[name] end)
    return found and value or nil
  end,
})
