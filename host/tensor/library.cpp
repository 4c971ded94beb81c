// dlopen with the checks that turn the linker's words into the reason.
#include "host/tensor/library.h"

#include <ATen/Context.h>
#include <c10/util/Exception.h>
#include <cxxabi.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <regex>

#include "host/base/error.h"
#include "host/tensor/catalog.h"
#include "host/tensor/cuda.h"
#include "host/tensor/elf.h"

namespace trainhost::tensor {
namespace {

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

// Note [A library is tried in a child]
// What LibTorch throws while a library registers itself (a namespace that is taken, a schema that is none) leaves
// dlopen with the loader's lock held for ever: every later dlopen of another thread, a name lookup for one, would hang.
// So a child does it first. This is a fork without exec, because it must have the operators that are registered here;
// it opens the library, runs no operator (OpenMP's pool is not in the child) and ends. If it dies or takes too long, or
// only misses CUDA, which no forked child may use, nothing is known and the library is opened.
std::string failure_in_child(const std::string& path) {
  constexpr int kSeconds = 10;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    std::string text;
    try {
      open_library(path);
    } catch (const c10::Error& e) {
      text = e.what_without_backtrace();
    } catch (const std::exception& e) {
      text = e.what();
    }
    if (write(ends[1], text.data(), text.size()) < 0) _exit(2);
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  if (child > 0) {
    char buffer[512];
    for (pollfd wait{ends[0], POLLIN, 0};;) {
      const int ready = poll(&wait, 1, kSeconds * 1000);
      if (ready < 0 && errno == EINTR) continue;
      const ssize_t count = ready > 0 ? read(ends[0], buffer, sizeof buffer) : -1;
      if (count < 0) text.clear();
      if (count <= 0) break;
      text.append(buffer, static_cast<size_t>(count));
    }
    kill(child, SIGKILL);
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  close(ends[0]);
  return has(text, "CUDA") ? std::string() : text;
}

}  // namespace

std::string load_library(const std::string& path) {
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
  if (!dlopen(full.c_str(), RTLD_NOW | RTLD_NOLOAD))
    if (const std::string why = failure_in_child(full); !why.empty()) fail(full, why);
  if (!open_library(full)) {
    const char* why = dlerror();
    explain(full, why ? why : "it cannot be opened");
  }
  refresh_catalog();
  return full;
}

}  // namespace trainhost::tensor
