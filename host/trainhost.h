// trainhost for C++ programs: a Lua host with LibTorch inside. Neither Lua nor Torch is included here.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "host/base/error.h"

namespace at {
class Tensor;
}
namespace torch::nn {
class Module;
}

namespace trainhost {

class Value;
class Host;
// A C++ function that Lua can call. What it throws is an error in the script.
using NativeFunction = std::function<std::vector<Value>(std::span<const Value>)>;
// A forward of every module of a class.
using ModuleFunction = std::function<std::vector<Value>(torch::nn::Module&, std::span<const Value>)>;

// A function that can be called from both sides: one of Lua's (it keeps its Host's state from freeing it, not the
// Host alive: a call after the Host is gone is a usage Error) or one of C++. Call it on the Host's thread.
class TRAINHOST_API Function {
 public:
  class Target;
  explicit Function(NativeFunction f);
  explicit Function(std::shared_ptr<Target> target) noexcept : target_(std::move(target)) {}
  std::vector<Value> operator()(std::span<const Value> arguments) const;
  std::vector<Value> operator()(std::initializer_list<Value> arguments) const;
  const std::shared_ptr<Target>& target() const noexcept { return target_; }

 private:
  std::shared_ptr<Target> target_;
};

// What crosses between C++ and Lua. Lists are 1..n in Lua; maps have string keys. Tensors share their storage.
class TRAINHOST_API Value {
 public:
  using List = std::vector<Value>;
  using Map = std::map<std::string, Value>;
  using Module = std::shared_ptr<torch::nn::Module>;

  Value() noexcept = default;
  Value(std::nullptr_t) noexcept {}
  template <class T>
  requires std::same_as<T, bool> Value(T b)
  noexcept : value_(b) {}
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>) Value(T n)
  noexcept : value_(static_cast<int64_t>(n)) {}
  template <std::floating_point T>
  Value(T x) noexcept : value_(static_cast<double>(x)) {}
  Value(const char* text) : value_(std::string(text)) {}
  Value(std::string_view text) : value_(std::string(text)) {}
  Value(std::string text) noexcept : value_(std::move(text)) {}
  Value(List list) noexcept : value_(std::move(list)) {}
  Value(Map map) noexcept : value_(std::move(map)) {}
  Value(Function f) noexcept : value_(std::move(f)) {}
  Value(NativeFunction f) : value_(Function(std::move(f))) {}
  Value(Module module) noexcept : value_(std::move(module)) {}
  Value(const at::Tensor& tensor);

  bool is_nil() const noexcept { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const noexcept { return std::holds_alternative<bool>(value_); }
  bool is_int() const noexcept { return std::holds_alternative<int64_t>(value_); }
  bool is_double() const noexcept { return std::holds_alternative<double>(value_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }
  bool is_list() const noexcept { return std::holds_alternative<List>(value_); }
  bool is_map() const noexcept { return std::holds_alternative<Map>(value_); }
  bool is_tensor() const noexcept { return std::holds_alternative<Tensor>(value_); }
  bool is_function() const noexcept { return std::holds_alternative<Function>(value_); }
  bool is_module() const noexcept { return std::holds_alternative<Module>(value_); }
  // "nil", "bool", "int", "double", "string", "list", "map", "tensor", "function" or "module".
  std::string_view type_name() const noexcept;

  // Each throws a usage Error that names the type there is. as_int takes a double of whole value, as_double an int.
  bool as_bool() const;
  int64_t as_int() const;
  double as_double() const;
  const std::string& as_string() const;
  const List& as_list() const;
  const Map& as_map() const;
  const at::Tensor& as_tensor() const;
  const Function& as_function() const;
  const Module& as_module() const;

 private:
  using Tensor = std::shared_ptr<const at::Tensor>;
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Map, Tensor, Function, Module> value_;
};

namespace detail {

constexpr size_t kMostInputs = 6;

template <class M, size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return requires(M & module, const at::Tensor& x) { module.forward(((void)I, x)...); };
}
template <class M, size_t... N>
constexpr bool takes_some(std::index_sequence<N...>) {
  return (takes<M>(std::make_index_sequence<N + 1>()) || ...);
}

// What a forward gives: a tensor, or those of a tuple or a vector, one after the other.
template <class T>
void add_results(std::vector<Value>& out, const T& result) {
  if constexpr (std::is_convertible_v<const T&, const at::Tensor&>) out.emplace_back(result);
  else if constexpr (requires { std::tuple_size<T>::value; })
    std::apply([&](const auto&... each) { (add_results(out, each), ...); }, result);
  else
    for (const auto& each : result) add_results(out, each);
}

template <class M, size_t... I>
bool call_with(M& module, std::span<const Value> in, std::vector<Value>& out, std::index_sequence<I...>) {
  if constexpr (takes<M>(std::index_sequence<I...>())) {
    if (in.size() == sizeof...(I)) return add_results(out, module.forward(in[I].as_tensor()...)), true;
  }
  return false;
}

template <class M, size_t... N>
std::vector<Value> call_forward(M& module, std::span<const Value> in, std::index_sequence<N...>) {
  std::vector<Value> out;
  if (!(call_with(module, in, out, std::make_index_sequence<N + 1>()) || ...))
    throw Error(ErrorKind::usage,
                "the forward of " + module.name() + " does not take " + std::to_string(in.size()) + " tensors");
  return out;
}

}  // namespace detail

// A class of modules, known to the compiler, with a forward that takes tensors.
template <class M>
concept CallableModule =
    !std::is_same_v<M, torch::nn::Module> && detail::takes_some<M>(std::make_index_sequence<detail::kMostInputs>());

// What a run gives back of what the script returns.
enum class Results { taken, dropped };

struct Options {
  std::string script_name;                    // arg[0] in Lua
  std::vector<std::string> args;              // arg[1..] and host.args in Lua
  std::map<std::string, std::string> params;  // read by host.param
  std::string stdlib_dir;                     // empty: the standard library inside the library
  int collect_every = 0;                      // > 0: collects after every so many tensors' bytes (for tests)
  std::string program;                        // the trainhost program, which then tries custom libraries; empty: none
};

// One Lua state with the standard library. It belongs to the thread that made it: only interrupt() and post() may be
// called from another. It never prints, exits, or touches signals, locale, working folder, umask or threads.
class TRAINHOST_API Host {
 public:
  explicit Host(Options options = {});
  ~Host();  // close(), with failures ignored
  Host(Host&&) noexcept;
  Host& operator=(Host&&) noexcept;  // closes the one that was here

