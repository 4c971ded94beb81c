-- torch.utils: its namespaces, loaded when they are first used.
return require("torch.namespace")("torch.utils", {
  modules = {data = "torch.utils.data", checkpoint = "torch.utils.checkpoint"},
})
