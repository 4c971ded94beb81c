// Accelerators: which there are, the current one, their memory. Device-neutral but for CUDA's properties.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/profiler/stubs/base.h>

#include "bindings/keywords.h"
#include "bindings/stream.h"
#include "bindings/tensor.h"
#include "host/tensor/cuda.h"
#include "host/tensor/cuda_driver.h"

namespace trainhost::bindings {
namespace {

using c10::CachingAllocator::Stat;
using c10::CachingAllocator::StatArray;
using c10::impl::VirtualGuardImpl;

// --- Which there are

// native.device.accelerator() -> "cuda" | nil
int accelerator(lua_State* L) {
  tensor::load_cuda();
  if (const auto type = at::accelerator::getAccelerator(false))
    lua_pushstring(L, c10::DeviceTypeName(*type, /*lower_case=*/true).c_str());
  else lua_pushnil(L);
  return 1;
}

// native.device.require([type]): an error unless that device, or any accelerator, can be used.
int require_device(lua_State* L) {
  if (!lua_isnoneornil(L, 1)) return ready_device(L, 1), 0;
  tensor::load_cuda();
  at::accelerator::getAccelerator(true);
  return 0;
}

int is_built(lua_State* L) {
  const at::Device device = check_device(L, 1);
  lua_pushboolean(L, device.is_cuda() ? tensor::cuda_is_built() : c10::impl::hasDeviceGuardImpl(device.type()));
  return 1;
}

int count(lua_State* L) {
  const at::Device device = check_device(L, 1);
  if (device.is_cuda()) lua_pushinteger(L, tensor::cuda_device_count());
  else if (!c10::impl::hasDeviceGuardImpl(device.type())) lua_pushinteger(L, 0);
  else lua_pushinteger(L, VirtualGuardImpl(device.type()).deviceCount());
  return 1;
}

// Has the device been used: would a query of its memory find anything?
int is_initialized(lua_State* L) {
  const at::Device device = check_device(L, 1);
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  lua_pushboolean(L, c10::impl::hasDeviceGuardImpl(device.type()) && allocator && allocator->initialized());
  return 1;
}

// --- The current one

int current(lua_State* L) { return lua_pushinteger(L, ready_device(L, 1).index()), 1; }

// native.device.exchange(device) -> index of the device before
int exchange(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  const VirtualGuardImpl guard(device.type());
  if (device.index() < 0 || device.index() >= guard.deviceCount())
    throw Error(ErrorKind::device,
                "invalid device ordinal: " + device.str() + ", there are " + std::to_string(guard.deviceCount()));
  lua_pushinteger(L, guard.exchangeDevice(device).index());
  return 1;
}

int synchronize(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
  return 0;
}

// --- Memory

c10::DeviceAllocator& allocator_of(const at::Device& device) {
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type()));
  if (!allocator)
    throw Error(ErrorKind::device,
                "Allocator for " + c10::DeviceTypeName(device.type(), true) + " is not a DeviceAllocator.");
  return *allocator;
}

void set_number(lua_State* L, const std::string& key, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key.c_str());
}

void set_stat(lua_State* L, const std::string& key, const Stat& stat) {
  set_number(L, key + ".current", stat.current);
  set_number(L, key + ".peak", stat.peak);
  set_number(L, key + ".allocated", stat.allocated);
  set_number(L, key + ".freed", stat.freed);
}

void set_stats(lua_State* L, const std::string& key, const StatArray& stats) {
  static constexpr const char* kPools[] = {"all", "small_pool", "large_pool"};
  for (size_t i = 0; i < stats.size() && i < std::size(kPools); ++i) set_stat(L, key + "." + kPools[i], stats[i]);
}

int memory_stats(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  const auto stats = allocator_of(device).getDeviceStats(device.index());
  lua_newtable(L);
  set_stats(L, "allocation", stats.allocation);
  set_stats(L, "segment", stats.segment);
  set_stats(L, "active", stats.active);
  set_stats(L, "inactive_split", stats.inactive_split);
  set_stats(L, "allocated_bytes", stats.allocated_bytes);
  set_stats(L, "reserved_bytes", stats.reserved_bytes);
  set_stats(L, "active_bytes", stats.active_bytes);
  set_stats(L, "inactive_split_bytes", stats.inactive_split_bytes);
  set_stats(L, "requested_bytes", stats.requested_bytes);
  set_stat(L, "oversize_allocations", stats.oversize_allocations);
  set_stat(L, "oversize_segments", stats.oversize_segments);
  set_number(L, "num_alloc_retries", stats.num_alloc_retries);
  set_number(L, "num_ooms", stats.num_ooms);
  set_number(L, "num_sync_all_streams", stats.num_sync_all_streams);
  set_number(L, "num_device_alloc", stats.num_device_alloc);
  set_number(L, "num_device_free", stats.num_device_free);
  set_number(L, "max_split_size", stats.max_split_size);
  return 1;
}

