// Worker threads: OpenMP's thread count, gradients.
#include "host/data/worker.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <dlfcn.h>

#include <utility>

#include "host/base/thread.h"

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
  return start_thread("trainhost-data", [work = std::move(work)] {
    use_one_thread();
    c10::GradMode::set_enabled(false);
    work();
  });
}

}  // namespace trainhost::data
