// State dicts, conversion and gradients of whole module trees.
#include <c10/core/GradMode.h>
#include <torch/csrc/api/include/torch/nn/module.h>

#include <sstream>
#include <unordered_map>

#include "host/base/error.h"
#include "host/model/module.h"

namespace trainhost::model {
namespace {

void collect_state(const Module& module, const std::string& prefix, NamedTensors& out) {
  for (auto& item : module.named_parameters(false)) out.emplace_back(prefix + item.key(), item.value().detach());
  for (auto& item : module.named_buffers(false))
    if (is_persistent(module, item.key())) out.emplace_back(prefix + item.key(), item.value().detach());
  for (auto& child : module.named_children()) collect_state(*child.value(), prefix + child.key() + ".", out);
}

std::string quoted(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "\"" : ", \"") + name + "\"";
  return text;
}

std::string size_text(at::IntArrayRef sizes) {
  std::ostringstream text;
  text << "torch.Size(" << sizes << ")";
  return text.str();
}

}  // namespace

NamedTensors state(const Module& module) {
  NamedTensors out;
  collect_state(module, "", out);
  return out;
}

Mismatch load_state(Module& module, const NamedTensors& given, bool strict) {
  std::unordered_map<std::string_view, const at::Tensor*> wanted;
  for (const auto& [name, tensor] : given) wanted.emplace(name, &tensor);
  Mismatch names;
  std::string errors;
  bool only_shapes = true;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (const auto& [name, own] : state(module)) {
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      // Not in state dicts written before BatchNorm counted its batches; PyTorch lets it pass too.
      if (!name.ends_with("num_batches_tracked")) names.missing.push_back(name);
      continue;
    }
    at::Tensor value = *found->second;
    wanted.erase(found);
    if (own.dim() == 0 && value.dim() == 1 && value.numel() == 1) value = value.reshape({});
    if (value.sizes() != own.sizes()) {
      errors += "\n\tsize mismatch for " + name + ": copying a param with shape " + size_text(value.sizes()) +
                " from checkpoint, the shape in current model is " + size_text(own.sizes()) + ".";
    } else {
      copies.emplace_back(own, value);
    }
  }
  for (const auto& [name, _] : given)
    if (wanted.count(name)) names.unexpected.push_back(name);
  if (strict) {
    std::string by_name;
    if (!names.missing.empty()) by_name += "\n\tMissing key(s) in state_dict: " + quoted(names.missing) + ". ";
    if (!names.unexpected.empty()) by_name += "\n\tUnexpected key(s) in state_dict: " + quoted(names.unexpected) + ". ";
    only_shapes = by_name.empty();
    errors = by_name + errors;
  }
  if (!errors.empty())
    throw Error(only_shapes ? ErrorKind::shape : ErrorKind::usage,
                "Error(s) in loading state_dict for " + module.name() + ":" + errors);
  c10::NoGradGuard no_grad;
  for (auto& [own, value] : copies) own.copy_(value);
  return names;
}

void to(Module& module, std::optional<at::Device> device, std::optional<at::ScalarType> dtype, bool non_blocking) {
  if (dtype && !c10::isFloatingType(*dtype) && !c10::isComplexType(*dtype))
    throw_usage(std::string("nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=") +
                c10::toString(*dtype));
  c10::NoGradGuard no_grad;
  const auto convert = [&](const at::Tensor& tensor) {
    if (!tensor.defined()) return;
    const bool number = tensor.is_floating_point() || tensor.is_complex();
    auto options = tensor.options();
    if (device) options = options.device(*device);
    if (dtype && number) options = options.dtype(*dtype);
    const at::Tensor converted = tensor.to(options, non_blocking);
    if (!converted.is_same(tensor)) tensor.set_data(converted);
  };
  for (auto& [_, parameter] : parameters(module)) {
    const at::Tensor gradient = parameter.grad();
    convert(parameter);
    if (!gradient.defined()) continue;
    at::Tensor moved = gradient.detach();
    convert(moved);
    parameter.mutable_grad() = moved;
  }
  for (auto& [_, buffer] : buffers(module)) convert(buffer);
}

void zero_grad(Module& module, bool set_to_none) {
  c10::NoGradGuard no_grad;
  for (auto& [_, parameter] : parameters(module)) {
    at::Tensor& gradient = parameter.mutable_grad();
    if (!gradient.defined()) continue;
    if (set_to_none) gradient.reset();
    else gradient.detach_().zero_();
  }
}

void set_requires_grad(Module& module, bool on) {
  for (auto& [_, parameter] : parameters(module)) parameter.set_requires_grad(on);
}

}  // namespace trainhost::model
