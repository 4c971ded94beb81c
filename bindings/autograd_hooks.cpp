// Lua functions as hooks of tensors and of nodes.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>

#include "bindings/autograd.h"
#include "bindings/indexing.h"
#include "bindings/keywords.h"
#include "bindings/reference.h"
#include "host/autograd/engine.h"

namespace trainhost::bindings {
namespace {

using autograd::NodePtr;
using torch::autograd::variable_list;

// A Lua function as a hook, and how errors call it: "register_hook at train.lua:12 of MulBackward0".
struct Hook {
  Reference value;
  std::string name;
  Hook(lua_State* L, int index, std::string n) : value(L, index), name(std::move(n)) {}
};
using Function = std::shared_ptr<Hook>;

// Where the function at `index` begins.
std::string place_of(lua_State* L, int index) {
  if (!lua_isfunction(L, index)) return describe(L, index);
  lua_Debug ar;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &ar);
  return ar.linedefined > 0 ? std::string(ar.short_src) + ":" + std::to_string(ar.linedefined) : ar.short_src;
}

// What a hook is of, in an error.
std::string owner_name(const at::Tensor& tensor) {
  if (const auto* node = torch::autograd::impl::grad_fn_unsafe(tensor)) return "an output of " + node->name();
  return c10::str("a leaf of size ", tensor.sizes());
}

Function check_hook(lua_State* L, int index, const char* function, const std::string& owner) {
  if (!is_callable(L, index)) throw_argument(L, function, "hook", "a function", index);
  autograd::install_engine();
  return std::make_shared<Hook>(L, index, std::string(function) + " at " + place_of(L, index) + " on " + owner);
}

// What a handle's hook may mention is the handle: it holds none of what holds the hook.
int push_handle(lua_State* L, std::function<void()> remove) {
  push<RemovableHandle>(L, std::make_shared<RemovableHandle>(std::move(remove)));
  return 1;
}

int remove_handle(lua_State* L) {
  if (auto* handle = test<RemovableHandle>(L, 1); handle && *handle) (*handle)->leave();
  return 0;
}

// What hook(tensor) returns; undefined for nil.
at::Tensor call_hook(const Hook& hook, const at::Tensor& tensor) {
  lua_State* L = hook.value.running();
  at::Tensor result;
  protect(L, 0, [&](lua_State* inner) {
    hook.value.push(inner);
    push_tensor(inner, tensor);
    lua_call(inner, 1, 1);
    if (const at::Tensor* given = test_tensor(inner, -1)) result = *given;
    else if (!lua_isnil(inner, -1))
      throw_usage(
          "hook '" + hook.name + "': expected Variable, but hook returned " + describe(inner, lua_gettop(inner)),
          "it must return nil or a Tensor");
    lua_settop(inner, 0);
  });
  if (result.defined()) torch::autograd::check_variable_result(tensor, result, hook.name);
  return result;
}

int register_hook(lua_State* L) {
  spread_keywords(L, "Tensor.register_hook", 2, {"hook"});
  constexpr const char* kName = "Tensor.register_hook";
  const at::Tensor& tensor = check_tensor(L, 1);
  if (!tensor.requires_grad()) throw_usage("cannot register a hook on a tensor that doesn't require gradient");
  Function hook = check_hook(L, 2, kName, owner_name(tensor));
  hook->value.held_for(L, 1, 1, torch::autograd::impl::grad_fn_unsafe(tensor));
  const unsigned place = tensor.register_hook([hook](const at::Tensor& grad) {
    const Function kept = hook;  // it may remove itself
    return call_hook(*kept, grad);
  });
  const std::weak_ptr list = torch::autograd::impl::get_autograd_meta(tensor)->cpp_hooks_list_;
  return push_handle(L, [list, place] {
    if (const auto hooks = list.lock()) (*hooks)[place] = nullptr;
  });
}

// All hooks of a leaf that run when its gradient is accumulated; LibTorch has a place for one object.
class AccumulatedHooks final : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit AccumulatedHooks(std::unique_ptr<PostAccumulateGradHook> before)
      : before_(std::move(before)), hooks_(std::make_shared<std::vector<Function>>()) {}
  void operator()(const at::Tensor& tensor) override {
    if (before_) (*before_)(tensor);
    const std::vector<Function> hooks = *hooks_;  // one may remove itself
    for (const Function& hook : hooks) {
      lua_State* L = hook->value.running();
      protect(L, 0, [&](lua_State* inner) {
        hook->value.push(inner);
        push_identity(inner, tensor);
        lua_call(inner, 1, 0);
      });
    }
  }
  const std::shared_ptr<std::vector<Function>>& hooks() const noexcept { return hooks_; }

