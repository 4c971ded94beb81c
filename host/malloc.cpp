// What the program does otherwise than mimalloc where there is no memory, and how long it keeps what is free. The
// definitions here stand before those of every shared library.
//
// mimalloc built as C (as distributions do) cannot throw std::bad_alloc: its operator new calls abort() when there is
// no memory, and asks a private get_new_handler, so that no handler helps either. operator delete stays mimalloc's,
// which frees what its malloc gave.
//
// mimalloc maps without reserving, so that the kernel grants any size, and the process is killed when it writes to it.
// posix_memalign, LibTorch's way to memory, therefore refuses what the kernel would refuse glibc: more than all memory
// and swap.
//
// mimalloc gives free pages back to the kernel after 10 to 25 ms, and a training step takes longer than that: each step
// would fault all its memory in anew. A MobileNetV2 (16 images of 28 x 28) made 690,000 page faults in ten steps, and
// 99,000 where pages stay for some seconds; its step took 380 ms and 217 ms.
#include <sys/sysinfo.h>

#include <cerrno>
#include <cstdlib>
#include <new>

extern "C" int mi_posix_memalign(void** memory, std::size_t alignment, std::size_t size);
extern "C" void mi_option_set_default(int option, long value);  // what the environment says stands over it

namespace {

[[gnu::constructor]] void keep_free_pages_for_a_while() {
  constexpr int kDelay = 15;  // mi_option_decommit_delay of mimalloc 2.0, mi_option_purge_delay of 2.1 and later
  constexpr long kMilliseconds = 5000;
  mi_option_set_default(kDelay, kMilliseconds);
}

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