int reset_peak(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  return allocator_of(device).resetPeakStats(device.index()), 0;
}
int reset_accumulated(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  return allocator_of(device).resetAccumulatedStats(device.index()), 0;
}
int empty_cache(lua_State* L) { return allocator_of(ready_device(L, 1)).emptyCache(), 0; }
int memory_info(lua_State* L) {
  const at::Device device = ready_device(L, 1);
  const auto [free, total] = allocator_of(device).getMemoryInfo(device.index());
  lua_pushinteger(L, static_cast<lua_Integer>(free));
  lua_pushinteger(L, static_cast<lua_Integer>(total));
  return 2;
}

// --- CUDA's own

int cuda_properties(lua_State* L) {
  const auto properties = tensor::cuda_properties(ready_device(L, 1).index());
  lua_newtable(L);
  lua_pushstring(L, properties.name.c_str());
  lua_setfield(L, -2, "name");
  lua_pushstring(L, properties.uuid.c_str());
  lua_setfield(L, -2, "uuid");
  set_number(L, "major", properties.major);
  set_number(L, "minor", properties.minor);
  set_number(L, "total_memory", properties.total_memory);
  for (const auto& [name, value] : properties.others) set_number(L, name, value);
  return 1;
}

int cuda_can_access_peer(lua_State* L) {
  lua_pushboolean(L, tensor::cuda_can_access_peer(ready_device(L, 1).index(), ready_device(L, 2).index()));
  return 1;
}

int cuda_versions(lua_State* L) {
  tensor::require_cuda();
  lua_pushinteger(L, at::detail::getCUDAHooks().versionCUDART());
  lua_pushinteger(L, tensor::cuda_driver_version());
  return 2;
}

// --- Marks for NVIDIA's profiler

const torch::profiler::impl::ProfilerStubs& nvtx() {
  if (!tensor::cuda_is_built())
    throw Error(ErrorKind::device, "NVTX functions not installed. Are you sure you have a CUDA build?");
  tensor::require_cuda();
  return *torch::profiler::impl::cudaStubs();
}

std::string nvtx_text(lua_State* L) { return std::string(check_string(L, 1, "torch.cuda.nvtx", "msg")); }
int nvtx_push(lua_State* L) {
  const std::string text = nvtx_text(L);
  return nvtx().rangePush(text.c_str()), 0;
}
int nvtx_mark(lua_State* L) {
  const std::string text = nvtx_text(L);
  return nvtx().mark(text.c_str()), 0;
}
int nvtx_pop(lua_State*) { return nvtx().rangePop(), 0; }

}  // namespace

int open_device(lua_State* L) {
  static constexpr Row kRows[] = {
      {"accelerator", guarded<accelerator>, "The type of accelerator that can be used here.\n@return string?"},
      {"require", guarded<require_device>,
       "An error unless it, or any accelerator, can be used.\n@param device? device"},
      {"is_built", guarded<is_built>, "@param device device\n@return boolean"},
      {"count", guarded<count>, "@param device device its type counts\n@return integer"},
      {"is_initialized", guarded<is_initialized>, "@param device device\n@return boolean"},
      {"current", guarded<current>, "@param device device its type counts\n@return integer"},
      {"exchange", guarded<exchange>, "Makes a device the current one.\n@param device device\n@return integer before"},
      {"synchronize", guarded<synchronize>, "Waits for all its work.\n@param device device"},
      {"memory_stats", guarded<memory_stats>, "@param device device\n@return table<string, integer>"},
      {"reset_peak", guarded<reset_peak>, "@param device device"},
      {"reset_accumulated", guarded<reset_accumulated>, "@param device device"},
      {"empty_cache", guarded<empty_cache>, "@param device device"},
      {"memory_info", guarded<memory_info>, "@param device device\n@return integer free\n@return integer total"},
      {"cuda_properties", guarded<cuda_properties>, "@param device device\n@return table"},
      {"cuda_can_access_peer", guarded<cuda_can_access_peer>, "@param device device\n@param peer device"},
      {"cuda_versions", guarded<cuda_versions>, "@return integer of the runtime\n@return integer of the driver"},
      {"nvtx_push", guarded<nvtx_push>, "Opens a range.\n@param msg string"},
      {"nvtx_pop", guarded<nvtx_pop>, "Ends the range that was opened last."},
      {"nvtx_mark", guarded<nvtx_mark>, "Marks a moment.\n@param msg string"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  set_functions(L, kRows);
  open_streams(L);
  return 1;
}

}  // namespace trainhost::bindings