 private:
  std::unique_ptr<PostAccumulateGradHook> before_;
  std::shared_ptr<std::vector<Function>> hooks_;
};

int register_post_accumulate_grad_hook(lua_State* L) {
  spread_keywords(L, "Tensor.register_post_accumulate_grad_hook", 2, {"hook"});
  const at::Tensor& tensor = check_tensor(L, 1);
  if (!tensor.requires_grad()) throw_usage("cannot register a hook on a tensor that doesn't require gradient");
  if (!tensor.is_leaf()) throw_usage("post accumulate grad hooks cannot be registered on non-leaf tensors");
  const Function hook = check_hook(L, 2, "Tensor.register_post_accumulate_grad_hook", owner_name(tensor));
  hook->value.held_for(L, 1, 1, nullptr);
  auto& place = torch::autograd::impl::post_acc_grad_hooks(tensor);
  auto* ours = dynamic_cast<AccumulatedHooks*>(place.get());
  if (!ours) {
    auto fresh = std::make_unique<AccumulatedHooks>(std::move(place));
    ours = fresh.get();
    torch::autograd::impl::set_post_acc_grad_hooks(tensor, std::move(fresh));
  }
  ours->hooks()->push_back(hook);
  return push_handle(L, [list = std::weak_ptr(ours->hooks()), hook = std::weak_ptr(hook)] {
    const Function removed = hook.lock();
    if (const auto hooks = list.lock(); hooks && removed) std::erase(*hooks, removed);
  });
}

// --- Hooks of nodes

