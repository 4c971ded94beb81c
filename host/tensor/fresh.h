// Tensors made of data that is no tensor yet.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <type_traits>
#include <utility>

namespace trainhost::tensor {

// Calls call(data) while operators of this thread make plain tensors, whose memory may be written: no transform of
// torch.func wraps them, and neither autograd nor a tracer sees them. As torch/csrc/utils/tensor_new.cpp does.
void run_below_transforms(void (*call)(void*), void* data);

// The same for any function: gives what it gives.
template <class Make>
auto below_transforms(Make make) {
  if constexpr (std::is_void_v<decltype(make())>) {
    run_below_transforms([](void* data) { (*static_cast<Make*>(data))(); }, &make);
  } else {
    struct Call {
      Make& make;
      std::optional<decltype(make())> result;
    } call{make, std::nullopt};
    run_below_transforms(
        [](void* data) {
          auto& given = *static_cast<Call*>(data);
          given.result.emplace(given.make());
        },
        &call);
    return std::move(*call.result);
  }
}

// The plain tensor as one of the innermost transform; itself where there is none.
at::Tensor lifted(at::Tensor tensor);

}  // namespace trainhost::tensor
