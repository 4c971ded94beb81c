// The front door: Host, Value and Function over vm::State and the bindings.
#include "host/trainhost.h"

#include <thread>
#include <utility>

#include "bindings/bindings.h"
#include "host/vm/repl.h"
#include "host/vm/script.h"
#include "host/vm/state.h"

namespace trainhost {
namespace {

// The C++ ABI of LibTorch is not stable across minor versions: a call into another one is a crash.
void check_torch() {
  const std::string loaded = bindings::torch_version(), built = TRAINHOST_TORCH_VERSION;
  const auto minor = [](const std::string& version) { return version.substr(0, version.rfind('.')); };
  if (minor(loaded) == minor(built)) return;
  throw_usage("trainhost was built against LibTorch " + built + ", but LibTorch " + loaded + " was loaded from " +
                  bindings::torch_folder(),
              "build it again against that one, or set LD_LIBRARY_PATH to the folder of LibTorch " + built);
}

vm::Options vm_options(Options options) {
  return {std::move(options.script_name), std::move(options.args), std::move(options.params),
          std::move(options.stdlib_dir),  options.collect_every,   std::move(options.program)};
}

[[noreturn]] void wrong_type(const char* wanted, const Value& value) {
  throw_usage(std::string("expected a value of type ") + wanted + ", got " + std::string(value.type_name()));
}

}  // namespace

// --- Value

std::string_view Value::type_name() const noexcept {
  static constexpr std::string_view kNames[] = {"nil",  "bool", "int",    "double",   "string",
                                                "list", "map",  "tensor", "function", "module"};
  return kNames[value_.index()];
}

bool Value::as_bool() const {
  if (auto* b = std::get_if<bool>(&value_)) return *b;
  wrong_type("bool", *this);
}

int64_t Value::as_int() const {
  if (auto* n = std::get_if<int64_t>(&value_)) return *n;
  if (auto* x = std::get_if<double>(&value_))
    if (*x >= -0x1p63 && *x < 0x1p63 && static_cast<double>(static_cast<int64_t>(*x)) == *x)
      return static_cast<int64_t>(*x);
  wrong_type("int", *this);
}

double Value::as_double() const {
  if (auto* x = std::get_if<double>(&value_)) return *x;
  if (auto* n = std::get_if<int64_t>(&value_)) return static_cast<double>(*n);
  wrong_type("double", *this);
}

const std::string& Value::as_string() const {
  if (auto* text = std::get_if<std::string>(&value_)) return *text;
  wrong_type("string", *this);
}

const Value::List& Value::as_list() const {
  if (auto* list = std::get_if<List>(&value_)) return *list;
  wrong_type("list", *this);
}

const Value::Map& Value::as_map() const {
  if (auto* map = std::get_if<Map>(&value_)) return *map;
  wrong_type("map", *this);
}

const at::Tensor& Value::as_tensor() const {
  if (auto* tensor = std::get_if<Tensor>(&value_)) return **tensor;
  wrong_type("tensor", *this);
}

const Function& Value::as_function() const {
  if (auto* f = std::get_if<Function>(&value_)) return *f;
  wrong_type("function", *this);
}

const Value::Module& Value::as_module() const {
  if (auto* module = std::get_if<Module>(&value_)) return *module;
  wrong_type("module", *this);
}

// --- Host

struct Host::Impl {
  explicit Impl(Options options) : state(std::make_unique<vm::State>(vm_options(std::move(options)))) {
    bindings::open_all(state->lua());
  }

  // Every use of the state goes through here.
  static Impl& of(const std::unique_ptr<Impl>& impl) {
    if (!impl) throw_usage("this Host was moved from: it has no script");
    if (impl->closed) throw_usage("this Host is closed", "a new Host runs other scripts");
    if (impl->thread != std::this_thread::get_id())
      throw_usage("a Host is used by the thread that made it", "post and interrupt are for other threads");
    return *impl;
  }

  // Runs `f`, which leaves its results on the stack, remembers how it ended, and takes the results.
  template <class F>
  std::vector<Value> results_of(F f, Results results) {
    const int count = ended(f);
    if (results == Results::taken) return bindings::take_values(state->lua(), count);
    bindings::drop_values(state->lua(), count);
    return {};
  }

  // Runs `f` and remembers how it ended. A failure is remembered for good: the runs that it left open end with it.
  template <class F>
  auto ended(F f) {
    const bindings::WarningScope warnings(state->lua());
    exit_code.reset();
    try {
      auto result = f();
      exit_code = state->exit_code();
      if (state->interrupts().stop_wished()) note("killed");
      else if (exit_code.value_or(0) != 0) note("failed");
      return result;
    } catch (const Error& e) {
      note(e.kind() == ErrorKind::interrupted ? "killed" : "failed");
      throw;
    }
  }

