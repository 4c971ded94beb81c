// What LibTorch's global context holds: determinism, precision, which kernels may be taken, what was built in.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "bindings/guard.h"
#include "bindings/keywords.h"

namespace trainhost::bindings {
namespace {

using at::Context;

struct Flag {
  std::string_view name;
  bool (*get)(const Context&);
  void (*set)(Context&, bool);
};

#define FLAG(name, get_it, set_it)                                                             \
  Flag {                                                                                       \
    name, [](const Context& c) -> bool { return get_it; }, [](Context& c, bool on) { set_it; } \
  }

const Flag kFlags[] = {
    FLAG("cudnn_enabled", c.userEnabledCuDNN(), c.setUserEnabledCuDNN(on)),
    FLAG("cudnn_benchmark", c.benchmarkCuDNN(), c.setBenchmarkCuDNN(on)),
    FLAG("cudnn_deterministic", c.deterministicCuDNN(), c.setDeterministicCuDNN(on)),
    FLAG("cudnn_allow_tf32", c.allowTF32CuDNN(), c.setAllowTF32CuDNN(on)),
    FLAG("cublas_allow_tf32", c.allowTF32CuBLAS(), c.setAllowTF32CuBLAS(on)),
    FLAG("cublas_fp16_accumulation", c.allowFP16AccumulationCuBLAS(), c.setAllowFP16AccumulationCuBLAS(on)),
    FLAG("mkldnn_enabled", c.userEnabledMkldnn(), c.setUserEnabledMkldnn(on)),
    FLAG("mkldnn_deterministic", c.deterministicMkldnn(), c.setDeterministicMkldnn(on)),
    FLAG("mkldnn_allow_tf32", c.allowTF32OneDNN(), c.setAllowTF32OneDNN(on)),
    FLAG("miopen_immediate", c.immediateMiopen(), c.setImmediateMiopen(on)),
    FLAG("nnpack_enabled", c.userEnabledNNPACK(), c.setUserEnabledNNPACK(on)),
    FLAG("flash_sdp", c.userEnabledFlashSDP(), c.setSDPUseFlash(on)),
    FLAG("mem_efficient_sdp", c.userEnabledMemEfficientSDP(), c.setSDPUseMemEfficient(on)),
    FLAG("math_sdp", c.userEnabledMathSDP(), c.setSDPUseMath(on)),
    FLAG("cudnn_sdp", c.userEnabledCuDNNSDP(), c.setSDPUseCuDNN(on)),
    FLAG("overrideable_sdp", c.userEnabledOverrideableSDP(), c.setSDPUseOverrideable(on)),
    FLAG("fp16_bf16_reduction_math_sdp", c.allowFP16BF16ReductionMathSDP(), c.setAllowFP16BF16ReductionMathSDP(on)),
    FLAG("fill_uninitialized_memory", c.deterministicFillUninitializedMemory(),
         c.setDeterministicFillUninitializedMemory(on)),
    FLAG("cpu_fp16_reduction", c.allowFP16ReductionCPU(), c.setAllowFP16ReductionCPU(on)),
};
#undef FLAG

const Flag& check_flag(lua_State* L) {
  const std::string_view name = luaL_checkstring(L, 1);
  const auto* found = std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& f) { return f.name == name; });
  if (found == std::end(kFlags)) throw_usage("native.context: there is no flag '" + std::string(name) + "'");
  return *found;
}

int get(lua_State* L) { return lua_pushboolean(L, check_flag(L).get(at::globalContext())), 1; }

// native.context.set(flag, value, name): `name` is what the user set, for the error.
int set(lua_State* L) {
  const Flag& flag = check_flag(L);
  const char* name = luaL_optstring(L, 3, luaL_checkstring(L, 1));
  if (!lua_isboolean(L, 2)) throw_usage(std::string(name) + " expects a boolean, got " + describe(L, 2));
  flag.set(at::globalContext(), lua_toboolean(L, 2));
  return 0;
}

int has(lua_State* L) {
  const std::string_view name = luaL_checkstring(L, 1);
  bool there;
  if (name == "mkl") there = Context::hasMKL();
  else if (name == "mkldnn") there = Context::hasMKLDNN();
  else if (name == "openmp") there = Context::hasOpenMP();
  else if (name == "lapack") there = Context::hasLAPACK();
  else if (name == "cudnn") there = Context::hasCuDNN();
  else if (name == "mps") there = Context::hasMPS();
  else if (name == "xnnpack") there = Context::isXNNPACKAvailable();
  else if (name == "kleidiai") there = Context::hasKleidiAI();
  else throw_usage("native.context.has: there is no feature '" + std::string(name) + "'");
  return lua_pushboolean(L, there), 1;
}

// --- Determinism and precision

int deterministic(lua_State* L) {
  lua_pushboolean(L, at::globalContext().deterministicAlgorithms());
  lua_pushboolean(L, at::globalContext().deterministicAlgorithmsWarnOnly());
  return 2;
}