  // Run a script to its end and return what it returns. A script's error is thrown, with its traceback. A result that
  // does not cross to C++ is a usage Error too, but the script has ended well: see `close`.
  std::vector<Value> run_file(const std::string& path, Results results = Results::taken);
  std::vector<Value> run_string(std::string_view code, const std::string& chunk_name = "=(string)",
                                Results results = Results::taken);
  // Calls a global function, or one in tables: "policy.decide".
  std::vector<Value> call(std::string_view name, std::span<const Value> arguments);
  std::vector<Value> call(std::string_view name, std::initializer_list<Value> arguments = {});

  // A global or a field in tables: "config.lr". get gives nil where there is none; set makes the tables between.
  Value get(std::string_view name);
  void set(std::string_view name, const Value& value);
  void add_function(std::string_view name, NativeFunction f);
  // A script reads, converts, trains and saves the module; with `forward`, which takes and gives tensors, it calls it
  // as well: model(x), also inside an nn.Sequential.
  void add_module(std::string_view name, std::shared_ptr<torch::nn::Module> module, NativeFunction forward = nullptr);
  // A module whose class has a `forward` of up to six tensors, which gives a tensor, or a tuple or vector of them, is
  // called by that, and so are its copies.
  template <class M>
  requires CallableModule<M>
  void add_module(std::string_view name, std::shared_ptr<M> module) {
    add_callable(name, std::move(module), [](torch::nn::Module& m, std::span<const Value> inputs) {
      return detail::call_forward(dynamic_cast<M&>(m), inputs, std::make_index_sequence<detail::kMostInputs>());
    });
  }

  // From any thread, interrupt() from signal handlers too. The running script stops with an Error of kind
  // interrupted, as soon as its current operator returns, and its cleanups have a second; a second request does not
  // wait for them. Returns how many requests the running script has had; 0, and nothing happens, if none runs.
  int interrupt() noexcept;
  // From any thread: f runs on the Host's thread at the next safe point, between two instructions of the script, or
  // before the next call, or in run_posted(). What it throws is an error there; what was posted behind it runs at the
  // next safe point. False: the Host is closed, and f never runs.
  bool post(std::function<void()> f);
  size_t run_posted();

  // What the script gave to os.exit or host.exit, if that is how the last run ended (it then returns nothing).
  std::optional<int> exit_code() const noexcept;
  // The params that no script has read, with the nearest names that were.
  struct UnreadParam {
    std::string name;
    std::vector<std::string> nearest;
  };
  std::vector<UnreadParam> unread_params() const;

  // Runs what the script left for its end (host.at_exit) with "finished", "failed" or "killed" as the last run ended,
  // and frees the state. Returns what failed, one line each. What is asked of the Host later is a usage Error,
  // and so is a close by what its running script calls.
  std::vector<std::string> close();
  // An interactive console on the terminal, or on what is piped in; returns the exit code.
  int repl();

 private:
  struct Impl;
  void add_callable(std::string_view name, std::shared_ptr<torch::nn::Module> module, ModuleFunction forward);
  void end() noexcept;
  std::unique_ptr<Impl> impl_;
};

// The versions of trainhost, Lua, LibTorch as loaded and LibTorch as built against, and whether there is CUDA.
struct Versions {
  std::string trainhost, lua, torch, torch_built_against;
  bool cuda = false;
};
TRAINHOST_API Versions versions();

}  // namespace trainhost
