// What a forward computes, seen from its operators: the work it does, and which tensors come from which.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "host/autograd/observer.h"

namespace trainhost::autograd {

// While it lives, on the thread that made it.
class Trace final : public Observer {
 public:
  using Sources = std::vector<int64_t>;  // ascending, each once

  Trace();
  ~Trace() override;
  // The innermost of this thread, nullptr if there is none.
  static Trace* current() noexcept;

  void before(const at::RecordFunction& call) noexcept override;
  void after(const at::RecordFunction& call) noexcept override;

  // Floating point operations so far: two for each multiply-add of matrix products, convolutions, attention and
  // recurrent kernels, as torch.utils.flop_counter counts them; nothing else counts.
  int64_t flops() const noexcept { return flops_; }
  // The numbers that mark() gave to what the tensor was computed from, or to the tensor itself.
  Sources sources_of(const at::Tensor& tensor) const;
  void mark(const at::Tensor& tensor, Sources sources);

 private:
  struct Call {  // one that runs
    std::string_view name;
    std::vector<std::vector<int64_t>> sizes;  // of its tensors, where its work counts
    bool transposed = false;
    Sources sources;
    std::vector<at::Tensor> written;
  };
  struct Known {
    c10::weak_intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl> tensor;  // so that its address is not used again
    const void* storage;
    Sources sources;
  };

  void read(const at::RecordFunction& call, Call& into) const;
  void spread(const at::RecordFunction& call, const Call& from);

  std::vector<Call> calls_;  // outermost first
  size_t counted_ = 0;       // the depth of the call whose work counts, and not that of those inside it
  int64_t flops_ = 0;
  std::unordered_map<const at::TensorImpl*, Known> known_;
  Trace* outer_;
};

}  // namespace trainhost::autograd
