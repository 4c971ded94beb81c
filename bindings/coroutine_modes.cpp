// The modes of a coroutine: what recording and dispatch are switched to, anomaly mode, the default device.
#include "bindings/coroutine_modes.h"

#include <c10/core/AutogradState.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/anomaly_mode.h>

#include "bindings/settings.h"
#include "host/vm/coroutine_modes.h"
#include "host/vm/state.h"

namespace trainhost::bindings {
namespace {

using torch::autograd::AnomalyMode;

std::uint64_t bits(std::initializer_list<bool> flags) {
  std::uint64_t all = 0;
  for (const bool flag : flags) all = all * 2 + flag;
  return all;
}

// Those of torch.func, which come and go with its transforms: they are of no coroutine.
constexpr c10::DispatchKeySet kTransforms({c10::DispatchKey::FuncTorchDynamicLayerFrontMode,
                                           c10::DispatchKey::FuncTorchDynamicLayerBackMode,
                                           c10::DispatchKey::FuncTorchGradWrapper, c10::DispatchKey::FuncTorchVmapMode,
                                           c10::DispatchKey::FuncTorchBatched,
                                           c10::DispatchKey::FuncTorchBatchedDecomposition});

std::uint64_t lasting(c10::DispatchKeySet keys) { return keys.raw_repr() & ~kTransforms.raw_repr(); }
c10::DispatchKeySet with_lasting(c10::DispatchKeySet now, std::uint64_t keys) {
  return {c10::DispatchKeySet::RAW, (now.raw_repr() & kTransforms.raw_repr()) | keys};
}

vm::Modes read_modes(vm::State& state) {
  const c10::AutogradState& autograd = c10::AutogradState::get_tls_state();
  const c10::impl::LocalDispatchKeySet keys = c10::impl::tls_local_dispatch_key_set();
  const std::optional<at::Device>& device = settings(state.lua()).default_device;
  return {
      bits({autograd.get_grad_mode(), autograd.get_fw_grad_mode(), autograd.get_inference_mode(),
            autograd.get_multithreading_enabled()}),
      lasting(keys.included_), lasting(keys.excluded_),
      bits({AnomalyMode::is_enabled(), AnomalyMode::should_check_nan()}),
      device ? (static_cast<std::uint64_t>(device->type()) + 1) << 8 | static_cast<std::uint8_t>(device->index()) : 0};
}

void write_modes(vm::State& state, const vm::Modes& modes) {
  c10::AutogradState& autograd = c10::AutogradState::get_tls_state();
  autograd.set_grad_mode(modes[0] & 8);
  autograd.set_fw_grad_mode(modes[0] & 4);
  autograd.set_inference_mode(modes[0] & 2);
  autograd.set_multithreading_enabled(modes[0] & 1);
  c10::impl::LocalDispatchKeySet keys = c10::impl::tls_local_dispatch_key_set();
  keys.included_ = with_lasting(keys.included_, modes[1]);
  keys.excluded_ = with_lasting(keys.excluded_, modes[2]);
  c10::impl::_force_tls_local_dispatch_key_set(keys);
  AnomalyMode::set_enabled(modes[3] & 2, modes[3] & 1);
  std::optional<at::Device>& device = settings(state.lua()).default_device;
  device.reset();
  if (modes[4] != 0)
    device.emplace(static_cast<at::DeviceType>((modes[4] >> 8) - 1), static_cast<at::DeviceIndex>(modes[4] & 0xff));
}

}  // namespace

void set_coroutine_modes(lua_State* L) {
  static constexpr vm::ModeAccess kAccess{read_modes, write_modes};
  vm::State::of(L).mode_access() = &kAccess;
}

}  // namespace trainhost::bindings
