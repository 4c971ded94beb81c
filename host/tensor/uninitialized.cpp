// Tensors whose shape is not known yet. They carry the dispatch key DeferredInit, which LibTorch keeps for programs
// that put off the initialization of modules; its fallback is the refusal.
#include "host/tensor/uninitialized.h"

#include <ATen/ops/empty.h>
#include <c10/core/TensorImpl.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <string>
#include <unordered_set>

#include "host/base/error.h"

namespace trainhost::tensor {
namespace {

constexpr c10::DispatchKey kKey = c10::DispatchKey::DeferredInit;

// What PyTorch lets through: it changes or asks what is known.
bool is_allowed(const std::string& op) {
  static const std::unordered_set<std::string> kAllowed = {
      "aten::size",    "aten::copy_",          "aten::is_complex", "aten::is_floating_point",
      "aten::to",      "aten::_to_copy",       "aten::set_data",   "aten::_has_compatible_shallow_copy_type",
      "aten::is_leaf", "aten::requires_grad_", "aten::_version",   "aten::retains_grad",
      "aten::data",    "aten::get_device",
  };
  return kAllowed.count(op) > 0;
}

void refuse(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const std::string& name = op.schema().name();
  if (is_allowed(name)) {
    const c10::impl::ExcludeDispatchKeyGuard guard(kKey);
    return op.callBoxed(stack);
  }
  bool parameter = false;
  for (const c10::IValue& value : *stack)
    parameter =
        parameter || (value.isTensor() && is_uninitialized(value.toTensor()) && value.toTensor().requires_grad());
  throw_uninitialized(name, parameter);
}

// Registering goes through all operators: only programs with such tensors pay for it. Never taken back.
void install() {
  static const auto* library = [] {
    auto* made = new torch::Library(torch::Library::IMPL, "_", kKey, __FILE__, __LINE__);
    made->fallback(torch::CppFunction::makeFromBoxedFunction<&refuse>());
    return made;
  }();
  (void)library;
}

}  // namespace

bool is_uninitialized(const at::Tensor& tensor) noexcept { return tensor.defined() && tensor.key_set().has(kKey); }

void set_uninitialized(const at::Tensor& tensor) {
  install();
  const at::Tensor plain = at::empty({0}, tensor.options().requires_grad(std::nullopt));
  auto impl = c10::make_intrusive<c10::TensorImpl>(c10::Storage(plain.storage()),
                                                   plain.key_set() | c10::DispatchKeySet(kKey), plain.dtype());
  tensor.set_data(at::Tensor(std::move(impl)));
}

void throw_uninitialized(const std::string& function, bool parameter) {
  throw_usage("Attempted to use an uninitialized parameter in " + function +
              ". This error happens when you are using a `LazyModule` or explicitly manipulating `torch.nn.parameter." +
              (parameter ? "UninitializedParameter" : "UninitializedBuffer") +
              "` objects. When using LazyModules Call `forward` with a dummy batch to initialize the parameters before "
              "calling torch functions");
}

void throw_no_shape() {
  throw_usage(
      "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` "
      "when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the "
      "parameters before accessing their attributes.");
}

}  // namespace trainhost::tensor
