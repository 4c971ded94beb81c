-- torch.nn.modules.lazy: what lazily initialized modules of one's own are made with.
return require("host.namespace")("torch.nn.modules.lazy", {
  held = {LazyModuleMixin = require("torch.nn.lazy").LazyModuleMixin},
})