void push_gradients(lua_State* L, const variable_list& gradients) {
  lua_createtable(L, static_cast<int>(gradients.size()), 0);
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (gradients[i].defined()) push_tensor(L, gradients[i]);
    else push_none(L);  // a list has no holes
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

// What a node's hook returns in place of `now`: nil for no change, a list, or the only one.
variable_list call_node_hook(const Hook& hook, const variable_list& now, const variable_list* other) {
  lua_State* L = hook.value.running();
  variable_list result = now;
  protect(L, 0, [&](lua_State* inner) {
    hook.value.push(inner);
    push_gradients(inner, now);
    if (other) push_gradients(inner, *other);
    lua_call(inner, other ? 2 : 1, 1);
    if (!lua_isnil(inner, -1)) {
      const int given = lua_gettop(inner);
      if (!lua_istable(inner, given) && !test_tensor(inner, given))
        throw_usage("hook '" + hook.name + "': expected tuple, but hook returned " + describe(inner, given),
                    "it must return nil, a Tensor or a list of Tensors");
      result = check_tensor_list(inner, given, hook.name.c_str(), "result");
      if (result.size() != now.size())
        throw_usage("hook '" + hook.name + "' has returned an incorrect number of values (got " +
                    std::to_string(result.size()) + ", but expected " + std::to_string(now.size()) + ")");
      for (size_t i = 0; i < now.size(); ++i)
        if (now[i].defined() && result[i].defined())
          torch::autograd::check_variable_result(now[i], result[i], hook.name);
    }
    lua_settop(inner, 0);
  });
  return result;
}

// A removed hook has let go of its function, and stays in the node's list.
using Place = std::shared_ptr<Function>;

struct PreHook final : torch::autograd::FunctionPreHook {
  explicit PreHook(Place p) : place(std::move(p)) {}
  variable_list operator()(const variable_list& grads) override {
    const Function hook = *place;  // it may remove itself
    return hook ? call_node_hook(*hook, grads, nullptr) : grads;
  }
  const Place place;
};

struct PostHook final : torch::autograd::FunctionPostHook {
  explicit PostHook(Place p) : place(std::move(p)) {}
  variable_list operator()(const variable_list& outputs, const variable_list& inputs) override {
    const Function hook = *place;
    return hook ? call_node_hook(*hook, outputs, &inputs) : outputs;
  }
  const Place place;
};

template <class Hook>
int add_node_hook(lua_State* L, const char* name, void (*add)(torch::autograd::Node&, std::unique_ptr<Hook>)) {
  const NodePtr node = check<torch::autograd::Node>(L, 1);
  const auto place = std::make_shared<Function>(check_hook(L, 2, name, node->name()));
  lua_settop(L, 1);
  push_output(L, 1);
  (*place)->value.held_for(L, 1, 2, node.get());
  add(*node, std::make_unique<Hook>(place));
  return push_handle(L, [weak = std::weak_ptr(place)] {
    if (const auto held = weak.lock()) held->reset();
  });
}

int node_register_hook(lua_State* L) {
  return add_node_hook<PostHook>(L, "Node.register_hook", [](torch::autograd::Node& node, std::unique_ptr<PostHook> h) {
    node.add_post_hook(std::move(h));
  });
}

int node_register_prehook(lua_State* L) {
  return add_node_hook<PreHook>(
      L, "Node.register_prehook",
      [](torch::autograd::Node& node, std::unique_ptr<PreHook> h) { node.add_pre_hook(std::move(h)); });
}

}  // namespace

void set_hooks(lua_State* L) {
  static constexpr Row kMethods[] = {{"remove", guarded<remove_handle>, "Takes the hook away; again, nothing happens."},
                                     {nullptr, nullptr, nullptr}};
  define(L, Type<RemovableHandle>::id, Type<RemovableHandle>::name, &close<RemovableHandle>, guarded<remove_handle>,
         kMethods, nullptr);
}

void set_node_hook_methods(lua_State* L) {
  static constexpr Row kRows[] = {
      {"register_hook", guarded<node_register_hook>,
       "hook(grad_inputs, grad_outputs) runs when the node's gradients are computed; both are lists in which "
       "torch.None "
       "is no gradient. What it returns, if not nil, replaces grad_inputs.\n@param hook function\n@return "
       "RemovableHandle"},
      {"register_prehook", guarded<node_register_prehook>,
       "hook(grad_outputs) runs before; what it returns, if not nil, replaces them.\n@param hook function\n@return "
       "RemovableHandle"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

void set_hook_methods(lua_State* L) {
  static constexpr Row kRows[] = {
      {"register_hook", guarded<register_hook>,
       "hook(grad) runs each time this tensor's gradient is computed; a Tensor that it returns replaces it. Without "
       "one, until handle:remove().\n@param hook fun(grad: Tensor): Tensor?\n@return RemovableHandle\n@example local x "
       "= torch.ones(1, {requires_grad = true})\nx:register_hook(function(grad) return grad * 10 "
       "end)\nx:sum():backward()\nx.grad  --> tensor([10.])"},
      {"register_post_accumulate_grad_hook", guarded<register_post_accumulate_grad_hook>,
       "hook(leaf) runs after the gradient of this leaf was accumulated in .grad.\n@param hook fun(leaf: "
       "Tensor)\n@return RemovableHandle"
       "\n@example local x, seen = torch.ones(1, {requires_grad = true}), "
       "nil\nx:register_post_accumulate_grad_hook(function(leaf) seen = leaf.grad:item() end)\nlocal y = 3 * "
       "x\ny:backward()\nseen  --> 3.0"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
