-- torch.utils: its namespaces, loaded when they are first used.
return require("host.namespace")("torch.utils", {
  modules = {data = "torch.utils.data", checkpoint = "torch.utils.checkpoint", deterministic = "torch.utils.deterministic",
    tensorboard = "torch.utils.tensorboard"},
})
