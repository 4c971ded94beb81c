// Eight bytes at a time, by instruction or by eight tables.
#include "host/track/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static_assert(std::endian::native == std::endian::little);

namespace trainhost::track {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, bits reversed

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t more = 1; more < 8; ++more)
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[more - 1][byte];
      tables[more][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  return tables;
}

constexpr Tables kTables = make_tables();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t by_instruction(const void* bytes, size_t count) noexcept {
  const auto* at = static_cast<const unsigned char*>(bytes);
  uint64_t crc = 0xffffffff;
  for (; count >= 8; at += 8, count -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  auto low = static_cast<uint32_t>(crc);
  for (; count > 0; ++at, --count) low = __builtin_ia32_crc32qi(low, *at);
  return ~low;
}
bool instruction_is_there() noexcept { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__linux__)
__attribute__((target("+crc"))) uint32_t by_instruction(const void* bytes, size_t count) noexcept {
  const auto* at = static_cast<const unsigned char*>(bytes);
  uint32_t crc = 0xffffffff;
  for (; count >= 8; at += 8, count -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    crc = __builtin_aarch64_crc32cx(crc, word);
  }
  for (; count > 0; ++at, --count) crc = __builtin_aarch64_crc32cb(crc, *at);
  return ~crc;
}
bool instruction_is_there() noexcept {
  constexpr unsigned long kCrc32 = 1ul << 7;  // HWCAP_CRC32
  return (getauxval(AT_HWCAP) & kCrc32) != 0;
}
#else
uint32_t by_instruction(const void* bytes, size_t count) noexcept { return crc32c_by_table(bytes, count); }
bool instruction_is_there() noexcept { return false; }
#endif

}  // namespace

bool has_crc32c_instruction() noexcept {
  static const bool there = instruction_is_there();
  return there;
}

uint32_t crc32c_by_table(const void* bytes, size_t count) noexcept {
  const auto* at = static_cast<const unsigned char*>(bytes);
  uint32_t crc = 0xffffffff;
  for (; count >= 8; at += 8, count -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= crc;
    crc = 0;
    for (size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; count > 0; ++at, --count) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 0xff];
  return ~crc;
}

uint32_t crc32c(const void* bytes, size_t count) noexcept {
  return has_crc32c_instruction() ? by_instruction(bytes, count) : crc32c_by_table(bytes, count);
}

}  // namespace trainhost::track
