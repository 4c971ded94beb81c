// Interrupts: requests set a hook on every running coroutine; the hook raises.
#include "host/vm/interrupt.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <lua.hpp>
#include <utility>

#include "host/vm/errors.h"
#include "host/vm/state.h"

namespace trainhost::vm {
namespace {

// Note [How a script is stopped]
// A permanent count hook would slow Lua loops by 60-220 %, so there is none: a request sets one on the coroutine that
// runs and on those that resumed it. Set at the next instruction, it raises an `interrupted` error. pcall, xpcall,
// coroutine.resume, wrap and close are ours (protected.cpp): they catch nothing once the script was told to stop
// inside them (`stops` has grown), and message handlers of the script are not run for it. What still runs are the
// `__close` handlers on the way out: they have kCleanupSeconds, then (or after a second request) the hook raises
// in them too. Finalizers run with Lua's hooks off, so `__gc` functions run in a coroutine of their own.
//
// Note [Requests from another thread]
// lua_sethook may be called at any time by the state's own thread (from a signal handler). Another thread walks Lua's
// list of calls while the script runs: nothing it can reach may be freed meanwhile. So it raises `walking_` first, and
// the state's allocator waits for zero before it frees. The allocator's side is one relaxed load; the fence it
// needs is paid by the walker (membarrier). The main state is freed last: from then on there is nothing to walk.
constexpr double kCleanupSeconds = 1.0;
constexpr int kInstructionsBetweenLooks = 1000;

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

Interrupts::Interrupts() : owner_(pthread_self()) {
  syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

void Interrupts::open(lua_State* main) {
  lua_setallocf(main, allocate, this);
  main_block_ = lua_getextraspace(main);  // Lua allocates the two together
  running_[0] = main;
  depth_ = 1;
  open_protected(main);
}

void* Interrupts::allocate(void* self, void* block, size_t, size_t new_size) {
  if (new_size) return std::realloc(block, new_size);
  auto& interrupts = *static_cast<Interrupts*>(self);
  if (block == interrupts.main_block_ && block) interrupts.depth_ = 0;
  auto& walking = interrupts.walking_;
  while (walking.load(std::memory_order_relaxed) > 0) sched_yield();
  std::free(block);
  return nullptr;
}

void Interrupts::arm() noexcept {
  walking_.fetch_add(1);
  if (!on_own_thread()) syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
  const int depth = depth_.load();
  for (int i = 0; i < depth; ++i)
    if (lua_State* L = running_[static_cast<size_t>(i)].load()) lua_sethook(L, hook, LUA_MASKCOUNT, 1);
  walking_.fetch_sub(1);
}

int Interrupts::request() noexcept {
  if (scopes_.load() == 0) return 0;
  if (graceful_.load() > 0 && !wished_.exchange(true)) return 1;
  const int count = requested_.fetch_add(1) + 1;
  arm();
  return count + (wished_.load() ? 1 : 0);
}

bool Interrupts::post(std::function<void()> f) {
  {
    std::lock_guard lock(posted_mutex_);
    if (closed_) return false;
    posted_.push_back(std::move(f));
    has_posted_ = true;
  }
  if (scopes_.load() > 0) arm();
  return true;
}

void Interrupts::cancel() noexcept {
  std::lock_guard lock(bound_mutex_);
  if (!bound_) return;
  cancelled_ = true;
  arm();
}

void Interrupts::close() noexcept {
  std::deque<std::function<void()>> dropped;  // destroyed without the lock
  std::lock_guard lock(posted_mutex_);
  closed_ = true;
  dropped.swap(posted_);
  has_posted_ = false;
}

void Interrupts::swallowed() noexcept {
  cleanup_until_ = 0.0;
  if (requested()) arm();
}

std::function<void()> Interrupts::next_posted() {
  std::lock_guard lock(posted_mutex_);
  std::function<void()> next;
  if (!posted_.empty()) {
    next = std::move(posted_.front());
    posted_.pop_front();
  }
  has_posted_ = !posted_.empty();
  return next;
}

size_t Interrupts::run_posted() {
  size_t most, count = 0;
  {
    std::lock_guard lock(posted_mutex_);
    most = posted_.size();  // one that posts again has its turn later
  }
  try {
    for (; count < most; ++count) {
      const auto f = next_posted();
      if (!f) break;
      f();
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(ErrorKind::internal, e.what());
  }
  return count;
}

void Interrupts::hook(lua_State* L, lua_Debug*) { State::of(L).interrupts().on_hook(L); }

void Interrupts::on_hook(lua_State* L) {
  if (has_posted_) {
    std::optional<Fault> fault;
    try {
      run_posted();
    } catch (const Error& e) {
      fault = Fault{e.kind(), e.message(), e.hint(), e.type()};
    }
    if (fault) raise(L, *fault, "post");
  }
  const int requested = requested_.load() + (cancelled_.load() ? 1 : 0);
  if (requested == 0) {
    lua_sethook(L, nullptr, 0, 0);
    // What came between the looks above and here would have no hook.
    if (requested_.load() || cancelled_.load() || has_posted_) lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    return;
  }
  if (cleanup_until_ == 0.0 || requested > 1 || now() > cleanup_until_) {
    if (cleanup_until_ == 0.0) cleanup_until_ = now() + kCleanupSeconds;
    ++stops_;
    // Set again for what runs on the way out; a later request shortens the count.
    lua_sethook(L, hook, LUA_MASKCOUNT, requested > 1 ? 1 : kInstructionsBetweenLooks);
    raise(L, {ErrorKind::interrupted, "interrupted", {}});
  }
  lua_sethook(L, hook, LUA_MASKCOUNT, kInstructionsBetweenLooks);
}

void Interrupts::exit(lua_State* L, int code) {
  exit_code_ = code;
  ++stops_;
  raise(L, {ErrorKind::interrupted, "exit with code " + std::to_string(code), {}});
}

void Interrupts::interrupt(lua_State* L, const std::string& message) {
  ++stops_;
  raise(L, {ErrorKind::interrupted, message, {}});
}

Interrupts::Scope::Scope(Interrupts& interrupts) noexcept : interrupts_(interrupts), before_(interrupts.stops_) {
  if (interrupts_.scopes_.load() == 0) {
    interrupts_.requested_ = 0;
    interrupts_.wished_ = false;
    interrupts_.graceful_ = 0;
    interrupts_.stops_ = before_ = 0;
    interrupts_.cleanup_until_ = 0.0;
    interrupts_.exit_code_.reset();
  }
  interrupts_.scopes_.fetch_add(1);  // last: a request is taken from here on
}

Interrupts::Scope::~Scope() { interrupts_.scopes_.fetch_sub(1); }
bool Interrupts::Scope::outermost() const noexcept { return interrupts_.scopes_.load() == 1; }
bool Interrupts::Scope::stopped() const noexcept { return interrupts_.stops_ != before_; }

Interrupts::Bound::Bound(Interrupts& interrupts) noexcept : interrupts_(interrupts), before_(interrupts.stops_) {
  std::lock_guard lock(interrupts_.bound_mutex_);
  outermost_ = !interrupts_.bound_;
  interrupts_.bound_ = true;
}

Interrupts::Bound::~Bound() {
  if (!outermost_) return;
  std::lock_guard lock(interrupts_.bound_mutex_);
  interrupts_.bound_ = false;
  interrupts_.cancelled_ = false;
}

Interrupts::Bound::End Interrupts::Bound::end(bool failed, int& code) noexcept {
  std::lock_guard lock(interrupts_.bound_mutex_);
  if (!outermost_) return interrupts_.stops_ != before_ ? End::stopped : failed ? End::failed : End::returned;
  const bool cancelled = interrupts_.cancelled_.exchange(false);
  interrupts_.bound_ = false;
  if (interrupts_.stops_ == before_) return failed ? End::failed : End::returned;
  if (interrupts_.requested_.load() > 0) return End::stopped;
  if (!cancelled && !interrupts_.exit_code_) return End::stopped;
  interrupts_.stops_ = before_;
  interrupts_.cleanup_until_ = 0.0;
  code = interrupts_.exit_code_.value_or(0);
  const bool exited = interrupts_.exit_code_.has_value();
  interrupts_.exit_code_.reset();
  return exited && !cancelled ? End::exited : End::cancelled;
}

Interrupts::Running::Running(Interrupts& interrupts, lua_State* coroutine) noexcept
    : interrupts_(interrupts), entered_(interrupts.depth_.load() < kMostCoroutines) {
  if (!entered_) return;
  interrupts_.running_[static_cast<size_t>(interrupts_.depth_.load())] = coroutine;
  interrupts_.depth_.fetch_add(1);
  // A request either sees the coroutine in the list or is seen here.
  if (interrupts_.requested() || interrupts_.has_posted_) lua_sethook(coroutine, hook, LUA_MASKCOUNT, 1);
}

Interrupts::Running::~Running() {
  if (!entered_) return;
  const int depth = interrupts_.depth_.load() - 1;
  interrupts_.depth_ = depth;
  interrupts_.running_[static_cast<size_t>(depth)] = nullptr;
}

}  // namespace trainhost::vm
