// dlopen with the checks that turn the linker's words into the reason.
#include "host/tensor/library.h"

#include <ATen/Context.h>
#include <c10/util/Exception.h>
#include <cxxabi.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <regex>
#include <vector>

#include "host/base/error.h"
#include "host/tensor/catalog.h"
#include "host/tensor/cuda.h"
#include "host/tensor/elf.h"

namespace trainhost::tensor {
namespace {

constexpr int kTrialOutput = 3;  // the descriptor on which a child says how it went
constexpr char kTrialWentWell[] = "ok";

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// <dlfcn.h> declares that dlopen throws nothing, but what it opens may.
void* open_library(const std::string& path) {
  static void* (*volatile open)(const char*, int) = dlopen;
  return open(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
}

std::string readable(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 ? name.get() : symbol;
}

[[noreturn]] void fail(const std::string& path, const std::string& why, const std::string& hint = {}) {
  throw_io("torch.ops.load_library: could not load this library: " + path + ": " + why, hint);
}

// "/x/libops.so: undefined symbol: _ZN3c10..."
[[noreturn]] void explain(const std::string& path, std::string why) {
  if (why.rfind(path + ": ", 0) == 0) why.erase(0, path.size() + 2);
  std::smatch found;
  if (std::regex_search(why, found, std::regex("undefined symbol: ([^ ,(]+)"))) {
    const std::string symbol = found[1];
    if (symbol.rfind("Py", 0) == 0 || symbol.rfind("_Py", 0) == 0)
      fail(path, "it is a Python module: it needs " + symbol,
           "build it without Python: torch.utils.cpp_extension.load(..., is_python_module=False)");
    if (has(symbol, "3c10") || has(symbol, "2at") || has(symbol, "5torch") || has(symbol, "torch_"))
      fail(path,
           "it was built against another LibTorch: " TORCH_VERSION ", which is loaded here, has no " + readable(symbol),
           "build it again with the headers of LibTorch " TORCH_VERSION);
    fail(path, "undefined symbol: " + readable(symbol));
  }
  if (has(why, "libtorch_python")) fail(path, why, "a library of operators needs no Python: is_python_module=False");
  fail(path, why);
}

// A library may name the LibTorch that it wants as libtorch.so, which is not linked here: it is then the one beside
// libtorch_cpu, not whatever lies on the library's own path.
void open_what_it_needs(const std::string& names) {
  if (has(names, "libtorch_cuda.so") || has(names, "libc10_cuda.so")) load_cuda();
  if (!has(names, std::string_view("libtorch.so\0", 12))) return;
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&at::globalContext), &info) || !info.dli_fname) return;
  const std::string path = info.dli_fname;
  dlopen((path.substr(0, path.rfind('/') + 1) + "libtorch.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
}

// What was opened here, in order: what a library to try may rest on.
std::mutex opened_mutex;
std::vector<std::string> opened;

// Note [A library is tried in a child]
// What LibTorch throws while a library registers itself (a namespace that is taken, a schema that is none) leaves
// dlopen with the loader's lock held for ever: every later dlopen of another thread, a name lookup for one, would hang;
// and a constructor that crashes would end the script. So another process of the same program does it first, with all
// that was opened here before; it runs no operator and ends. A program that merely embeds trainhost cannot be started
// for this: there the library is opened at once.
std::string failure_in_child(const std::string& path, const std::string& program) {
  constexpr int kSeconds = 60;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::string("cannot make a pipe: ") + std::strerror(errno);
  std::vector<std::string> words = {program, "-q", "-e", "require('torch.library_trial')(table.unpack(arg))", "--"};
  {
    const std::lock_guard lock(opened_mutex);
    words.insert(words.end(), opened.begin(), opened.end());
  }
  words.push_back(path);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], kTrialOutput);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawn(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  bool late = false;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kSeconds);
  while (failed == 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    pollfd wait{ends[0], POLLIN, 0};
    const int ready = poll(&wait, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    char buffer[512];
    const ssize_t count = ready > 0 ? read(ends[0], buffer, sizeof buffer) : -1;
    late = ready == 0;
    if (count <= 0) break;
    text.append(buffer, static_cast<size_t>(count));
  }
  close(ends[0]);
  if (failed != 0) return "it cannot be tried: " + program + ": " + std::strerror(failed);
  if (late) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) return "its constructors did not end within " + std::to_string(kSeconds) + " s";
  if (WIFSIGNALED(status)) return std::string("its constructors end the process: ") + strsignal(WTERMSIG(status));
  if (text == kTrialWentWell) return {};
  return text.empty() ? "its constructors end the process" : text;
}

}  // namespace

void try_libraries(const std::vector<std::string>& paths) {
  std::string text = kTrialWentWell;
  try {
    for (const std::string& path : paths) {
      open_what_it_needs(dynamic_names(path));
      open_library(path);  // that the linker cannot is found, and explained, by who asked
    }
  } catch (const c10::Error& e) {
    text = e.what_without_backtrace();
  } catch (const std::exception& e) {
    text = e.what();
  }
  if (write(kTrialOutput, text.data(), text.size()) < 0) _exit(2);
  _exit(0);  // no destructors: the loader's lock may be held
}

std::string load_library(const std::string& path, const std::string& program) {
  std::error_code code;
  const std::filesystem::path real = std::filesystem::canonical(path, code);
  if (code) fail(path, "no such file");
  if (!std::filesystem::is_regular_file(real, code)) fail(path, "it is no file");
  const std::string full = real.string();
  std::string names;
  try {
    names = dynamic_names(full);
  } catch (const Error& error) {
    throw Error(error.kind(), "torch.ops.load_library: " + error.message());
  }
  if (!has(names, "5torch") && !has(names, "3c10") && !has(names, "N2at") && !has(names, "aoti_torch_") &&
      !has(names, "torch_library"))
    fail(full, "it has nothing of LibTorch in it, so it registers no operators",
         "an operator library registers them with TORCH_LIBRARY(namespace, m)");
  open_what_it_needs(names);
  if (!program.empty() && !dlopen(full.c_str(), RTLD_NOW | RTLD_NOLOAD))
    if (const std::string why = failure_in_child(full, program); !why.empty()) fail(full, why);
  if (!open_library(full)) {
    const char* why = dlerror();
    explain(full, why ? why : "it cannot be opened");
  }
  refresh_catalog();
  const std::lock_guard lock(opened_mutex);
  if (std::find(opened.begin(), opened.end(), full) == opened.end()) opened.push_back(full);
  return full;
}

}  // namespace trainhost::tensor
