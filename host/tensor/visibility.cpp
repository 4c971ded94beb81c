// The names that stay behind torch.ops.aten.
#include "host/tensor/visibility.h"

#include <algorithm>
#include <array>

namespace trainhost::tensor {
namespace {

// Sorted. PyTorch binds none of these to Python under this name.
constexpr std::array kInternal = {
    std::string_view("_batch_norm_no_update"),
    std::string_view("_batch_norm_with_update"),
    std::string_view("_foobar"),
    std::string_view("_fw_primal"),
    std::string_view("_has_same_storage_numel"),
    std::string_view("_local_scalar_dense"),
    std::string_view("_new_zeros_with_same_feature_meta"),
    std::string_view("_print"),
    std::string_view("_reshape_alias"),
    std::string_view("_reshape_copy"),
    std::string_view("_to_copy"),
    std::string_view("_unsafe_view"),
    std::string_view("_version"),
    std::string_view("copy_sparse_to_sparse_"),
    std::string_view("fake_quantize_per_channel_affine_cachemask"),
    std::string_view("fake_quantize_per_tensor_affine_cachemask"),
    std::string_view("get_gradients"),
    std::string_view("lift"),
    std::string_view("lift_fresh"),
    std::string_view("normal_functional"),
    std::string_view("sparse_coo_tensor_unsafe"),
    std::string_view("sym_is_contiguous"),
    std::string_view("sym_numel"),
    std::string_view("sym_size"),
    std::string_view("sym_storage_offset"),
    std::string_view("sym_stride"),
};

}  // namespace

bool is_public_name(std::string_view name) noexcept {
  if (name.empty() || name.starts_with("_test_")) return false;
  for (const std::string_view end : {"_backward", "_backward_input", "_backward_weight", "_backward_bias", "_forward",
                                     "_jvp", "_overrideable", "_copy_out"})
    if (name.ends_with(end)) return false;
  return !std::binary_search(kInternal.begin(), kInternal.end(), name);
}

}  // namespace trainhost::tensor
