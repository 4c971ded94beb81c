// An observer of operators that looks at what they write to.
#include "host/autograd/mutation.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <exception>
#include <map>
#include <mutex>
#include <vector>

#include "host/autograd/observer.h"
#include "host/base/error.h"

namespace trainhost::autograd {
namespace {

struct Saved {
  at::Tensor value;            // the tensor, then its copy
  std::exception_ptr failure;  // of the copy
};

// A storage, then what of it a tensor shows and how: what looks the same is saved once.
using Look = std::vector<int64_t>;

int64_t storage_of(const at::Tensor& tensor) {
  return tensor.defined() && tensor.has_storage()
             ? static_cast<int64_t>(reinterpret_cast<intptr_t>(tensor.storage().unsafeGetStorageImpl()))
             : 0;
}

Look look_of(const at::Tensor& tensor) {
  Look look{storage_of(tensor), tensor.storage_offset(), static_cast<int64_t>(tensor.scalar_type()), tensor.is_conj(),
            tensor.is_neg()};
  look.insert(look.end(), tensor.sizes().begin(), tensor.sizes().end());
  look.insert(look.end(), tensor.strides().begin(), tensor.strides().end());
  return look;
}

}  // namespace

// Of the script's thread and of those of the devices, whose backward saves and reads, too.
struct Mutations::State {
  std::mutex mutex;
  bool entered = true;
  std::map<Look, std::weak_ptr<Saved>> all;  // those that are no copies, by storage
  size_t sweep_at = 64;
  int64_t nested = 0;

  std::shared_ptr<Saved> save(const at::Tensor& tensor) {
    auto fresh = std::make_shared<Saved>();
    fresh->value = tensor;
    if (!storage_of(tensor)) return fresh;
    const std::lock_guard lock(mutex);
    if (all.size() >= sweep_at) {
      std::erase_if(all, [](const auto& pair) { return pair.second.expired(); });
      sweep_at = 2 * all.size() + 64;
    }
    // A nested tensor has no sizes to compare: each is one of its own.
    auto& place = all[tensor.is_nested() ? Look{storage_of(tensor), -1, ++nested} : look_of(tensor)];
    if (const auto saved = place.lock()) return saved;
    place = fresh;
    return fresh;
  }

  // Takes those of one storage, or all, out and calls f(saved).
  template <class F>
  void take(int64_t storage, F f) {
    auto at = storage ? all.lower_bound(Look{storage}) : all.begin();
    while (at != all.end() && (!storage || at->first.front() == storage)) {
      if (const auto saved = at->second.lock()) f(*saved);
      at = all.erase(at);
    }
  }

  void before_write(const at::Tensor& tensor) {
    const int64_t storage = storage_of(tensor);
    if (!storage) return;
    const at::NoGradGuard no_grad;
    take(storage, [](Saved& saved) {
      try {
        saved.value = saved.value.clone();
      } catch (const std::exception&) {  // an observer may not throw: the backward does
        saved.failure = std::current_exception();
      }
    });
  }

  void before(const at::RecordFunction& call) noexcept {
    const auto schema = call.operator_schema();
    if (!schema) return;
    const std::lock_guard lock(mutex);
    if (all.empty()) return;
    try {
      const auto inputs = call.inputs();
      for (size_t i = 0; i < schema->arguments().size() && i < inputs.size(); ++i) {
        const c10::AliasInfo* alias = schema->arguments()[i].alias_info();
        if (!alias || !alias->isWrite()) continue;
        if (inputs[i].isTensor()) before_write(inputs[i].toTensor());
        else if (inputs[i].isTensorList())
          for (const at::Tensor& written : inputs[i].toTensorVector()) before_write(written);
      }
    } catch (const std::exception&) {  // unknown what is written to
      take(0, [](Saved& saved) { saved.failure = std::current_exception(); });
    }
  }

  at::Tensor read(const Saved& saved) {
    const std::lock_guard lock(mutex);
    if (!entered)
      throw_usage(
          "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in which the graph was "
          "originally recorded.");
    if (saved.failure) std::rethrow_exception(saved.failure);
    return saved.value;
  }
};

namespace {

thread_local bool is_entered = false;

class Hooks final : public torch::autograd::SavedVariableHooks {
 public:
  explicit Hooks(std::shared_ptr<Mutations::State> state) : state_(std::move(state)) {}
  void call_pack_hook(const at::Tensor& tensor) override { saved_ = state_->save(tensor); }
  at::Tensor call_unpack_hook() override { return state_->read(*saved_); }

 private:
  std::shared_ptr<Mutations::State> state_;
  std::shared_ptr<Saved> saved_;
};

}  // namespace

class Mutations::Watch final : public Observer {
 public:
  explicit Watch(State& state) : state_(state) { is_entered = true; }
  ~Watch() override { is_entered = false; }
  void before(const at::RecordFunction& call) noexcept override {
    if (copying_) return;
    copying_ = true;
    state_.before(call);
    copying_ = false;
  }

 private:
  State& state_;
  bool copying_ = false;
};

Mutations::Mutations() : state_(std::make_shared<State>()) {
  if (is_entered) throw_usage("allow_mutation_on_saved_tensors contexts cannot be nested");
  watch_ = std::make_unique<Watch>(*state_);
}

Mutations::~Mutations() {
  watch_.reset();
  const std::lock_guard lock(state_->mutex);
  state_->entered = false;
  state_->all.clear();
}

std::unique_ptr<torch::autograd::SavedVariableHooks> Mutations::hooks() const {
  return std::make_unique<Hooks>(state_);
}

}  // namespace trainhost::autograd
