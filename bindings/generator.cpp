// Generators: those that a script makes, and the default ones that torch.manual_seed seeds.
#include "bindings/generator.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "bindings/keywords.h"
#include "bindings/tensor.h"
#include "host/tensor/cuda.h"

namespace trainhost::bindings {
namespace {

void push_generator(lua_State* L, const at::Generator& generator) {
  push<at::Generator>(L, std::make_shared<at::Generator>(generator));
}

lua_Integer signed_seed(uint64_t seed) { return static_cast<lua_Integer>(seed); }

// The default generator of the device at `index`, the CPU's if none is given; CUDA's without index is the current
// one's.
at::Generator default_generator(lua_State* L, int index) {
  if (lua_isnoneornil(L, index)) return at::detail::getDefaultCPUGenerator();
  const at::Device device = check_device(L, index);
  if (device.is_cuda()) tensor::require_cuda();
  return at::globalContext().defaultGenerator(device);
}

const at::Tensor& check_state(lua_State* L, int index) {
  const at::Tensor* state = test_tensor(L, index);
  if (!state) throw_usage("expected a torch.ByteTensor, but got " + describe(L, index));
  if (state->scalar_type() != at::kByte || !state->is_cpu() || !state->is_non_overlapping_and_dense())
    throw Error(ErrorKind::dtype, "RNG state must be a torch.ByteTensor");
  return *state;
}

void set_state(at::Generator& generator, const at::Tensor& state) {
  std::lock_guard lock(generator.mutex());
  generator.set_state(state);
}

at::Tensor get_state(at::Generator& generator) {
  std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

// --- Methods

int generator_manual_seed(lua_State* L) {
  spread_keywords(L, "Generator.manual_seed", 2, {"seed"});
  at::Generator& generator = *check<at::Generator>(L, 1);
  const uint64_t seed = check_seed(L, 2, "Generator.manual_seed");
  std::lock_guard lock(generator.mutex());
  generator.set_current_seed(seed);
  lua_settop(L, 1);
  return 1;
}

int generator_seed(lua_State* L) {
  at::Generator& generator = *check<at::Generator>(L, 1);
  std::lock_guard lock(generator.mutex());
  lua_pushinteger(L, signed_seed(generator.seed()));
  return 1;
}

int generator_initial_seed(lua_State* L) {
  lua_pushinteger(L, signed_seed(check<at::Generator>(L, 1)->current_seed()));
  return 1;
}

int generator_get_state(lua_State* L) { return push_tensor(L, get_state(*check<at::Generator>(L, 1))), 1; }

int generator_set_state(lua_State* L) {
  spread_keywords(L, "Generator.set_state", 2, {"new_state"});
  set_state(*check<at::Generator>(L, 1), check_state(L, 2));
  lua_settop(L, 1);
  return 1;
}

int generator_clone_state(lua_State* L) {
  at::Generator& generator = *check<at::Generator>(L, 1);
  std::lock_guard lock(generator.mutex());
  push_generator(L, generator.clone());
  return 1;
}

int generator_get_offset(lua_State* L) {
  lua_pushinteger(L, signed_seed(check<at::Generator>(L, 1)->get_offset()));
  return 1;
}

int generator_set_offset(lua_State* L) {
  spread_keywords(L, "Generator.set_offset", 2, {"offset"});
  at::Generator& generator = *check<at::Generator>(L, 1);
  const lua_Integer offset = check_integer(L, 2, "Generator.set_offset", "offset");
  std::lock_guard lock(generator.mutex());
  generator.set_offset(static_cast<uint64_t>(offset));
  lua_settop(L, 1);
  return 1;
}

int generator_equal(lua_State* L) {
  const auto *a = test<at::Generator>(L, 1), *b = test<at::Generator>(L, 2);
  lua_pushboolean(L, a && b && *a && *b && **a == **b);
  return 1;
}

// Upvalue: the methods.
int generator_index(lua_State* L) {
  const at::Generator& generator = *check<at::Generator>(L, 1);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char* name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
  if (std::string_view(name) != "device")
    throw_usage("a Generator has no method or attribute '" + std::string(name) + "'",
                "it has device, manual_seed, seed, initial_seed, get_state, set_state, clone_state");
  push_device(L, generator.device());
  return 1;
}

// --- Functions of torch

int make_generator(lua_State* L) {
  spread_keywords(L, "torch.Generator", 1, {"device"});
  const at::Device device = lua_isnoneornil(L, 1) ? at::Device(at::kCPU) : check_device(L, 1);
  push_generator(L,
                 device.is_cpu()
                     ? at::detail::createCPUGenerator()
                     : at::globalContext().getAcceleratorHooksInterface(device.type()).getNewGenerator(device.index()));
  return 1;
}

int manual_seed(lua_State* L) {
  spread_keywords(L, "torch.manual_seed", 1, {"seed"});
  tensor::manual_seed(check_seed(L, 1, "torch.manual_seed"));
  push_generator(L, at::detail::getDefaultCPUGenerator());
  return 1;
}

// native.tensor.device_manual_seed(seed, device): the default generator of one device.
int device_manual_seed(lua_State* L) {
  const uint64_t seed = check_seed(L, 1, "manual_seed");
  at::Generator generator = default_generator(L, 2);
  std::lock_guard lock(generator.mutex());
  generator.set_current_seed(seed);
  return 0;
}

int device_generator(lua_State* L) { return push_generator(L, default_generator(L, 1)), 1; }

int seed(lua_State* L) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  uint64_t value;
  {
    std::lock_guard lock(generator.mutex());
    value = generator.seed();
  }
  tensor::manual_seed(value);
  return lua_pushinteger(L, signed_seed(value)), 1;
}

int initial_seed(lua_State* L) { return lua_pushinteger(L, signed_seed(default_generator(L, 1).current_seed())), 1; }

int get_rng_state(lua_State* L) {
  at::Generator generator = default_generator(L, 1);
  return push_tensor(L, get_state(generator)), 1;
}

int set_rng_state(lua_State* L) {
  spread_keywords(L, "torch.set_rng_state", 1, {"new_state", "device"});
  const at::Tensor& state = check_state(L, 1);
  at::Generator generator = default_generator(L, 2);
  set_state(generator, state);
  return 0;
}

}  // namespace

uint64_t check_seed(lua_State* L, int index, const char* function) {
  if (lua_isinteger(L, index)) return static_cast<uint64_t>(lua_tointeger(L, index));
  if (lua_type(L, index) != LUA_TNUMBER) throw_argument(L, function, "seed", "an integer", index);
  const double number = std::trunc(lua_tonumber(L, index));
  if (!(number >= -0x1p63 && number < 0x1p64))
    throw_usage(std::string(function) + ": Overflow when unpacking long long");
  return number < 0 ? static_cast<uint64_t>(static_cast<int64_t>(number)) : static_cast<uint64_t>(number);
}

void open_generators(lua_State* L) {
  static constexpr Row kMethods[] = {
      {"manual_seed", guarded<generator_manual_seed>,
       "Sets the seed and returns the generator.\n@param seed integer\n@return Generator self"},
      {"seed", guarded<generator_seed>, "Sets a seed from the system's entropy.\n@return integer the seed"},
      {"initial_seed", guarded<generator_initial_seed>,
       "The seed it was last given; those above 2^63 - 1 read as negative.\n@return integer"},
      {"get_state", guarded<generator_get_state>, "The whole state as a uint8 tensor.\n@return Tensor"},
      {"set_state", guarded<generator_set_state>,
       "Sets the state that get_state gave.\n@param state Tensor uint8\n@return Generator self"},
      {"clone_state", guarded<generator_clone_state>, "A generator of its own in the same state.\n@return Generator"},
      {"get_offset", guarded<generator_get_offset>, "How far a CUDA generator has got, in numbers.\n@return integer"},
      {"set_offset", guarded<generator_set_offset>,
       "Sets how far a CUDA generator has got.\n@param offset integer a multiple of 4\n@return Generator self"},
      {nullptr, nullptr, nullptr}};
  static constexpr Row kMetamethods[] = {{"__eq", guarded<generator_equal>, nullptr}, {nullptr, nullptr, nullptr}};
  static constexpr Row kFunctions[] = {
      {"Generator", guarded<make_generator>,
       "A random number generator of its own.\n@param device? device \"cpu\"\n@return Generator\n@example local "
       "generator = torch.Generator():manual_seed(1)\ntorch.rand(2, {generator = generator}).shape  --> "
       "torch.Size([2])"},
      {"manual_seed", guarded<manual_seed>,
       "Seeds the default generators of all devices.\n@param seed integer\n@return Generator the CPU's default "
       "one\n@example "
       "torch.manual_seed(0)\nlocal a = torch.rand(2)\ntorch.manual_seed(0)\ntorch.equal(a, torch.rand(2))  --> true"},
      {"device_manual_seed", guarded<device_manual_seed>,
       "Seeds the default generator of one device.\n@param seed integer\n@param device? device the CPU"},
      {"device_generator", guarded<device_generator>,
       "The default generator of one device.\n@param device? device the CPU\n@return Generator"},
      {"seed", guarded<seed>,
       "Seeds them from the system's entropy.\n@return integer the seed"
       "\n@example torch.seed() == torch.initial_seed()  --> true"},
      {"initial_seed", guarded<initial_seed>,
       "The seed of a default generator.\n@param device? device the CPU\n@return integer"
       "\n@example torch.manual_seed(7)\ntorch.initial_seed()  --> 7"},
      {"get_rng_state", guarded<get_rng_state>,
       "The state of a default generator.\n@param device? device the CPU\n@return Tensor uint8"
       "\n@example local state = torch.get_rng_state()\nlocal x = "
       "torch.rand(2)\ntorch.set_rng_state(state)\ntorch.equal(torch.rand(2), x)  --> true"},
      {"set_rng_state", guarded<set_rng_state>,
       "Sets the state that get_rng_state gave.\n@param state Tensor uint8\n@param device? device the CPU"
       "\n@example local state = "
       "torch.get_rng_state()\ntorch.seed()\ntorch.set_rng_state(state)\ntorch.equal(torch.get_rng_state(), state)  "
       "--> true"},
      {nullptr, nullptr, nullptr}};
  define<at::Generator>(L, nullptr, kMetamethods);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(TypeId::generator));
  lua_newtable(L);
  set_functions(L, kMethods);
  lua_pushcclosure(L, guarded<generator_index>, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  set_functions(L, kFunctions);
  push_generator(L, at::detail::getDefaultCPUGenerator());
  lua_setfield(L, -2, "default_generator");
}

}  // namespace trainhost::bindings
