// Seeds, random state, threads and CUDA queries: what torch sets for the whole process.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <limits>
#include <random>

#include "bindings/dtype.h"
#include "bindings/keywords.h"
#include "bindings/process.h"
#include "host/tensor/cuda.h"

namespace trainhost::bindings {
namespace {

int manual_seed(lua_State* L) {
  at::manual_seed(static_cast<uint64_t>(check_integer(L, 1, "torch.manual_seed", "seed")));
  push<at::Generator>(L, std::make_shared<at::Generator>(at::detail::getDefaultCPUGenerator()));
  return 1;
}

int seed(lua_State* L) {
  std::random_device device;
  const uint64_t value = (static_cast<uint64_t>(device()) << 32 | device()) >> 1;
  at::manual_seed(value);
  return lua_pushinteger(L, static_cast<lua_Integer>(value)), 1;
}

int initial_seed(lua_State* L) {
  return lua_pushinteger(L, static_cast<lua_Integer>(at::detail::getDefaultCPUGenerator().current_seed())), 1;
}

int get_rng_state(lua_State* L) { return push_tensor(L, at::detail::getDefaultCPUGenerator().get_state()), 1; }

int set_rng_state(lua_State* L) {
  auto generator = at::detail::getDefaultCPUGenerator();
  std::lock_guard lock(generator.mutex());
  generator.set_state(check_tensor(L, 1));
  return 0;
}

int check_threads(lua_State* L, const char* function) {
  const lua_Integer threads = check_integer(L, 1, function, "threads");
  if (threads < 1) throw_argument(L, function, "threads", "at least 1", 1);
  return static_cast<int>(threads);
}

int set_num_threads(lua_State* L) { return at::set_num_threads(check_threads(L, "torch.set_num_threads")), 0; }
int get_num_threads(lua_State* L) { return lua_pushinteger(L, at::get_num_threads()), 1; }
int set_num_interop_threads(lua_State* L) {
  return at::set_num_interop_threads(check_threads(L, "torch.set_num_interop_threads")), 0;
}
int get_num_interop_threads(lua_State* L) { return lua_pushinteger(L, at::get_num_interop_threads()), 1; }

int cuda_is_available(lua_State* L) { return lua_pushboolean(L, tensor::cuda_is_available()), 1; }
int cuda_device_count(lua_State* L) { return lua_pushinteger(L, tensor::cuda_device_count()), 1; }

int cuda_synchronize(lua_State* L) {
  const at::Device device = lua_isnoneornil(L, 1) ? at::Device(at::kCUDA) : check_device(L, 1);
  if (!tensor::cuda_is_available())
    throw Error(ErrorKind::device, "torch.cuda.synchronize: no CUDA device can be used here");
  at::detail::getCUDAHooks().deviceSynchronize(device.has_index() ? device.index()
                                                                  : at::detail::getCUDAHooks().getCurrentDevice());
  return 0;
}

}  // namespace

void set_process_functions(lua_State* L) {
  static constexpr Row kRows[] = {
      {"manual_seed", guarded<manual_seed>,
       "Seeds the default generators of all devices.\n@param seed integer\n@return Generator"},
      {"seed", guarded<seed>, "Seeds them from the system's entropy.\n@return integer the seed"},
      {"initial_seed", guarded<initial_seed>, "The seed of the default CPU generator.\n@return integer"},
      {"get_rng_state", guarded<get_rng_state>, "The state of the default CPU generator.\n@return Tensor uint8"},
      {"set_rng_state", guarded<set_rng_state>, "Sets the state that get_rng_state gave.\n@param state Tensor uint8"},
      {"set_num_threads", guarded<set_num_threads>, "Threads inside an operator.\n@param threads integer"},
      {"get_num_threads", guarded<get_num_threads>, "@return integer"},
      {"set_num_interop_threads", guarded<set_num_interop_threads>,
       "Threads between operators; once, at the start.\n@param threads integer"},
      {"get_num_interop_threads", guarded<get_num_interop_threads>, "@return integer"},
      {"cuda_is_available", guarded<cuda_is_available>, "Can CUDA be used here?\n@return boolean"},
      {"cuda_device_count", guarded<cuda_device_count>, "How many CUDA devices.\n@return integer"},
      {"cuda_synchronize", guarded<cuda_synchronize>,
       "Waits for all work on a CUDA device.\n@param device? device the current one"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
