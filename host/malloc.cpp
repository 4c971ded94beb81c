// What the program does otherwise than mimalloc where there is no memory. The definitions here stand before those of
// every shared library.
//
// mimalloc built as C (as distributions do) cannot throw std::bad_alloc: its operator new calls abort() when there is
// no memory, and asks a private get_new_handler, so that no handler helps either. operator delete stays mimalloc's,
// which frees what its malloc gave.
//
// mimalloc maps without reserving, so that the kernel grants any size, and the process is killed when it writes to it.
// posix_memalign, LibTorch's way to memory, therefore refuses what the kernel would refuse glibc: more than all memory
// and swap.
//
// What is freed goes back to the system after a second without use, not after 25 milliseconds: a training step frees
// and takes the same memory each time, and paid hundreds of page faults for it (a small GPT 240 to 950 a step, now 14).
#include <mimalloc.h>
#include <sys/sysinfo.h>

#include <cerrno>
#include <cstdlib>
#include <new>

namespace {

// The user's environment (MIMALLOC_DECOMMIT_DELAY, MIMALLOC_PURGE_DELAY) stands over it.
const bool delayed = [] {
#if MI_MALLOC_VERSION >= 210
  mi_option_set_default(mi_option_purge_delay, 1000);
#elif MI_MALLOC_VERSION >= 204
  mi_option_set_default(mi_option_decommit_delay, 1000);
#endif
  return true;
}();

bool exceeds_machine(std::size_t size) {
  constexpr std::size_t kLarge = std::size_t{1} << 30;
  struct sysinfo info {};
  return size > kLarge && sysinfo(&info) == 0 && size / info.mem_unit > info.totalram + info.totalswap;
}

void* allocate(std::size_t size) {
  for (;;) {
    if (void* memory = std::malloc(size ? size : 1)) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (!handler) throw std::bad_alloc();
    handler();
  }
}

void* allocate(std::size_t size, std::align_val_t alignment) {
  void* memory = nullptr;
  const auto bytes = static_cast<std::size_t>(alignment);
  if (mi_posix_memalign(&memory, bytes < sizeof(void*) ? sizeof(void*) : bytes, size ? size : 1) != 0)
    throw std::bad_alloc();
  return memory;
}

}  // namespace

extern "C" [[gnu::visibility("default")]] int posix_memalign(void** memory, std::size_t alignment,
                                                             std::size_t size) noexcept {
  return exceeds_machine(size) ? ENOMEM : mi_posix_memalign(memory, alignment, size);
}

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
