// The observers of this thread, behind one callback of LibTorch's.
#include "host/autograd/observer.h"

#include <ATen/record_function.h>

namespace trainhost::autograd {
namespace {

thread_local Observer* innermost = nullptr;
thread_local at::CallbackHandle handle = 0;

}  // namespace

Observer::Observer() : outer_(innermost) {
  const auto tell = [](const at::RecordFunction& call) -> std::unique_ptr<at::ObserverContext> {
    for (Observer* each = innermost; each; each = each->outer_) each->before(call);
    return nullptr;
  };
  const auto tell_end = [](const at::RecordFunction& call, at::ObserverContext*) {
    for (Observer* each = innermost; each; each = each->outer_) each->after(call);
  };
  if (!innermost)
    handle = at::addThreadLocalCallback(at::RecordFunctionCallback(tell, tell_end)
                                            .needsInputs(true)
                                            .needsOutputs(true)
                                            .scopes({at::RecordScope::FUNCTION}));
  innermost = this;
}

Observer::~Observer() {
  for (Observer** each = &innermost; *each; each = &(*each)->outer_)
    if (*each == this) {
      *each = outer_;
      break;
    }
  if (!innermost) at::removeCallback(handle);
}

void Observer::prepare_thread() { at::hasThreadLocalCallbacks(); }

}  // namespace trainhost::autograd