int set_deterministic(lua_State* L) {
  constexpr const char* kName = "torch.use_deterministic_algorithms";
  const bool mode = check_boolean(L, 1, kName, "mode");
  at::globalContext().setDeterministicAlgorithms(mode, check_boolean(L, 2, kName, "warn_only"));
  return 0;
}

int matmul_precision(lua_State* L) {
  static constexpr const char* kNames[] = {"highest", "high", "medium"};
  lua_pushstring(L, kNames[static_cast<int>(at::globalContext().float32MatmulPrecision())]);
  return 1;
}

int set_matmul_precision(lua_State* L) {
  spread_keywords(L, "torch.set_float32_matmul_precision", 1, {"precision"});
  at::globalContext().setFloat32MatmulPrecision(
      std::string(check_string(L, 1, "torch.set_float32_matmul_precision", "precision")));
  return 0;
}

// native.context.fp32_precision(backend, operator)
int fp32_precision(lua_State* L) {
  const auto backend = at::str2backend(luaL_checkstring(L, 1));
  const auto op = at::str2op(luaL_checkstring(L, 2));
  lua_pushstring(L, at::precision2str(at::globalContext().float32Precision(backend, op)).c_str());
  return 1;
}

int set_fp32_precision(lua_State* L) {
  const auto backend = at::str2backend(luaL_checkstring(L, 1));
  const auto op = at::str2op(luaL_checkstring(L, 2));
  at::globalContext().setFloat32Precision(
      backend, op, at::str2precision(std::string(check_string(L, 3, "fp32_precision", "value"))));
  return 0;
}

int set_flush_denormal(lua_State* L) {
  lua_pushboolean(L, Context::setFlushDenormal(check_boolean(L, 1, "torch.set_flush_denormal", "mode")));
  return 1;
}

// native.context.reduction("fp16" | "bf16") -> allow_reduced_precision, allow_splitk
int reduction(lua_State* L) {
  using Option = at::CuBLASReductionOption;
  const bool half = std::string_view(luaL_checkstring(L, 1)) == "fp16";
  const Option option =
      half ? at::globalContext().allowFP16ReductionCuBLAS() : at::globalContext().allowBF16ReductionCuBLAS();
  lua_pushboolean(L, option == Option::AllowReducedPrecisionWithSplitK);
  lua_pushboolean(L, option != Option::DisallowReducedPrecisionDisallowSplitK);
  return 2;
}

int set_reduction(lua_State* L) {
  const bool half = std::string_view(luaL_checkstring(L, 1)) == "fp16";
  const bool reduced = lua_toboolean(L, 2), split_k = lua_toboolean(L, 3);
  if (half) at::globalContext().setAllowFP16ReductionCuBLAS(reduced, split_k);
  else at::globalContext().setAllowBF16ReductionCuBLAS(reduced, split_k);
  return 0;
}

// --- Which library or kernel is taken

int benchmark_limit(lua_State* L) { return lua_pushinteger(L, at::globalContext().benchmarkLimitCuDNN()), 1; }
int set_benchmark_limit(lua_State* L) {
  const lua_Integer limit = check_integer(L, 1, "torch.backends.cudnn.benchmark_limit", "value");
  at::globalContext().setBenchmarkLimitCuDNN(static_cast<int>(std::clamp<lua_Integer>(limit, 0, 1 << 30)));
  return 0;
}

constexpr std::array<const char*, 5> kEngines = {"none", "fbgemm", "qnnpack", "onednn", "x86"};  // c10::QEngine's order

int engine(lua_State* L) { return lua_pushstring(L, kEngines[static_cast<size_t>(at::globalContext().qEngine())]), 1; }

int set_engine(lua_State* L) {
  const std::string_view name = check_string(L, 1, "torch.backends.quantized.engine", "value");
  const auto found = std::find(kEngines.begin(), kEngines.end(), name);
  if (found == kEngines.end()) throw_usage(std::string(name) + " is not a valid value for quantized engine");
  at::globalContext().setQEngine(static_cast<at::QEngine>(found - kEngines.begin()));
  return 0;
}

int engines(lua_State* L) {
  lua_newtable(L);
  lua_Integer at = 0;
  for (const at::QEngine engine : Context::supportedQEngines()) {
    lua_pushstring(L, kEngines[static_cast<size_t>(engine)]);
    lua_rawseti(L, -2, ++at);
  }
  return 1;
}

constexpr std::array<const char*, 3> kLinalg = {"default", "cusolver", "magma"};
constexpr std::array<const char*, 4> kBlas = {"default", "cublas", "cublaslt", "ck"};

template <size_t size>
int index_of(lua_State* L, const std::array<const char*, size>& names, const char* function, const char* known) {
  const std::string_view name = check_string(L, 1, function, "backend");
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw_usage(std::string("Unknown input value. Choose from: ") + known + ".");
  return static_cast<int>(found - names.begin());
}

