// Hooks on the tensors that operators save for backward: torch.autograd.graph.saved_tensors_hooks.
#include <ATen/SavedTensorHooks.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <optional>

#include "bindings/autograd.h"
#include "bindings/keywords.h"
#include "bindings/reference.h"
#include "host/autograd/engine.h"
#include "host/autograd/mutation.h"
#include "host/autograd/observer.h"
#include "host/autograd/operator_log.h"
#include "host/vm/errors.h"

namespace trainhost::bindings {
namespace {

using Function = std::shared_ptr<Reference>;

struct Hooks {
  Function pack, unpack;
  std::unique_ptr<const autograd::Mutations> mutations;  // in their place: `pack` is any value of the script then
};

// Of this thread, innermost last.
std::vector<std::shared_ptr<const Hooks>>& stack() {
  using Stack = std::vector<std::shared_ptr<const Hooks>>;
  thread_local Stack hooks = (autograd::Observer::prepare_thread(), Stack());
  return hooks;
}

// Those of a script that has ended.
void drop_ended() {
  while (!stack().empty() && !stack().back()->pack->is_alive()) stack().pop_back();
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

// Leaving hooks leaves those that were entered inside them.
struct Entered {
  explicit Entered(std::shared_ptr<const Hooks> hooks) { stack().push_back(std::move(hooks)); }
  ~Entered() {
    if (stack().size() > depth) stack().resize(depth);
  }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  const size_t depth = stack().size();
};

// Until the scope ends, or for the function at `fn` with what follows it: that is left also where Lua has no memory to
// close a scope.
int enter_hooks(lua_State* L, std::shared_ptr<const Hooks> hooks, int fn) {
  autograd::install_engine();
  autograd::thread_script().saved_variable_hooks = []() -> std::unique_ptr<torch::autograd::SavedVariableHooks> {
    drop_ended();
    if (stack().empty()) return nullptr;
    if (const auto& mutations = stack().back()->mutations) return mutations->hooks();
    return std::make_unique<SavedHooks>(stack().back());
  };
  if (!lua_isnoneornil(L, fn)) {
    const Entered entered(std::move(hooks));
    lua_call(L, lua_gettop(L) - fn, LUA_MULTRET);
    return lua_gettop(L) - fn + 1;
  }
  const auto entered = std::make_shared<std::optional<Entered>>();
  push<Scope>(L, std::make_shared<Scope>([entered] { entered->reset(); }));
  entered->emplace(std::move(hooks));
  return 1;
}

void check_enabled() {
  if (const auto& disabled = at::SavedTensorDefaultHooks::get_disabled_error_message()) throw_usage(*disabled);
}

int saved_tensors_hooks(lua_State* L) {
  check_enabled();
  return enter_hooks(L,
                     std::make_shared<const Hooks>(
                         Hooks{check_function(L, 1, "pack_hook"), check_function(L, 2, "unpack_hook"), nullptr}),
                     3);
}

int allow_mutation_on_saved_tensors(lua_State* L) {
  check_enabled();
  drop_ended();
  lua_pushboolean(L, 1);
  auto script = std::make_shared<Reference>(L, -1);
  lua_pop(L, 1);
  return enter_hooks(
      L,
      std::make_shared<const Hooks>(Hooks{std::move(script), nullptr, std::make_unique<const autograd::Mutations>()}),
      1);
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

// log_operators(list, fn, ...): the list also where fn raises.
int log_operators(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  std::vector<std::string> lines;
  int status = LUA_OK;
  {
    autograd::OperatorLog log;
    status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    lines = std::move(log.lines);
  }
  auto n = static_cast<lua_Integer>(lua_rawlen(L, 1));
  luaL_checkstack(L, 2, "operators");
  for (const std::string& line : lines) {
    lua_pushlstring(L, line.data(), line.size());
    lua_rawseti(L, 1, ++n);
  }
  if (status != LUA_OK) return lua_error(L);
  return lua_gettop(L) - 1;
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
       "Until the scope ends, or for fn(...), what operators save for backward is what pack_hook(tensor) returns, and "
       "unpack_hook(packed) gives the tensor back.\n@param pack_hook fun(tensor: Tensor): any\n@param unpack_hook "
       "fun(packed: any): Tensor\n@param fn? function\n@return any|scope"},
      {"allow_mutation_on_saved_tensors", guarded<allow_mutation_on_saved_tensors>,
       "Until the scope ends, or for fn(...), a tensor that operators have saved is copied before it is changed in "
       "place: a backward inside uses the copy.\n@param fn? function\n@return any|scope"},
      {"disable_saved_tensors_hooks", guarded<disable_saved_tensors_hooks>,
       "Until the scope ends, saved_tensors_hooks is an error.\n@param error_message string\n@return scope"},
      {"log_operators", guarded<log_operators>,
       "Calls fn(...) and appends a line for each operator that runs meanwhile, also where fn raises.\n@param list "
       "string[]\n@param fn function\n@param ... any\n@return any what fn returns"},
      {"graph_task_id", guarded<graph_task_id>, "The number of the backward that runs, -1 if none.\n@return integer"},
      {"is_checkpoint_valid", guarded<is_checkpoint_valid>,
       "May a backward be nested in the one that runs? Not where that computes some gradients alone.\n@return boolean"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
