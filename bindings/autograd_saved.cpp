// Hooks on the tensors that operators save for backward: torch.autograd.graph.saved_tensors_hooks.
#include <ATen/SavedTensorHooks.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include "bindings/autograd.h"
#include "bindings/keywords.h"
#include "bindings/reference.h"
#include "host/autograd/engine.h"
#include "host/vm/errors.h"

namespace trainhost::bindings {
namespace {

using Function = std::shared_ptr<Reference>;

struct Hooks {
  Function pack, unpack;
};

// Of this thread, innermost last.
std::vector<std::shared_ptr<const Hooks>>& stack() {
  thread_local std::vector<std::shared_ptr<const Hooks>> hooks;
  return hooks;
}

class SavedHooks final : public torch::autograd::SavedVariableHooks {
 public:
  explicit SavedHooks(std::shared_ptr<const Hooks> hooks) : hooks_(std::move(hooks)) {}

  void call_pack_hook(const at::Tensor& tensor) override {
    protect(hooks_->pack->running(), 0, [&](lua_State* L) {
      hooks_->pack->push(L);
      push_view(L, tensor);
      lua_call(L, 1, 1);
      packed_ = std::make_shared<Reference>(L, -1);
      lua_settop(L, 0);
    });
  }

  at::Tensor call_unpack_hook() override {
    at::Tensor tensor;
    protect(hooks_->unpack->running(), 0, [&](lua_State* L) {
      hooks_->unpack->push(L);
      packed_->push(L);
      lua_call(L, 1, 1);
      const at::Tensor* given = test_tensor(L, -1);
      if (!given)
        throw_usage("Output of saved tensor unpack_hook expected to be a Tensor but got result of type " +
                    describe(L, lua_gettop(L)));
      tensor = *given;
      lua_settop(L, 0);
    });
    return tensor;
  }

 private:
  std::shared_ptr<const Hooks> hooks_;
  Function packed_;
};

Function check_function(lua_State* L, int index, const char* name) {
  if (!lua_isfunction(L, index)) throw_argument(L, "saved_tensors_hooks", name, "a function", index);
  return std::make_shared<Reference>(L, index);
}

// Until the scope ends; leaving one leaves those that were entered inside it.
int saved_tensors_hooks(lua_State* L) {
  if (const auto& disabled = at::SavedTensorDefaultHooks::get_disabled_error_message()) throw_usage(*disabled);
  auto hooks =
      std::make_shared<const Hooks>(Hooks{check_function(L, 1, "pack_hook"), check_function(L, 2, "unpack_hook")});
  autograd::install_engine();
  autograd::thread_script().saved_variable_hooks = []() -> std::unique_ptr<torch::autograd::SavedVariableHooks> {
    while (!stack().empty() && !stack().back()->pack->is_alive()) stack().pop_back();  // a script's that has ended
    if (stack().empty()) return nullptr;
    return std::make_unique<SavedHooks>(stack().back());
  };
  const size_t depth = stack().size();
  push<Scope>(L, std::make_shared<Scope>([depth] {
                if (stack().size() > depth) stack().resize(depth);
              }));
  stack().push_back(std::move(hooks));
  return 1;
}

int disable_saved_tensors_hooks(lua_State* L) {
  const std::string message(check_string(L, 1, "disable_saved_tensors_hooks", "error_message"));
  if (!stack().empty()) throw_usage(message);
  const auto before = at::SavedTensorDefaultHooks::get_disabled_error_message();
  push<Scope>(L, std::make_shared<Scope>([before] {
                if (before) at::SavedTensorDefaultHooks::disable(*before);
                else at::SavedTensorDefaultHooks::enable();
              }));
  at::SavedTensorDefaultHooks::disable(message);
  return 1;
}

// -1 outside a backward: what belongs to one run of the engine can be told from another's.
int graph_task_id(lua_State* L) { return lua_pushinteger(L, torch::autograd::get_current_graph_task_id()), 1; }

// False in a backward that computes the gradients of some inputs alone.
int is_checkpoint_valid(lua_State* L) {
  return lua_pushboolean(L, torch::autograd::Engine::get_default_engine().is_checkpoint_valid()), 1;
}

}  // namespace

void set_saved_hooks(lua_State* L) {
  static constexpr Row kRows[] = {
      {"saved_tensors_hooks", guarded<saved_tensors_hooks>,
       "Until the scope ends, what operators save for backward is what pack_hook(tensor) returns, and "
       "unpack_hook(packed) gives the tensor back.\n@param pack_hook fun(tensor: Tensor): any\n@param unpack_hook "
       "fun(packed: any): Tensor\n@return scope"},
      {"disable_saved_tensors_hooks", guarded<disable_saved_tensors_hooks>,
       "Until the scope ends, saved_tensors_hooks is an error.\n@param error_message string\n@return scope"},
      {"graph_task_id", guarded<graph_task_id>, "The number of the backward that runs, -1 if none.\n@return integer"},
      {"is_checkpoint_valid", guarded<is_checkpoint_valid>,
       "May a backward be nested in the one that runs? Not where that computes some gradients alone.\n@return boolean"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
