// operator new of the program over mimalloc's malloc: it throws where mimalloc's own ends the process.
//
// mimalloc built as C (as distributions do) cannot throw std::bad_alloc: its operator new calls abort() when there is
// no memory, and asks a private get_new_handler, so that no handler helps either. The definitions here stand before
// those of every shared library; operator delete stays mimalloc's, which frees what its malloc gave.
#include <cstdlib>
#include <new>

namespace {

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
  if (posix_memalign(&memory, bytes < sizeof(void*) ? sizeof(void*) : bytes, size ? size : 1) != 0)
    throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
