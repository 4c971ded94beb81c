// Nodes of the graph, by LibTorch's own kind of pointer (2.13: intrusive_ptr, before: shared_ptr).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace torch::autograd {
struct Node;
}

namespace trainhost::autograd {

using NodePtr = std::remove_cvref_t<decltype(std::declval<const at::Tensor&>().grad_fn())>;

template <class T, class... Arguments>
auto make_node(Arguments&&... arguments) {
  if constexpr (std::is_same_v<NodePtr, std::shared_ptr<torch::autograd::Node>>)
    return std::shared_ptr<T>(new T(std::forward<Arguments>(arguments)...), [](T* node) { delete node; });
  else return c10::make_intrusive<T>(std::forward<Arguments>(arguments)...);
}

}  // namespace trainhost::autograd
