// Counting whole numbers in a tensor on the host: one pass, without tensors in between.
#include "host/model/count.h"

#include <algorithm>

namespace trainhost::model {

std::optional<int64_t> count_equal(const at::Tensor& tensor, int64_t value) {
  if (!tensor.is_cpu() || tensor.layout() != at::kStrided || tensor.scalar_type() != at::kLong ||
      !tensor.is_contiguous() || !tensor.has_storage())
    return std::nullopt;
  const int64_t* data = tensor.const_data_ptr<int64_t>();
  return std::count(data, data + tensor.numel(), value);
}

std::optional<double> number_on_host(const at::Tensor& tensor) {
  if (!tensor.is_cpu() || tensor.layout() != at::kStrided || tensor.numel() != 1 || !tensor.has_storage() ||
      tensor.is_neg() || tensor._is_zerotensor())
    return std::nullopt;
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return *tensor.const_data_ptr<float>();
    case at::kDouble:
      return *tensor.const_data_ptr<double>();
    default:
      return std::nullopt;
  }
}

}  // namespace trainhost::model
