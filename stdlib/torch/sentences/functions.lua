-- One sentence about functions and attributes whose docstring has types alone, or that are made in a loop: by their
-- whole name.
local sentences = {
  ["torch.get_default_device"] = "The device of new tensors that are given none.",
  ["torch.cuda.seed_all"] = "Seeds the generators of all CUDA devices from the system's entropy.",
  ["torch.matrix_rank"] = "Removed from PyTorch: raises an error that names torch.linalg.matrix_rank.",
  ["torch.solve"] = "Removed from PyTorch: raises an error that names torch.linalg.solve.",
  ["torch.lstsq"] = "Removed from PyTorch: raises an error that names torch.linalg.lstsq.",
  ["torch.eig"] = "Removed from PyTorch: raises an error that names torch.linalg.eig.",
  ["torch.symeig"] = "Removed from PyTorch: raises an error that names torch.linalg.eigh.",
  ["torch.backends.cpu.get_cpu_capability"] = "The instruction set that kernels use: \"AVX2\", \"AVX512\" ...",
  ["torch.backends.cuda.is_built"] = "Whether LibTorch was built with CUDA.",
  ["torch.backends.cuda.enable_cudnn_sdp"] = "Allows cuDNN's kernel of scaled_dot_product_attention, or forbids it.",
  ["torch.backends.cuda.enable_flash_sdp"] = "Allows the flash kernel of scaled_dot_product_attention, or forbids it.",
  ["torch.backends.cuda.enable_math_sdp"] = "Allows the plain kernel of scaled_dot_product_attention, or forbids it.",
  ["torch.backends.cuda.enable_mem_efficient_sdp"] =
    "Allows the memory efficient kernel of scaled_dot_product_attention, or forbids it.",
  ["torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed"] =
    "Whether the plain kernel of scaled_dot_product_attention may sum in half precision.",
  ["torch.backends.cuda.is_ck_sdpa_available"] = "Whether the composable kernel of attention can be used.",
  ["torch.backends.cuda.is_flash_attention_available"] = "Whether LibTorch was built with flash attention.",
  ["torch.backends.cuda.preferred_blas_library"] = "Chooses the library of CUDA's matrix products, or tells it.",
  ["torch.backends.cuda.preferred_linalg_library"] = "Chooses the library of CUDA's linear algebra, or tells it.",
  ["torch.backends.cudnn.version"] = "The version of cuDNN as a number; nil without it.",
  ["torch.backends.cusparselt.version"] = "The version of cuSPARSELt as a number; nil without it.",
  ["torch.backends.mha.set_fastpath_enabled"] = "Allows the fast path of nn.MultiheadAttention, or forbids it.",
  ["torch.backends.mkldnn.is_acl_available"] = "Whether oneDNN uses the Arm Compute Library.",
  ["torch.backends.mps.is_built"] = "Whether LibTorch was built with Apple's MPS.",
  ["torch.sparse.check_sparse_tensor_invariants.enable"] = "Checks the indices of every sparse tensor that is made.",
  ["torch.sparse.check_sparse_tensor_invariants.disable"] = "Takes the indices of sparse tensors unchecked.",
  ["torch.sparse.check_sparse_tensor_invariants.is_enabled"] = "Whether the indices of sparse tensors are checked.",
  ["torch.accelerator.current_device_idx"] = "The same as torch.accelerator.current_device_index.",
  ["torch.accelerator.current_device_index"] = "The number of the accelerator in use.",
  ["torch.accelerator.current_stream"] = "The stream that work on the accelerator goes to.",
  ["torch.accelerator.device_count"] = "How many accelerators there are.",
  ["torch.accelerator.is_available"] = "Whether there is an accelerator that can be used.",
  ["torch.accelerator.reset_accumulated_memory_stats"] = "Counts the accelerator's memory from zero again.",
  ["torch.accelerator.set_device_idx"] = "The same as torch.accelerator.set_device_index.",
  ["torch.accelerator.set_device_index"] = "Chooses the accelerator to use.",
  ["torch.accelerator.set_stream"] = "Chooses the stream that work on the accelerator goes to.",
  ["torch.are_deterministic_algorithms_enabled"] = "Whether operators must be deterministic.",
  ["torch.is_deterministic_algorithms_warn_only_enabled"] =
    "Whether an operator that is not deterministic warns instead of raising.",
  ["torch.get_deterministic_debug_mode"] = "How strictly operators must be deterministic: 0, 1 (warns) or 2 (raises).",
  ["torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp"] =
    "Allows the plain kernel of scaled_dot_product_attention to sum in half precision, or forbids it.",
  ["torch.compiled_with_cxx11_abi"] = "Whether LibTorch was built with the newer ABI of C++ strings.",
  ["torch.cpu.current_device"] = "The name of the CPU as a device: \"cpu\".",
  ["torch.cpu.device_count"] = "How many CPUs there are as devices: 1.",
  ["torch.cpu.is_available"] = "Whether the CPU can be used: true.",
  ["torch.cuda.can_device_access_peer"] = "Whether one CUDA device reads another one's memory.",
  ["torch.cuda.current_device"] = "The number of the CUDA device in use.",
  ["torch.cuda.current_stream"] = "The stream that work on a CUDA device goes to.",
  ["torch.cuda.default_stream"] = "The stream that a CUDA device has from the start.",
  ["torch.cuda.device_count"] = "How many CUDA devices there are.",
  ["torch.cuda.get_device_capability"] = "The compute capability of a CUDA device: major and minor.",
  ["torch.cuda.get_device_name"] = "The name of a CUDA device.",
  ["torch.cuda.get_rng_state"] = "The state of a CUDA device's generator, as a uint8 tensor.",
  ["torch.cuda.get_rng_state_all"] = "The states of all CUDA devices' generators.",
  ["torch.cuda.set_rng_state"] = "Sets the state that torch.cuda.get_rng_state gave.",
  ["torch.cuda.set_rng_state_all"] = "Sets the states that torch.cuda.get_rng_state_all gave.",
  ["torch.cuda.initial_seed"] = "The seed of the current CUDA device's generator.",
  ["torch.cuda.is_available"] = "Whether there is a CUDA device that can be used.",
  ["torch.cuda.reset_accumulated_memory_stats"] = "Counts a CUDA device's memory from zero again.",
  ["torch.get_default_dtype"] = "The dtype of floating point tensors that are given none.",
  ["torch.get_float32_matmul_precision"] = "How exact products of float32 matrices are: highest, high or medium.",
  ["torch.get_num_interop_threads"] = "How many threads run operators side by side.",
  ["torch.get_num_threads"] = "How many threads an operator may use.",
  ["torch.get_rng_state"] = "The state of the CPU's generator, as a uint8 tensor.",
  ["torch.set_rng_state"] = "Sets the state that torch.get_rng_state gave.",
  ["torch.initial_seed"] = "The seed of the CPU's generator.",
  ["torch.is_grad_enabled"] = "Whether operations are recorded for gradients.",
  ["torch.is_inference_mode_enabled"] = "Whether inference mode is on.",
  ["torch.ops.loaded_libraries"] = "The paths of the operator libraries that were loaded.",
  ["torch.Tensor.device"] = "Where the elements are.",
  ["torch.Tensor.dtype"] = "The type of the elements.",
  ["torch.Tensor.layout"] = "How the elements are stored: torch.strided, torch.sparse_coo ...",
  ["torch.Tensor.imag"] = "The imaginary parts, as a view.",
  ["torch.Tensor.real"] = "The real parts, as a view.",
  ["torch.Tensor.is_leaf"] = "Whether nothing that was recorded made it: gradients end here.",
  ["torch.Tensor.is_nested"] = "Whether it is a nested tensor.",
  ["torch.Tensor.is_quantized"] = "Whether it is quantized.",
  ["torch.Tensor.is_sparse"] = "Whether it is sparse by coordinates.",
  ["torch.Tensor.is_sparse_csr"] = "Whether it is sparse by rows.",
  ["torch.Tensor.name"] = "The name of the tensor in its graph: nil.",
  ["torch.Tensor.retains_grad"] = "Whether .grad is kept although it is no leaf.",
}

for _, device in ipairs {"cpu", "cuda", "ipu", "maia", "meta", "mkldnn", "mps", "mtia", "vulkan", "xla", "xpu"} do
  sentences["torch.Tensor.is_" .. device] = ("Whether its device is of type %s."):format(device)
end
for _, library in ipairs {"cudnn", "cusparselt", "kleidiai", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum", "xnnpack"} do
  sentences[("torch.backends.%s.is_available"):format(library)] = "Whether the library can be used."
end

for _, library in ipairs {"cudnn", "mkldnn", "nnpack"} do
  sentences["torch.backends." .. library .. ".flags"] = "Sets the library's flags until a scope ends or while a function runs."
  sentences["torch.backends." .. library .. ".set_flags"] = "Sets the library's flags and returns what they were."
end

return sentences