  void note(const char* how) {
    if (status == "finished") status = how;
  }

  const std::thread::id thread = std::this_thread::get_id();
  std::unique_ptr<vm::State> state;  // until the end: other threads may ask to interrupt a closed one
  bool closing = false, closed = false;
  std::string status = "finished";
  std::optional<int> exit_code;
};

Host::Host(Options options) {
  check_torch();
  impl_ = std::make_unique<Impl>(std::move(options));
}

Host::~Host() { end(); }

Host::Host(Host&&) noexcept = default;

Host& Host::operator=(Host&& other) noexcept {
  if (this == &other) return *this;
  end();
  impl_ = std::move(other.impl_);
  return *this;
}

void Host::end() noexcept {
  try {
    close();
  } catch (const std::exception&) {  // out of memory: the state is freed all the same
  }
  impl_.reset();
}

std::vector<Value> Host::run_file(const std::string& path, Results results) {
  Impl& impl = Impl::of(impl_);
  return impl.results_of([&] { return impl.state->run_file(path); }, results);
}

std::vector<Value> Host::run_string(std::string_view code, const std::string& chunk_name, Results results) {
  Impl& impl = Impl::of(impl_);
  return impl.results_of([&] { return impl.state->run_string(code, chunk_name); }, results);
}

std::vector<Value> Host::call(std::string_view name, std::span<const Value> arguments) {
  Impl& impl = Impl::of(impl_);
  const auto run = [&] {
    return vm::push_function(*impl.state, name) ? bindings::call_pushed(*impl.state, arguments) : 0;
  };
  return impl.results_of(run, Results::taken);
}

std::vector<Value> Host::call(std::string_view name, std::initializer_list<Value> arguments) {
  return call(name, std::span(arguments.begin(), arguments.size()));
}

Value Host::get(std::string_view name) {
  vm::State& state = *Impl::of(impl_).state;
  return vm::push_named(state, name) ? bindings::take_values(state.lua(), 1).front() : Value();
}

void Host::set(std::string_view name, const Value& value) {
  vm::State& state = *Impl::of(impl_).state;
  bindings::push_value(state.lua(), value);
  vm::set_named(state, name);
}

void Host::add_function(std::string_view name, NativeFunction f) { set(name, Value(std::move(f))); }

void Host::add_module(std::string_view name, std::shared_ptr<torch::nn::Module> module, NativeFunction forward) {
  if (!module) throw_usage("add_module: the module '" + std::string(name) + "' is null");
  set(name, Value(module));
  if (forward) bindings::set_forward(impl_->state->lua(), module, std::move(forward));
}

void Host::add_callable(std::string_view name, std::shared_ptr<torch::nn::Module> module, ModuleFunction forward) {
  if (!module) throw_usage("add_module: the module '" + std::string(name) + "' is null");
  set(name, Value(module));
  bindings::set_forward(impl_->state->lua(), module, std::move(forward));
}

int Host::interrupt() noexcept { return impl_ ? impl_->state->interrupt() : 0; }

bool Host::post(std::function<void()> f) { return impl_ && impl_->state->interrupts().post(std::move(f)); }
size_t Host::run_posted() { return Impl::of(impl_).state->interrupts().run_posted(); }
std::optional<int> Host::exit_code() const noexcept { return impl_ ? impl_->exit_code : std::nullopt; }

std::vector<Host::UnreadParam> Host::unread_params() const {
  std::vector<UnreadParam> unread;
  for (auto& param : vm::unread_params(*Impl::of(impl_).state))
    unread.push_back({std::move(param.name), std::move(param.nearest)});
  return unread;
}

std::vector<std::string> Host::close() {
  if (!impl_ || std::exchange(impl_->closing, true)) return {};
  if (impl_->state->interrupts().running()) {
    impl_->closing = false;
    throw_usage("close: the Host's script is running");
  }
  std::vector<std::string> failures = vm::run_at_exit(*impl_->state, impl_->status);
  impl_->closed = true;
  impl_->state->close();
  return failures;
}

int Host::repl() {
  Impl& impl = Impl::of(impl_);
  return impl.ended([&] { return vm::run_repl(*impl.state); });
}

Versions versions() {
  return {TRAINHOST_VERSION, bindings::lua_version(), bindings::torch_version(), TRAINHOST_TORCH_VERSION,
          bindings::torch_has_cuda()};
}

}  // namespace trainhost
