// An observer of operators that writes them down.
#include "host/autograd/operator_log.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/record_function.h>

#include <exception>

namespace trainhost::autograd {
namespace {

// "[2, 3] Float"; "Float" for a tensor without sizes: a nested one.
std::string text_of(const at::Tensor& tensor) {
  try {
    return c10::str(tensor.sizes(), " ", tensor.scalar_type());
  } catch (const std::exception&) {
    return c10::toString(tensor.scalar_type());
  }
}

}  // namespace

void OperatorLog::before(const at::RecordFunction& call) noexcept {
  const auto schema = call.operator_schema();
  if (!schema) return;
  try {
    std::string line = schema->name() + (schema->overload_name().empty() ? "" : "." + schema->overload_name()) + "(";
    bool first = true;
    for (const c10::IValue& input : call.inputs()) {
      if (!input.isTensor() || !input.toTensor().defined()) continue;
      line += (first ? "" : ", ") + text_of(input.toTensor());
      first = false;
    }
    lines.push_back(line + ")");
  } catch (const std::exception&) {  // a line less
  }
}

}  // namespace trainhost::autograd
