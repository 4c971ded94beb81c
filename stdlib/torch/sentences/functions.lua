-- One sentence about functions that are made in a loop, where no comment can stand: by their whole name.
local sentences = {
  ["torch.autocast_decrement_nesting"] = "Leaves one level of autocast; returns how many are left.",
  ["torch.autocast_increment_nesting"] = "Enters one more level of autocast; returns how many there are.",
  ["torch.clear_autocast_cache"] = "Forgets the weights that autocast has converted.",
  ["torch.get_autocast_dtype"] = "The dtype that autocast converts to on a type of device.",
  ["torch.set_autocast_dtype"] = "Sets the dtype that autocast converts to on a type of device.",
  ["torch.is_autocast_cache_enabled"] = "Whether autocast keeps the weights that it has converted.",
  ["torch.set_autocast_cache_enabled"] = "Sets whether autocast keeps the weights that it has converted.",
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
}

for _, kind in ipairs {"cpu", "gpu", "ipu", "xla"} do
  sentences["torch.get_autocast_" .. kind .. "_dtype"] = "The dtype that autocast converts to there."
  sentences["torch.set_autocast_" .. kind .. "_dtype"] = "Sets the dtype that autocast converts to there."
  sentences["torch.is_autocast_" .. kind .. "_enabled"] = "Whether autocast is on there."
  sentences["torch.set_autocast_" .. kind .. "_enabled"] = "Switches autocast there."
end
for _, library in ipairs {"cudnn", "mkldnn", "nnpack"} do
  sentences["torch.backends." .. library .. ".flags"] = "Sets the library's flags until a scope ends or while a function runs."
  sentences["torch.backends." .. library .. ".set_flags"] = "Sets the library's flags and returns what they were."
end

return sentences
