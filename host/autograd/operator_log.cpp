// An observer of operators that writes them down.
#include "host/autograd/operator_log.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/record_function.h>

#include <new>

namespace trainhost::autograd {
namespace {

OperatorLog*& current() {
  thread_local OperatorLog* log = nullptr;
  return log;
}

std::unique_ptr<at::ObserverContext> observe(const at::RecordFunction& call) {
  const auto schema = call.operator_schema();
  if (!current() || !schema) return nullptr;
  try {
    std::string line = schema->name() + (schema->overload_name().empty() ? "" : "." + schema->overload_name()) + "(";
    bool first = true;
    for (const c10::IValue& input : call.inputs()) {
      if (!input.isTensor() || !input.toTensor().defined()) continue;
      const at::Tensor& tensor = input.toTensor();
      line += (first ? "" : ", ") + c10::str(tensor.sizes(), " ", tensor.scalar_type());
      first = false;
    }
    current()->lines.push_back(line + ")");
  } catch (const std::bad_alloc&) {  // a line less
  }
  return nullptr;
}

}  // namespace

OperatorLog::OperatorLog() : outer_(current()) {
  if (!outer_)
    handle_ = at::addThreadLocalCallback(
        at::RecordFunctionCallback(observe).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  current() = this;
}

OperatorLog::~OperatorLog() {
  current() = outer_;
  if (!outer_) at::removeCallback(handle_);
}

}  // namespace trainhost::autograd
