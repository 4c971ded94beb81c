// An observer of operators that looks at what they write to.
#include "host/autograd/mutation.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <exception>
#include <unordered_map>
#include <vector>

#include "host/base/error.h"

namespace trainhost::autograd {
namespace {

struct Saved {
  at::Tensor value;  // the tensor, then its copy
  bool copied = false;
  std::exception_ptr failure;  // of the copy
};

const void* storage_of(const at::Tensor& tensor) {
  return tensor.defined() && tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

bool looks_the_same(const at::Tensor& a, const at::Tensor& b) {
  return a.storage_offset() == b.storage_offset() && a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() &&
         a.strides() == b.strides() && a.is_conj() == b.is_conj() && a.is_neg() == b.is_neg();
}

}  // namespace

struct Mutations::State {
  bool entered = true, copying = false;
  uint64_t handle = 0;
  std::unordered_map<const void*, std::vector<std::weak_ptr<Saved>>> by_storage;

  std::shared_ptr<Saved> save(const at::Tensor& tensor) {
    auto fresh = std::make_shared<Saved>();
    fresh->value = tensor;
    const void* storage = storage_of(tensor);
    if (!storage) return fresh;
    auto& list = by_storage[storage];
    std::erase_if(list, [](const auto& saved) { return saved.expired(); });
    for (const auto& weak : list)
      if (const auto saved = weak.lock(); saved && !saved->copied && looks_the_same(saved->value, tensor)) return saved;
    list.push_back(fresh);
    return fresh;
  }

  void before_write(const at::Tensor& tensor) {
    const auto found = by_storage.find(storage_of(tensor));
    if (found == by_storage.end()) return;
    const auto list = std::move(found->second);
    by_storage.erase(found);
    const at::NoGradGuard no_grad;
    for (const auto& weak : list) {
      const auto saved = weak.lock();
      if (!saved) continue;
      try {
        saved->value = saved->value.clone();
      } catch (...) {  // an observer may not throw: the backward does
        saved->failure = std::current_exception();
      }
      saved->copied = true;
    }
  }

  void before(const at::RecordFunction& call) {
    const auto schema = call.operator_schema();
    if (!schema || copying || by_storage.empty()) return;
    copying = true;
    const auto inputs = call.inputs();
    for (size_t i = 0; i < schema->arguments().size() && i < inputs.size(); ++i) {
      const c10::AliasInfo* alias = schema->arguments()[i].alias_info();
      if (!alias || !alias->isWrite()) continue;
      if (inputs[i].isTensor()) before_write(inputs[i].toTensor());
      else if (inputs[i].isTensorList())
        for (const at::Tensor& tensor : inputs[i].toTensorVector()) before_write(tensor);
    }
    copying = false;
  }
};

namespace {

Mutations::State*& current() {
  thread_local Mutations::State* state = nullptr;
  return state;
}

std::unique_ptr<at::ObserverContext> observe(const at::RecordFunction& call) {
  if (current()) current()->before(call);
  return nullptr;
}

class Hooks final : public torch::autograd::SavedVariableHooks {
 public:
  explicit Hooks(std::shared_ptr<Mutations::State> state) : state_(std::move(state)) {}
  void call_pack_hook(const at::Tensor& tensor) override { saved_ = state_->save(tensor); }
  at::Tensor call_unpack_hook() override {
    if (!state_->entered)
      throw_usage(
          "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was "
          "originally recorded.");
    if (saved_->failure) std::rethrow_exception(saved_->failure);
    return saved_->value;
  }

 private:
  std::shared_ptr<Mutations::State> state_;
  std::shared_ptr<Saved> saved_;
};

}  // namespace

std::shared_ptr<Mutations> Mutations::enter() {
  if (current()) throw_usage("allow_mutation_on_saved_tensors contexts cannot be nested");
  auto state = std::make_shared<State>();
  std::shared_ptr<Mutations> mutations(new Mutations(state));
  state->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(observe).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  current() = state.get();
  return mutations;
}

void Mutations::leave() noexcept {
  if (!state_->entered) return;
  at::removeCallback(state_->handle);
  current() = nullptr;
  state_->entered = false;
  state_->by_storage.clear();
}

Mutations::Mutations(std::shared_ptr<State> state) : state_(std::move(state)) {}

// Perhaps as the thread ends, when its list of observers has gone: that one stays, and observes nothing.
Mutations::~Mutations() {
  if (state_->entered) current() = nullptr;
  state_->entered = false;
}

std::unique_ptr<torch::autograd::SavedVariableHooks> Mutations::hooks(const std::shared_ptr<Mutations>& mutations) {
  return std::make_unique<Hooks>(mutations->state_);
}

}  // namespace trainhost::autograd
