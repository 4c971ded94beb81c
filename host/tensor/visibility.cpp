// The names that stay behind torch.ops.aten.
#include "host/tensor/visibility.h"

#include <algorithm>
#include <iterator>

namespace trainhost::tensor {
namespace {

// Sorted. PyTorch binds none of these to Python under this name.
constexpr std::string_view kInternal[] = {
    "_batch_norm_no_update",
    "_batch_norm_with_update",
    "_foobar",
    "_foreach_copy",
    "_fw_primal",
    "_has_same_storage_numel",
    "_local_scalar_dense",
    "_new_zeros_with_same_feature_meta",
    "_print",
    "_reshape_alias",
    "_reshape_copy",
    "_to_copy",
    "_unsafe_view",
    "_version",
    "copy_sparse_to_sparse_",
    "fake_quantize_per_channel_affine_cachemask",
    "fake_quantize_per_tensor_affine_cachemask",
    "get_gradients",
    "lift",
    "lift_fresh",
    "normal_functional",
    "sparse_coo_tensor_unsafe",
    "sym_is_contiguous",
    "sym_numel",
    "sym_size",
    "sym_storage_offset",
    "sym_stride",
};

// Sorted. Kernels that read or divide before they look at their arguments: the fuzzer ended the process by them. What
// PyTorch builds on them checks first.
constexpr std::string_view kUnchecked[] = {
    "_add_batch_dim",
    "_cholesky_solve_helper",
    "_chunk_cat",
    "_convert_indices_from_coo_to_csr",
    "_convert_indices_from_csr_to_coo",
    "_cummax_helper",
    "_cummin_helper",
    "_dyn_quant_matmul_4bit",
    "_dyn_quant_pack_4bit_weight",
    "_fft_c2c",
    "_fft_c2r",
    "_fft_r2c",
    "_linalg_eigvals",
    "_log_softmax_backward_data",
    "_nnpack_spatial_convolution",
    "_pad_packed_sequence",
    "_remove_batch_dim",
    "_reshape_alias_copy",
    "_saturate_weight_to_fp16",
    "_scaled_dot_product_attention_math",
    "_sobol_engine_draw",
    "_sobol_engine_ff_",
    "_sobol_engine_initialize_state_",
    "_sobol_engine_scramble_",
    "_softmax_backward_data",
    "_stack",
    "_transform_bias_rescale_qkv",
    "_weight_norm",
    "_weight_norm_interface",
    "mkldnn_rnn_layer",
    "quantized_gru",
    "quantized_gru_cell",
    "quantized_lstm",
    "quantized_lstm_cell",
    "quantized_rnn_relu_cell",
    "quantized_rnn_tanh_cell",
};

template <size_t size>
bool has(const std::string_view (&names)[size], std::string_view name) {
  return std::binary_search(std::begin(names), std::end(names), name);
}

}  // namespace

bool is_public_name(std::string_view name) noexcept {
  if (name.empty() || name.starts_with("_test_")) return false;
  for (const std::string_view end : {"_backward", "_backward_input", "_backward_weight", "_backward_bias", "_forward",
                                     "_jvp", "_overrideable", "_copy_out"})
    if (name.ends_with(end)) return false;
  // Families of helpers that read before they look.
  for (const std::string_view start : {"fbgemm_", "_nested_", "_fused_moving_avg_"})
    if (name.starts_with(start)) return false;
  return !has(kInternal, name) && !has(kUnchecked, name);
}

}  // namespace trainhost::tensor
