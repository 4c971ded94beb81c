// Worker threads: signals, OpenMP's thread count, gradients.
#include "host/data/worker.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>
#include <pthread.h>
#include <csignal>

#include <utility>

namespace trainhost::data {
namespace {

// at::set_num_threads would also store the number for every thread that asks later, the training thread among them.
// OpenMP's own call changes this thread alone. It is looked up, not linked: the copy that counts is the one that
// LibTorch loaded, which may be its own.
void use_one_thread() {
  at::get_num_threads();  // LibTorch initialises a thread at its first use: let it do so before, not after
  using SetThreads = void (*)(int);
  static const auto omp = reinterpret_cast<SetThreads>(::dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  if (omp) omp(1);
}

}  // namespace

std::thread start_worker(std::function<void()> work) {
  // A thread inherits the mask of its maker: set it around the start, so that no signal slips in between.
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) sigdelset(&blocked, crash);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  try {
    std::thread thread([work = std::move(work)] {
      pthread_setname_np(pthread_self(), "trainhost-data");
      use_one_thread();
      c10::GradMode::set_enabled(false);
      work();
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
  } catch (...) {  // no Lua here: only std::thread's own error comes by
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
}

}  // namespace trainhost::data
