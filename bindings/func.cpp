// The layers under torch.func: what vmap, grad and jvp push, and how tensors enter and leave them.
#include <ATen/core/grad_mode.h>
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#include <ATen/functorch/Interpreter.h>
#include <ATen/functorch/TensorWrapper.h>
#include <c10/core/AutogradState.h>

#include <optional>

#include "bindings/autograd.h"
#include "bindings/keywords.h"
#include "host/autograd/jvp_rules.h"
#include "host/autograd/vmap_rules.h"
#include "host/tensor/fresh.h"

namespace trainhost::bindings {
namespace {

namespace ft = at::functorch;

// A layer that is left with its scope, which is made first: it may lack memory.
template <class Enter>
int push_layer(lua_State* L, Enter enter) {
  auto entered = std::make_shared<bool>(false);
  push<Scope>(L, std::make_shared<Scope>([entered] {
                if (*entered) ft::popDynamicLayerAndDeleteMetadata();
              }));
  const int64_t level = enter();
  *entered = true;
  lua_pushinteger(L, level);
  return 2;
}

int vmap_layer(lua_State* L) {
  const int64_t size = check_integer(L, 1, "vmap", "batch_size");
  const std::string_view name = check_string(L, 2, "vmap", "randomness");
  ft::RandomnessType randomness;
  if (name == "error") randomness = ft::RandomnessType::Error;
  else if (name == "same") randomness = ft::RandomnessType::Same;
  else if (name == "different") randomness = ft::RandomnessType::Different;
  else throw_usage("Only allowed values for randomness are 'error', 'different', or 'same'. Got " + std::string(name));
  autograd::install_vmap_rules();
  return push_layer(
      L, [&] { return ft::initAndPushDynamicLayer(ft::TransformType::Vmap, c10::SymInt(size), randomness); });
}

int grad_layer(lua_State* L) {
  return push_layer(L, [] {
    return ft::initAndPushDynamicLayer(ft::TransformType::Grad, std::nullopt, std::nullopt,
                                       c10::GradMode::is_enabled());
  });
}

int jvp_layer(lua_State* L) {
  autograd::install_jvp_rules();
  return push_layer(L, [] {
    return ft::initAndPushDynamicLayer(ft::TransformType::Jvp, std::nullopt, std::nullopt, std::nullopt,
                                       c10::AutogradState::get_tls_state().get_fw_grad_mode());
  });
}

// call(f, ...): f(...), which cannot yield: the layer would stay with whatever runs meanwhile.
int call(lua_State* L) {
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

// call_below(f, ...): f(...) as if no transform were active, with what the layers of grad and jvp wrap.
int call_below(lua_State* L) {
  for (int i = 2; i <= lua_gettop(L); ++i) {
    const at::Tensor* given = test_tensor(L, i);
    if (!given || !ft::maybeGetTensorWrapper(*given)) continue;
    at::Tensor tensor = *given;
    while (auto* wrapper = ft::maybeGetTensorWrapper(tensor)) tensor = wrapper->value();
    push_view(L, std::move(tensor));
    lua_replace(L, i);
  }
  return tensor::below_transforms([&] { return call(L); });
}

int64_t level_at(lua_State* L, int index) { return check_integer(L, index, "torch.func", "level"); }

int add_batch_dim(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  push_view(L, ft::addBatchDim(tensor, check_integer(L, 2, "vmap", "in_dim"), level_at(L, 3)));
  return 1;
}

// remove_batch_dim(tensor, level, size, out_dim): one that was not batched is the same in every place.
int remove_batch_dim(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  const int64_t level = level_at(L, 2), size = check_integer(L, 3, "vmap", "batch_size");
  int64_t out_dim = check_integer(L, 4, "vmap", "out_dim");
  const auto* batched = ft::maybeGetBatchedImpl(tensor);
  const bool ours = batched && batched->level() == level;
  const int64_t dims = tensor.dim() + 1;
  if (out_dim < -dims || out_dim >= dims)
    throw Error(ErrorKind::shape, "Dimension out of range (expected to be in range of [" + std::to_string(-dims) +
                                      ", " + std::to_string(dims - 1) + "], but got " + std::to_string(out_dim) + ")");
  if (out_dim < 0) out_dim += dims;
  if (ours) {
    const at::Tensor value = batched->value();
    const int64_t dim = batched->bdim();
    push_view(L, dim == out_dim ? value : value.movedim(dim, out_dim));
    return 1;
  }
  std::vector<int64_t> sizes = tensor.sizes().vec();
  sizes.insert(sizes.begin() + out_dim, size);
  push_view(L, tensor.unsqueeze(out_dim).expand(sizes));
  return 1;
}

// unwrap_batched(tensor, level) -> the tensor below, and its batch dimension or nil.
int unwrap_batched(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  const auto* batched = ft::maybeGetBatchedImpl(tensor);
  if (!batched || batched->level() != level_at(L, 2)) {
    lua_settop(L, 1);
    lua_pushnil(L);
    return 2;
  }
  const int64_t dim = batched->bdim();
  push_view(L, batched->value());
  lua_pushinteger(L, dim);
  return 2;
}

int is_batched(lua_State* L) { return lua_pushboolean(L, ft::isBatchedTensor(check_tensor(L, 1))), 1; }

int wrap_for_grad(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  push_view(L, ft::makeTensorWrapper(tensor, level_at(L, 2)));
  return 1;
}

int unwrap_for_grad(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  const int64_t level = level_at(L, 2);
  auto* wrapper = ft::maybeGetTensorWrapper(tensor);
  if (wrapper && wrapper->level() == level) push_view(L, wrapper->value());
  else lua_settop(L, 1);
  return 1;
}

// x:requires_grad_() on a wrapper, which scripts may not call inside a transform.
int require_grad(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  refuse_integers(tensor);
  const bool before = ft::getInplaceRequiresGradAllowed();
  ft::setInplaceRequiresGradAllowed(true);
  struct Restore {
    bool before;
    ~Restore() { ft::setInplaceRequiresGradAllowed(before); }
  } restore{before};
  tensor.requires_grad_();
  lua_settop(L, 1);
  return 1;
}

int is_active(lua_State* L) { return lua_pushboolean(L, !ft::getDynamicLayerStack().empty()), 1; }

// -> "vmap" | "grad" | "jvp" | "functionalize", level, and of vmap size and randomness; nil outside.
int current_layer(lua_State* L) {
  const auto layer = ft::maybeCurrentDynamicLayer();
  if (!layer) return lua_pushnil(L), 1;
  switch (layer->key()) {
    case ft::TransformType::Vmap:
      lua_pushliteral(L, "vmap");
      break;
    case ft::TransformType::Grad:
      lua_pushliteral(L, "grad");
      break;
    case ft::TransformType::Jvp:
      lua_pushliteral(L, "jvp");
      break;
    default:
      lua_pushliteral(L, "functionalize");
  }
  lua_pushinteger(L, layer->layerId());
  if (layer->key() != ft::TransformType::Vmap) return 2;
  lua_pushinteger(L, layer->batchSize().expect_int());
  lua_pushstring(L, layer->randomness() == ft::RandomnessType::Error  ? "error"
                    : layer->randomness() == ft::RandomnessType::Same ? "same"
                                                                      : "different");
  return 4;
}

// Until the scope ends, the innermost layer is set aside: what runs meanwhile runs one level below.
int lower(lua_State* L) {
  if (ft::getDynamicLayerStack().empty()) throw_usage("torch.func: no transform is active");
  auto layer = std::make_shared<std::optional<ft::DynamicLayer>>();
  push<Scope>(L, std::make_shared<Scope>([layer] {
                if (*layer) ft::pushDynamicLayer(std::move(**layer));
              }));
  layer->emplace(ft::popDynamicLayer());
  return 1;
}

}  // namespace

void set_transforms(lua_State* L) {
  static constexpr Row kRows[] = {
      {"vmap_layer", guarded<vmap_layer>,
       "Enters a vmap until the scope ends.\n@param batch_size integer\n@param randomness string \"error\", \"same\" "
       "or "
       "\"different\"\n@return scope\n@return integer level"},
      {"call", guarded<call>,
       "Calls a function, which cannot yield: what it runs in is the thread's.\n@param f function\n@param ... "
       "any\n@return any ..."},
      {"call_below", guarded<call_below>,
       "Calls a function as if no transform were active, with the tensors that grad and jvp wrap.\n@param f "
       "function\n@param ... any\n@return any ..."},
      {"grad_layer", guarded<grad_layer>, "Enters a grad until the scope ends.\n@return scope\n@return integer level"},
      {"jvp_layer", guarded<jvp_layer>, "Enters a jvp until the scope ends.\n@return scope\n@return integer level"},
      {"add_batch_dim", guarded<add_batch_dim>,
       "One example of a batch.\n@param tensor Tensor\n@param in_dim integer\n@param level integer\n@return Tensor"},
      {"remove_batch_dim", guarded<remove_batch_dim>,
       "The batch of examples.\n@param tensor Tensor\n@param level integer\n@param batch_size integer\n@param out_dim "
       "integer\n@return Tensor"},
      {"unwrap_batched", guarded<unwrap_batched>,
       "The batch and its dimension, nil if the tensor is not batched at this level.\n@param tensor Tensor\n@param "
       "level "
       "integer\n@return Tensor\n@return integer?"},
      {"is_batched", guarded<is_batched>, "Is it one example of a batch?\n@param tensor Tensor\n@return boolean"},
      {"wrap_for_grad", guarded<wrap_for_grad>,
       "The tensor as a leaf of this level.\n@param tensor Tensor\n@param level integer\n@return Tensor"},
      {"unwrap_for_grad", guarded<unwrap_for_grad>,
       "The tensor below.\n@param tensor Tensor\n@param level integer\n@return Tensor"},
      {"require_grad", guarded<require_grad>,
       "Records what is done with a leaf of the innermost level.\n@param tensor Tensor\n@return Tensor"},
      {"is_transforming", guarded<is_active>, "Is any transform active?\n@return boolean"},
      {"current_layer", guarded<current_layer>,
       "The innermost transform; of vmap its size and randomness too.\n@return string?\n@return integer? "
       "level\n@return integer? batch_size\n@return string? randomness"},
      {"lower", guarded<lower>, "Sets the innermost transform aside until the scope ends.\n@return scope"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
