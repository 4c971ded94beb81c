// Failing allocations: each call of the list is made again and again while the k-th allocation of Lua, of our C++ or of
// a tensor fails, for every k. It raises an error or succeeds; afterwards nothing is left behind and the state works.
#include <ATen/Context.h>
#include <ATen/functorch/DynamicLayer.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/anomaly_mode.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <lua.hpp>
#include <new>

#include "bindings/bindings.h"
#include "host/vm/errors.h"
#include "host/vm/state.h"
#include "tests/cpp/catch.h"

extern "C" {
extern const char __executable_start, etext;
}

namespace {

// What fails next on this thread: the allocation after `left` others, and from then on `failures` in all.
struct Failing {
  long left = -1;
  long failures = 0;
  long seen = 0;

  bool fails() {
    ++seen;
    if (left < 0) return false;
    if (left > 0) {
      --left;
      return false;
    }
    if (failures == 0) return false;
    --failures;
    return true;
  }
};

thread_local Failing lua_memory, cpp_memory, tensor_memory;
thread_local bool armed = false;
std::atomic<long> live_tensors{0};

// Only what our own object files ask for: LibTorch has allocations of its own in places that may not throw.
bool is_ours(const void* caller) { return caller >= &__executable_start && caller < &etext; }

void* allocate(size_t size, const void* caller) {
  if (armed && is_ours(caller) && cpp_memory.fails()) throw std::bad_alloc();
  if (void* block = std::malloc(size ? size : 1)) return block;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(size_t size) { return allocate(size, __builtin_return_address(0)); }
void* operator new[](size_t size) { return allocate(size, __builtin_return_address(0)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return std::malloc(size ? size : 1); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return std::malloc(size ? size : 1); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }

namespace {

using namespace trainhost;

class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    if (armed && tensor_memory.fails())
      TORCH_CHECK_WITH(OutOfMemoryError, false, "DefaultCPUAllocator: can't allocate memory");
    ++live_tensors;
    void* block = std::malloc(size ? size : 1);
    return {block, block, release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return release; }
  void copy_data(void* to, const void* from, size_t count) const override { default_copy_data(to, from, count); }

 private:
  static void release(void* block) {
    --live_tensors;
    std::free(block);
  }
};

lua_Alloc usual = nullptr;
void* usual_data = nullptr;

void* lua_allocate(void*, void* block, size_t old_size, size_t new_size) {
  if (armed && new_size > (block ? old_size : 0) && lua_memory.fails()) return nullptr;
  return usual(usual_data, block, old_size, new_size);
}

// What every binding does for a living, a call a line. `x`, `net`, ... are made once.
constexpr const char* kSetUp = R"lua(
  torch, F, json = require "torch", require("torch").nn.functional, require("host").json
  x, y, w = torch.randn(3, 4), torch.randn(3, 4), torch.randn(4, 4):requires_grad_()
  k = torch.tensor {0, 2, 1}
  net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
  optimizer = torch.optim.AdamW(net:parameters(), {lr = 1e-3})
  graph, checkpoint = torch.autograd.graph, torch.utils.checkpoint.checkpoint
  Double = torch.autograd.Function("Double")
  function Double.forward(ctx, a)
    ctx:save_for_backward(a)
    ctx.y = a * 2
    return ctx.y
  end
  function Double.backward(ctx, grad) return grad * 2 + ctx.saved_tensors[1] * 0 end
  set = torch.utils.data.TensorDataset(torch.randn(12, 4), torch.randint(0, 3, {12}))
  file = folder .. "/net.safetensors"
  mlflow, train = require "mlflow", require "train"
  mlflow.set_tracking_uri("sqlite:///" .. folder .. "/runs.db")
  run = mlflow.start_run()
)lua";
constexpr const char* kCalls[] = {
    "x + y",
    "x * 2 - y / 3",
    "torch.zeros(2, 3, {dtype = torch.float64})",
    "torch.tensor {{1, 2}, {3.5, 4}}",
    "x:sum {dim = 1, keepdim = true}",
    "x:max(1)",
    "x:split(2)",
    "x:tolist()",
    "tostring(x)",
    "tostring(net)",
    "x['1:, ::2']",
    "x[{0, 'None', {1, 2}}]",
    "(function() local z = x:clone() z['0, :'] = {1, 2, 3, 4} z[z:gt(0)] = 0 return z end)()",
    "(function() for row in x:iter() do local _ = row:sum():item() end end)()",
    "torch.cat {x, y}",
    "torch.einsum('ij,kj->ik', x, y)",
    "x:no_such_method()",
    "torch.add(x, {})",
    "torch.zeros(2):view(3)",
    "(function() x:matmul(w):sum():backward() w.grad = nil end)()",
    "torch.autograd.grad(x:matmul(w):pow(2):sum(), w)",
    "torch.no_grad(function() return x:matmul(w) end)",
    "(function() Double.apply(w):sum():backward() w.grad = nil end)()",
    "(function() local z = w * 2 z:register_hook(function(g) return g * z:dim() end):remove() "
    "z:register_hook(function() return z end) z.grad_fn:register_prehook(function() return z and nil end) "
    "z.grad_fn.metadata.z = z z:sum():backward() w.grad = nil end)()",
    "(function() graph.saved_tensors_hooks(function(t) return {t} end, function(t) return t[1] end, "
    "function() return w * w end):sum():backward() w.grad = nil end)()",
    "(function() checkpoint(function(t) return t:exp() end, w, {use_reentrant = false}):sum():backward() "
    "w.grad = nil end)()",
    "torch.func.grad(function(t) return t:pow(2):sum() end)(x)",
    "torch.func.vmap(function(t) return t:sum() end)(x)",
    "torch.inference_mode(function() return x + y end)",
    "(function() local _ <close> = torch.inference_mode() return x + y end)()",
    "(function() local _ <close> = torch.autograd.set_detect_anomaly(true) return x + y end)()",
    "x.shape, x.dtype, x.device, x.grad_fn",
    "torch.nn.Linear(3, 2, {bias = false})",
    "torch.nn.BatchNorm2d(3):state_dict()",
    "(function() F.cross_entropy(net(x), k):backward() optimizer:step() optimizer:zero_grad() end)()",
    "net:load_state_dict(net:state_dict())",
    "(function() local n = 0 for _ in net:named_parameters() do n = n + 1 end return n end)()",
    "optimizer:state_dict()",
    "torch.optim.SGD(net:parameters(), {lr = 0.1, momentum = 0.9})",
    "(function() for _ in torch.utils.data.DataLoader(set, {batch_size = 5, shuffle = true}):iter() do end end)()",
    "set[3]",
    "torch.utils.data.random_split(set, {8, 4}, {seed = 1})",
    "torch.save(net:state_dict(), file)",
    "torch.load(file)",
    "json.decode(json.encode {a = {1, 2.5, 'x', true}, b = {}})",
    "require('host').param('lr', 0.1)",
    "torch.Generator():manual_seed(3):initial_seed()",
    "torch.get_rng_state()",
    "run:log_metric('loss', 0.5, 3)",
    "run:log_params {lr = 0.1, layers = {1, 2}}",
    "run:log_metric('bad key!?#', 1)",
    "train.fit {model = net, optimizer = optimizer, loss = F.cross_entropy, epochs = 1, verbose = 0, "
    "train = torch.utils.data.DataLoader(set, {batch_size = 6}), callbacks = {train.EarlyStopping {monitor = 'loss'}}}",
};

// Runs the function on the stack's top with what fails set up; leaves the stack as it was. Was it called to its end?
bool call_armed(lua_State* L, bool handler = true) {
  lua_pushcfunction(L, vm::message_handler);
  lua_pushvalue(L, -2);
  armed = true;
  const int status = lua_pcall(L, 0, LUA_MULTRET, handler ? -2 : 0);
  armed = false;
  if (status != LUA_OK) {
    INFO("status " << status);
    CHECK((status == LUA_ERRRUN || status == LUA_ERRMEM || status == LUA_ERRERR));
    const char* text = luaL_tolstring(L, -1, nullptr);
    CHECK(text != nullptr);
  }
  return status == LUA_OK;
}

void settle(lua_State* L) {
  for (int i = 0; i < 2; ++i) vm::State::of(L).native_bytes().collect(L);
}

// Every k, by ever larger steps behind the first hundred, until a call needs no k-th allocation.
template <class Arm>
long sweep(lua_State* L, Failing& memory, const char* what, long failures, Arm arm) {
  const int top = lua_gettop(L);
  long swept = 0;
  for (long k = 0;; k += k < 100 ? 1 : 1 + k / 50) {
    INFO(what << " fails at " << k);
    arm();
    memory = {k, failures, 0};
    call_armed(L, k % 2 == 0);
    const bool reached = memory.left == 0 && memory.failures < failures;
    memory = {};
    lua_settop(L, top);
    CHECK((c10::GradMode::is_enabled() && !c10::InferenceMode::is_enabled()));
    CHECK(at::functorch::getDynamicLayerStack().empty());
    CHECK(!torch::autograd::AnomalyMode::is_enabled());
    if (!reached) break;
    ++swept;
  }
  return swept;
}

}  // namespace

TEST_CASE("a failed allocation is an error that leaves nothing behind") {
  static CountingAllocator allocator;
  c10::Allocator* const before = c10::GetCPUAllocator();
  c10::SetCPUAllocator(&allocator, 100);
  std::string folder = std::filesystem::temp_directory_path() / "trainhost-allocation-XXXXXX";
  REQUIRE(mkdtemp(folder.data()));
  const auto working = std::filesystem::current_path();
  std::filesystem::current_path(folder);  // what waits to be stored lies there
  {
    vm::State state({});
    lua_State* L = state.lua();
    bindings::open_all(L);
    usual = lua_getallocf(L, &usual_data);
    lua_setallocf(L, lua_allocate, nullptr);
    lua_pushstring(L, folder.c_str());
    lua_setglobal(L, "folder");
    state.run_string(kSetUp, "=setup");
    long swept = 0;
    for (const char* code : kCalls) {
      INFO(code);
      REQUIRE(luaL_loadstring(L, (std::string("return ") + code).c_str()) == LUA_OK);
      const int top = lua_gettop(L);
      for (int i = 0; i < 3; ++i) {  // caches fill
        call_armed(L);
        lua_settop(L, top);
      }
      settle(L);
      const long tensors = live_tensors;
      const auto nothing = [] {};
      swept += sweep(L, lua_memory, "Lua's memory", 1L << 40, nothing);
      swept += sweep(L, cpp_memory, "memory of C++", 1, nothing);
      swept += sweep(L, tensor_memory, "memory of a tensor", 2, nothing);
      settle(L);
      call_armed(L);  // what was half made is made anew
      lua_settop(L, top);
      settle(L);
      CHECK(live_tensors <= tensors);
      lua_settop(L, top - 1);
    }
    CHECK(swept > 1000);
    lua_setallocf(L, usual, usual_data);
  }
  std::filesystem::current_path(working);
  std::filesystem::remove_all(folder);
  c10::SetCPUAllocator(before, 101);
  CHECK(live_tensors == 0);
}
