// The modes that switch recording: functions called under them, and scopes; anomaly mode, forward levels.
#include <ATen/core/grad_mode.h>
#include <c10/core/AutogradState.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "bindings/autograd.h"
#include "bindings/coroutine_modes.h"
#include "bindings/keywords.h"
#include "bindings/reference.h"
#include "host/autograd/backward.h"
#include "host/autograd/engine.h"
#include "host/autograd/jvp_rules.h"
#include "host/vm/errors.h"
#include "host/vm/traceback.h"

namespace trainhost::bindings {
namespace {

// Calls the function below its arguments under `guard`, which is left whatever happens.
template <class Guard, class... Arguments>
int call_under(lua_State* L, int function, Arguments... arguments) {
  Guard guard(arguments...);
  const int below = function - 1;
  lua_call(L, lua_gettop(L) - function, LUA_MULTRET);
  return lua_gettop(L) - below;
}

int push_scope(lua_State* L, std::function<void()> leave, Scope::Call call) {
  push<Scope>(L, std::make_shared<Scope>(std::move(leave), std::move(call)));
  return 1;
}

int push_mode(lua_State* L, bool enabled) {
  const bool before = c10::GradMode::is_enabled();
  push_scope(
      L, [before] { c10::GradMode::set_enabled(before); },
      [enabled](lua_State* L) { return call_under<at::AutoGradMode>(L, 1, enabled); });
  c10::GradMode::set_enabled(enabled);
  return 1;
}

int no_grad(lua_State* L) {
  spread_keywords(L, "torch.no_grad", 1, {"orig_func"});
  return lua_isnone(L, 1) ? push_mode(L, false) : call_under<at::AutoGradMode>(L, 1, false);
}
int enable_grad(lua_State* L) {
  return lua_isnone(L, 1) ? push_mode(L, true) : call_under<at::AutoGradMode>(L, 1, true);
}
int set_grad_enabled(lua_State* L) {
  spread_keywords(L, "torch.set_grad_enabled", 1, {"mode"});
  const bool mode = check_boolean(L, 1, "torch.set_grad_enabled", "mode");
  return lua_isnone(L, 2) ? push_mode(L, mode) : call_under<at::AutoGradMode>(L, 2, mode);
}
int is_grad_enabled(lua_State* L) { return lua_pushboolean(L, c10::GradMode::is_enabled()), 1; }

// What a c10::InferenceMode switches, to be set without one: a guard in a forgotten scope would be left by the
// collector.
struct InferenceState {
  c10::AutogradState state = c10::AutogradState::get_tls_state();
  c10::impl::LocalDispatchKeySet keys = c10::impl::tls_local_dispatch_key_set();
  void set() const {
    c10::AutogradState::set_tls_state(state);
    c10::impl::_force_tls_local_dispatch_key_set(keys);
  }
};

// inference_mode([mode] [, fn, ...])
int inference_mode(lua_State* L) {
  spread_keywords(L, "torch.inference_mode", 1, {"mode"});
  bool mode = true;
  if (lua_isboolean(L, 1)) {
    mode = lua_toboolean(L, 1);
    lua_remove(L, 1);
  }
  if (!lua_isnone(L, 1)) return call_under<c10::InferenceMode>(L, 1, mode);
  const InferenceState before;
  push_scope(
      L, [before] { before.set(); }, [mode](lua_State* L) { return call_under<c10::InferenceMode>(L, 1, mode); });
  const InferenceState entered = [mode] {
    const c10::InferenceMode guard(mode);
    return InferenceState();
  }();
  entered.set();
  return 1;
}
int is_inference_mode_enabled(lua_State* L) { return lua_pushboolean(L, c10::InferenceMode::is_enabled()), 1; }

using autograd::Multithreading;

int set_multithreading_enabled(lua_State* L) {
  spread_keywords(L, "torch.autograd.set_multithreading_enabled", 1, {"mode"});
  const bool mode = check_boolean(L, 1, "torch.autograd.set_multithreading_enabled", "mode");
  if (!lua_isnone(L, 2)) return call_under<Multithreading>(L, 2, mode);
  push_scope(
      L, [before = Multithreading::is_enabled()] { Multithreading::set_enabled(before); },
      [mode](lua_State* L) { return call_under<Multithreading>(L, 1, mode); });
  Multithreading::set_enabled(mode);
  return 1;
}
int is_multithreading_enabled(lua_State* L) { return lua_pushboolean(L, Multithreading::is_enabled()), 1; }

using torch::autograd::AnomalyMode;

// Nodes remember the line of this script from now on.
void trace_forward(lua_State* L) {
  lua_pushboolean(L, 1);
  const auto script = std::make_shared<const Reference>(L, -1);
  lua_pop(L, 1);
  autograd::install_engine();
  autograd::thread_script().traceback = [script]() -> std::string {
    try {
      return vm::traceback(script->running(), 0);
    } catch (const Error&) {
      return {};
    }
  };
}

struct Anomaly {
  static void enter(lua_State* L, bool on, bool check_nan) {
    if (on) trace_forward(L);
    AnomalyMode::set_enabled(on, check_nan);
  }
  void leave() const { AnomalyMode::set_enabled(before, checked); }
  const bool before = AnomalyMode::is_enabled(), checked = AnomalyMode::should_check_nan();
};

struct AnomalyGuard : Anomaly {
  AnomalyGuard(lua_State* L, bool on, bool check_nan) { enter(L, on, check_nan); }
  ~AnomalyGuard() { leave(); }
};

// set_detect_anomaly(mode [, check_nan] [, fn, ...])
int set_detect_anomaly(lua_State* L) {
  spread_keywords(L, "torch.autograd.set_detect_anomaly", 1, {"mode", "check_nan"});
  constexpr const char* kName = "torch.autograd.set_detect_anomaly";
  const bool mode = check_boolean(L, 1, kName, "mode");
  const int fn = lua_isfunction(L, 2) ? 2 : 3;
  const bool check_nan = fn == 2 || lua_isnoneornil(L, 2) || check_boolean(L, 2, kName, "check_nan");
  if (!lua_isnone(L, fn)) return call_under<AnomalyGuard>(L, fn, L, mode, check_nan);
  push_scope(
      L, [anomaly = Anomaly()] { anomaly.leave(); },
      [mode, check_nan](lua_State* L) { return call_under<AnomalyGuard>(L, 1, L, mode, check_nan); });
  Anomaly::enter(L, mode, check_nan);
  return 1;
}

// torch.set_anomaly_enabled(mode, check_nan=true)
int set_anomaly_enabled(lua_State* L) {
  const Keywords keywords(L, "torch.set_anomaly_enabled", 1, {"mode", "check_nan"});
  const int mode = keywords.find("mode"), check_nan = keywords.find("check_nan");
  const bool on = check_boolean(L, mode ? mode : 1, "torch.set_anomaly_enabled", "mode");
  Anomaly::enter(L, on, !check_nan || check_boolean(L, check_nan, "torch.set_anomaly_enabled", "check_nan"));
  return 0;
}
int is_anomaly_enabled(lua_State* L) { return lua_pushboolean(L, AnomalyMode::is_enabled()), 1; }
int is_anomaly_check_nan_enabled(lua_State* L) { return lua_pushboolean(L, AnomalyMode::should_check_nan()), 1; }

int enter_dual_level(lua_State* L) {
  autograd::install_jvp_rules();
  return lua_pushinteger(L, static_cast<lua_Integer>(torch::autograd::forward_ad::enter_dual_level())), 1;
}
int exit_dual_level(lua_State* L) {
  torch::autograd::forward_ad::exit_dual_level(
      static_cast<uint64_t>(check_integer(L, 1, "forward_ad.exit_dual_level", "level")));
  return 0;
}

// Switches the recording of forward gradients: returns what it was.
int set_forward_grad_enabled(lua_State* L) {
  auto& state = c10::AutogradState::get_tls_state();
  const bool before = state.get_fw_grad_mode();
  state.set_fw_grad_mode(check_boolean(L, 1, "set_forward_grad_enabled", "mode"));
  lua_pushboolean(L, before);
  return 1;
}

int close_scope(lua_State* L) {
  if (auto* scope = test<Scope>(L, 1); scope && *scope) (*scope)->leave();
  return 0;
}

// The function that scope(fn) made: fn(...) under the mode.
int call_wrapped(lua_State* L) {
  const auto* held = test<Scope>(L, lua_upvalueindex(1));
  if (!held || !*held) throw_usage("the scope of this function is closed");
  const Scope::Call call = (*held)->call();  // the scope may be closed meanwhile
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  return call(L);
}

// scope(fn): what was entered is left again; fn enters it each time it is called. As a decorator of Python's.
int wrap(lua_State* L) {
  auto* held = test<Scope>(L, 1);
  if (!held || !*held) throw_usage("expected a scope, got " + describe(L, 1));
  Scope& scope = **held;
  if (!scope.call()) throw_usage("this scope cannot be put around a function");
  scope.leave();
  if (lua_type(L, 2) != LUA_TFUNCTION && luaL_getmetafield(L, 2, "__call") == LUA_TNIL)
    throw_usage("a mode is put around a function or a module, got " + describe(L, 2));
  lua_settop(L, 2);
  lua_pushcclosure(L, guarded<call_wrapped>, 2);
  return 1;
}

}  // namespace

void set_modes(lua_State* L) {
  set_coroutine_modes(L);
  vm::add_hint(L, "got a non-closable value",
               "<close> takes what a call has entered: no_grad() and set_default_device(d) return such scopes");
  static constexpr Row kScope[] = {{nullptr, nullptr, nullptr}};
  static constexpr Row kScopeMeta[] = {{"__call", guarded<wrap>, "A function that enters the mode."},
                                       {nullptr, nullptr, nullptr}};
  static constexpr Row kRows[] = {
      {"no_grad", guarded<no_grad>,
       "Runs fn(...) without recording, or, without arguments, switches recording off until the scope ends:\nlocal _ "
       "<close> = torch.no_grad()\nWithout <close> it stays switched off. torch.no_grad()(fn) is a function that runs "
       "so.\n@param fn? function\n@return "
       "any|scope\n@example local x = torch.ones(2, {requires_grad = true})\ntorch.no_grad(function() return (x * "
       "2).requires_grad end)  --> false"},
      {"enable_grad", guarded<enable_grad>,
       "As no_grad, but switches recording on.\n@param fn? function\n@return any|scope\n@example "
       "torch.enable_grad(torch.is_grad_enabled)  --> true"},
      {"set_grad_enabled", guarded<set_grad_enabled>,
       "Switches recording: for good as a statement, for fn(...), or until `local _ <close> = "
       "torch.set_grad_enabled(false)` ends.\n@param mode boolean\n@param fn? function\n@return any|scope"
       "\n@example torch.set_grad_enabled(false, torch.is_grad_enabled)  --> false"},
      {"is_grad_enabled", guarded<is_grad_enabled>,
       "Is recording switched on?\n@return boolean"
       "\n@example torch.is_grad_enabled()  --> true"},
      {"inference_mode", guarded<inference_mode>,
       "As no_grad, and the results can never be recorded.\n@param mode? boolean true\n@param fn? function\n@return "
       "any|scope\n@example torch.inference_mode(function() return torch.ones(2):is_inference() end)  --> true"},
      {"is_inference_mode_enabled", guarded<is_inference_mode_enabled>,
       "Is inference mode on?\n@return boolean"
       "\n@example torch.inference_mode(torch.is_inference_mode_enabled)  --> true"},
      {"set_multithreading_enabled", guarded<set_multithreading_enabled>,
       "Whether a backward runs each device's nodes on a thread of its own. Off where Lua functions take part: they "
       "run on the script's thread.\n@param mode boolean\n@param fn? function\n@return any|scope"
       "\n@example torch.autograd.set_multithreading_enabled(false, torch.autograd.is_multithreading_enabled)  --> "
       "false"},
      {"is_multithreading_enabled", guarded<is_multithreading_enabled>,
       "Does a backward run each device's nodes on a thread of its own?\n@return boolean"
       "\n@example type(torch.autograd.is_multithreading_enabled())  --> boolean"},
      {"set_detect_anomaly", guarded<set_detect_anomaly>,
       "Anomaly mode, for good as a statement, for fn(...), or until the scope ends: an error in a backward names the "
       "line of the forward, and a NaN gradient is an error.\n@param mode boolean\n@param check_nan? boolean "
       "true\n@param fn? function\n@return any|scope"
       "\n@example torch.autograd.set_detect_anomaly(true, torch.is_anomaly_enabled)  --> true"},
      {"set_anomaly_enabled", guarded<set_anomaly_enabled>,
       "Switches anomaly mode.\n@param mode boolean\n@param check_nan? boolean true"
       "\n@example torch.set_anomaly_enabled(true)\ntorch.is_anomaly_enabled()  --> "
       "true\ntorch.set_anomaly_enabled(false)"},
      {"is_anomaly_enabled", guarded<is_anomaly_enabled>,
       "Is anomaly mode on?\n@return boolean"
       "\n@example torch.is_anomaly_enabled()  --> false"},
      {"is_anomaly_check_nan_enabled", guarded<is_anomaly_check_nan_enabled>,
       "Does anomaly mode look for NaN?\n@return boolean"
       "\n@example torch.is_anomaly_check_nan_enabled()  --> true"},
      {"enter_dual_level", guarded<enter_dual_level>, "Enters a level of forward gradients.\n@return integer level"},
      {"exit_dual_level", guarded<exit_dual_level>, "Leaves the level.\n@param level integer"},
      {"set_forward_grad_enabled", guarded<set_forward_grad_enabled>,
       "Switches the recording of forward gradients.\n@param mode boolean\n@return boolean what it was"},
      {nullptr, nullptr, nullptr}};
  define(L, Type<Scope>::id, Type<Scope>::name, &close<Scope>, guarded<close_scope>, kScope, kScopeMeta);
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
