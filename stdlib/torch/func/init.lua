-- torch.func: functions of functions, as in PyTorch: grad, vmap, jacrev and their like.
--
-- Where PyTorch takes a tuple (in_dims, argnums, primals, several outputs in one structure), a list is given; torch.None
-- stands for None in it. argnums count from 0.
return require("host.namespace")("torch.func", {
  files = {
    ["torch.func.vmap"] = "vmap", ["torch.func.grad"] = "grad grad_and_value vjp", ["torch.func.jvp"] = "jvp linearize",
    ["torch.func.jacobian"] = "jacrev jacfwd hessian hvp",
    ["torch.func.batch_norm"] = "replace_all_batch_norm_modules_",
    ["torch.func.functional_call"] = "functional_call stack_module_state",
  },
  absent = {
    functionalize = "a rewrite of programs for compilers, which there are none of here",
    rearrange = "patterns of einops: permute, reshape, unflatten and flatten do the same",
  },
})
