-- torch.nn.utils: gradients, parameters and sequences; each file is loaded when one of its functions is first used.
return require("host.namespace")("torch.nn.utils", {
  modules = {
    parametrizations = "torch.nn.utils.parametrizations", parametrize = "torch.nn.utils.parametrize",
    prune = "torch.nn.utils.prune", rnn = "torch.nn.utils.rnn", stateless = "torch.nn.utils.stateless",
  },
  files = {
    ["torch.nn.utils.clip_grad"] = "clip_grad_norm clip_grad_norm_ clip_grads_with_norm_ clip_grad_value_ get_total_norm "
      .. "get_grad_norm",
    ["torch.nn.utils.convert_parameters"] = "parameters_to_vector vector_to_parameters",
    ["torch.nn.utils.fusion"] = "fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights",
    ["torch.nn.utils.memory_format"] = "convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format",
    ["torch.nn.utils.skip_init"] = "skip_init",
    ["torch.nn.utils.spectral_norm"] = "spectral_norm remove_spectral_norm",
    ["torch.nn.utils.weight_norm"] = "weight_norm remove_weight_norm",
  },
})
