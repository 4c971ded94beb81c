// The operators that run on this thread, as text: what torch.utils.checkpoint compares for its user.
#pragma once

#include <string>
#include <vector>

#include "host/autograd/observer.h"

namespace trainhost::autograd {

// While it lives.
class OperatorLog final : public Observer {
 public:
  void before(const at::RecordFunction& call) noexcept override;

  std::vector<std::string> lines;  // "aten::mul.Tensor([2, 3] Float, [3] Float)"
};

}  // namespace trainhost::autograd
