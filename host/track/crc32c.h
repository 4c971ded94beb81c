// CRC-32C (Castagnoli), and the masked form that stands in TensorFlow's record files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trainhost::track {

// By the processor's own instruction where it has one (x86-64 with SSE 4.2, ARMv8 with CRC32), else by table.
uint32_t crc32c(const void* bytes, size_t count) noexcept;
// Always by table.
uint32_t crc32c_by_table(const void* bytes, size_t count) noexcept;
// Does this processor have the instruction?
bool has_crc32c_instruction() noexcept;

// Of bytes that hold checksums themselves: rotated and shifted.
inline uint32_t mask_crc(uint32_t crc) noexcept { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

}  // namespace trainhost::track