int preferred_linalg(lua_State* L) {
  spread_keywords(L, "torch.backends.cuda.preferred_linalg_library", 1, {"backend"});
  auto& context = at::globalContext();
  if (!lua_isnoneornil(L, 1))
    context.setLinalgPreferredBackend(static_cast<at::LinalgBackend>(
        index_of(L, kLinalg, "torch.backends.cuda.preferred_linalg_library", "default, cusolver, magma")));
  return lua_pushstring(L, kLinalg[static_cast<size_t>(context.linalgPreferredBackend())]), 1;
}

int preferred_blas(lua_State* L) {
  spread_keywords(L, "torch.backends.cuda.preferred_blas_library", 1, {"backend"});
  auto& context = at::globalContext();
  if (!lua_isnoneornil(L, 1))
    context.setBlasPreferredBackend(static_cast<at::BlasBackend>(
        index_of(L, kBlas, "torch.backends.cuda.preferred_blas_library", "default, cublas, cublaslt, ck")));
  return lua_pushstring(L, kBlas[static_cast<size_t>(context.blasPreferredBackend())]), 1;
}

int warn_always(lua_State* L) { return lua_pushboolean(L, c10::WarningUtils::get_warnAlways()), 1; }
int set_warn_always(lua_State* L) {
  return c10::WarningUtils::set_warnAlways(check_boolean(L, 1, "torch.set_warn_always", "on")), 0;
}

// --- Texts

int cudnn_version(lua_State* L) {
  if (Context::hasCuDNN()) lua_pushinteger(L, Context::versionRuntimeCuDNN());
  else lua_pushnil(L);
  return 1;
}
int cpu_capability(lua_State* L) { return lua_pushstring(L, at::get_cpu_capability().c_str()), 1; }
int show_config(lua_State* L) { return lua_pushstring(L, at::show_config().c_str()), 1; }
int parallel_info(lua_State* L) { return lua_pushstring(L, at::get_parallel_info().c_str()), 1; }
int cxx_flags(lua_State* L) { return lua_pushstring(L, at::get_cxx_flags().c_str()), 1; }

}  // namespace

int open_context(lua_State* L) {
  static constexpr Row kRows[] = {
      {"get", guarded<get>, "A flag.\n@param name string\n@return boolean"},
      {"set", guarded<set>,
       "Sets a flag.\n@param name string\n@param value boolean\n@param shown? string name in errors"},
      {"has", guarded<has>, "Was it built in?\n@param name string \"mkl\", \"openmp\" ...\n@return boolean"},
      {"deterministic", guarded<deterministic>, "@return boolean mode\n@return boolean warn_only"},
      {"set_deterministic", guarded<set_deterministic>, "@param mode boolean\n@param warn_only boolean"},
      {"matmul_precision", guarded<matmul_precision>, "@return string \"highest\", \"high\" or \"medium\""},
      {"set_matmul_precision", guarded<set_matmul_precision>, "@param precision string"},
      {"fp32_precision", guarded<fp32_precision>,
       "@param backend string \"generic\", \"cuda\", \"mkldnn\"\n@param op string \"all\", \"conv\", \"rnn\", "
       "\"matmul\"\n@return string"},
      {"set_fp32_precision", guarded<set_fp32_precision>,
       "@param backend string\n@param op string\n@param value string \"ieee\", \"tf32\", \"bf16\" or \"none\""},
      {"set_flush_denormal", guarded<set_flush_denormal>,
       "Denormal numbers become 0 on the CPU.\n@param mode boolean\n@return boolean can this CPU do it?\n@example "
       "type(torch.set_flush_denormal(false))  --> boolean"},
      {"reduction", guarded<reduction>, "@param dtype string \"fp16\" or \"bf16\"\n@return boolean\n@return boolean"},
      {"set_reduction", guarded<set_reduction>, "@param dtype string\n@param reduced boolean\n@param split_k boolean"},
      {"benchmark_limit", guarded<benchmark_limit>, "@return integer"},
      {"set_benchmark_limit", guarded<set_benchmark_limit>, "@param value integer"},
      {"engine", guarded<engine>, "The engine of quantized operators.\n@return string"},
      {"set_engine", guarded<set_engine>, "@param name string"},
      {"engines", guarded<engines>, "@return string[]"},
      {"preferred_linalg", guarded<preferred_linalg>, "@param backend? string sets it\n@return string"},
      {"preferred_blas", guarded<preferred_blas>, "@param backend? string sets it\n@return string"},
      {"warn_always", guarded<warn_always>, "@return boolean"},
      {"set_warn_always", guarded<set_warn_always>,
       "Sets whether a warning that was given once is given again.\n@param on boolean\n@example "
       "torch.set_warn_always(true)\ntorch.is_warn_always_enabled()  --> true\ntorch.set_warn_always(false)"},
      {"cudnn_version", guarded<cudnn_version>, "@return integer?"},
      {"cpu_capability", guarded<cpu_capability>, "@return string \"AVX2\", \"AVX512\" ..."},
      {"show_config", guarded<show_config>, "How LibTorch was built.\n@return string"},
      {"parallel_info", guarded<parallel_info>, "How it works in parallel.\n@return string"},
      {"cxx_flags", guarded<cxx_flags>, "The compiler's flags.\n@return string"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
