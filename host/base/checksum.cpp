// XXH3-128 by the library of its author, taken in as a header: nothing is linked.
//
// Note [Checksums are free]
// 9.7 GB/s on one core, where copying takes 7.3 and an SSD writes 1 to 3: no faster check finds every flipped bit.
#include "host/base/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <new>

namespace trainhost {
namespace {

void release(void* state) { XXH3_freeState(static_cast<XXH3_state_t*>(state)); }

std::string text_of(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  std::string text;
  for (const unsigned char byte : bytes.digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace

Checksum::Checksum() : state_(XXH3_createState(), release) {
  if (!state_) throw std::bad_alloc();
  XXH3_128bits_reset(static_cast<XXH3_state_t*>(state_.get()));
}

void Checksum::update(const void* bytes, size_t count) {
  if (count > 0) XXH3_128bits_update(static_cast<XXH3_state_t*>(state_.get()), bytes, count);
}

std::string Checksum::text() const { return text_of(XXH3_128bits_digest(static_cast<XXH3_state_t*>(state_.get()))); }

std::string checksum_of(const void* bytes, size_t count) { return text_of(XXH3_128bits(bytes, count)); }

}  // namespace trainhost
