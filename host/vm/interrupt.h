// Stopping a script from outside: the request, the hook that carries it out, and the way out through pcall.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

struct lua_State;
struct lua_Debug;

namespace trainhost::vm {

// One per State. See Note [How a script is stopped] in interrupt.cpp.
class Interrupts {
 public:
  static constexpr int kMostCoroutines = 196;  // nested; below Lua's own limit of C calls

  Interrupts();
  // Takes over the state's allocator and the functions through which an error can be caught.
  void open(lua_State* main);

  // --- From any thread, and from signal handlers.
  // The script that runs stops with an `interrupted` error; without one nothing happens. The second request does
  // not wait for the script's cleanups. Returns how many requests this script has had (0: none runs).
  int request() noexcept;
  // From any thread (no signal handler): `f` runs on the state's thread between two instructions of the script, or
  // before the next one. False: the state is closed, `f` is dropped.
  bool post(std::function<void()> f);
  // From any thread (no signal handler): the call inside a Bound stops as a request would stop the script, and the
  // script goes on. Nothing without a Bound.
  void cancel() noexcept;

  bool on_own_thread() const noexcept { return pthread_equal(owner_, pthread_self()); }

  // --- From the state's own thread.
  // Encloses a protected call from C++. The outermost one forgets requests that came before it.
  class Scope {
   public:
    explicit Scope(Interrupts& interrupts) noexcept;
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    bool outermost() const noexcept;
    // Has the script been told to stop (interrupted or by exit) inside this scope?
    bool stopped() const noexcept;

   private:
    Interrupts& interrupts_;
    unsigned before_;
  };
  // Encloses a call that `cancel` and os.exit end alone, and not the script. Within another one it does nothing.
  class Bound {
   public:
    enum class End { returned, failed, cancelled, exited, stopped };  // stopped: the script is, the error goes on
    explicit Bound(Interrupts& interrupts) noexcept;
    ~Bound();
    Bound(const Bound&) = delete;
    Bound& operator=(const Bound&) = delete;
    // Told how the call ended: what was done to it is forgotten. `code`: of os.exit.
    End end(bool failed, int& code) noexcept;

   private:
    Interrupts& interrupts_;
    unsigned before_;
    bool outermost_;
  };
  // Marks a coroutine as running, so that a request reaches it.
  class Running {
   public:
    Running(Interrupts& interrupts, lua_State* coroutine) noexcept;
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    explicit operator bool() const noexcept { return entered_; }  // false: nested too deep

   private:
    Interrupts& interrupts_;
    bool entered_;
  };

  // The coroutine that runs, or the main one: where C++ that was called by a script calls back into Lua.
  lua_State* coroutine() const noexcept { return running_[static_cast<size_t>(depth_.load() - 1)].load(); }

  // Grows by one each time the script is told to stop: whoever catches an error compares it with what it was
  // before, and passes the error on if they differ.
  unsigned stops() const noexcept { return stops_; }
  // Is a request waiting? For native functions that wait: they return early, the hook does the rest.
  bool requested() const noexcept {
    return requested_.load(std::memory_order_relaxed) > 0 || cancelled_.load(std::memory_order_relaxed);
  }
  // Is a script running, or its cleanups?
  bool running() const noexcept { return scopes_.load() > 0; }
  // Told by who had to swallow the error of a stop (a finalizer): the next instruction raises it again.
  void swallowed() noexcept;
  // Runs what was posted; called where no script runs. Returns how many. What one throws is thrown as an Error; those
  // behind it stay posted.
  size_t run_posted();
  // The state is gone: nothing is posted any more, and what was is dropped.
  void close() noexcept;

  // Raises the error that ends the script with this exit code, past every pcall.
  [[noreturn]] void exit(lua_State* L, int code);
  // Raises `interrupted` in answer to a request that was only wished, past every pcall as a request itself would be.
  [[noreturn]] void interrupt(lua_State* L, const std::string& message);
  const std::optional<int>& exit_code() const noexcept { return exit_code_; }

  // Between `graceful(true)` and `graceful(false)` the first request only sets `stop_wished`: a training loop looks
  // at it between steps and stops in good order.
  void graceful(bool on) noexcept { graceful_.fetch_add(on ? 1 : -1); }
  bool stop_wished() const noexcept { return wished_.load(std::memory_order_relaxed); }
  // The same, and forgets it: the next request is the first one again.
  bool take_wish() noexcept { return wished_.exchange(false); }

 private:
  static void hook(lua_State* L, lua_Debug*);
  static void* allocate(void* self, void* block, size_t old_size, size_t new_size);
  void on_hook(lua_State* L);
  void arm() noexcept;
  std::function<void()> next_posted();

  pthread_t owner_;
  std::array<std::atomic<lua_State*>, kMostCoroutines + 1> running_{};
  std::atomic<int> depth_{0};
  std::atomic<int> scopes_{0};
  std::atomic<int> requested_{0};
  std::atomic<int> walking_{0};
  std::atomic<int> graceful_{0};
  std::atomic<bool> wished_{false};
  std::atomic<bool> has_posted_{false};
  std::atomic<bool> cancelled_{false};
  std::mutex bound_mutex_;
  bool bound_ = false;
  std::mutex posted_mutex_;
  std::deque<std::function<void()>> posted_;
  bool closed_ = false;
  void* main_block_ = nullptr;  // the allocation that holds the main lua_State: it is freed last
  unsigned stops_ = 0;
  double cleanup_until_ = 0.0;
  std::optional<int> exit_code_;
};

// Replaces pcall, xpcall, setmetatable, coroutine.resume, wrap and close by ones that an interruption passes, and
// os.exit by one that ends the script alone.
void open_protected(lua_State* L);

}  // namespace trainhost::vm
