// The operators that run on this thread, as text: what torch.utils.checkpoint compares for its user.
#pragma once

#include <string>
#include <vector>

namespace trainhost::autograd {

// While it lives. An inner log takes what runs meanwhile.
class OperatorLog {
 public:
  OperatorLog();
  ~OperatorLog();
  OperatorLog(const OperatorLog&) = delete;
  OperatorLog& operator=(const OperatorLog&) = delete;

  std::vector<std::string> lines;  // "aten::mul.Tensor([2, 3] Float, [3] Float)"

 private:
  OperatorLog* const outer_;
  uint64_t handle_ = 0;
};

}  // namespace trainhost::autograd
