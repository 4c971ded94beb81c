// Messages in the encoding of Protocol Buffers, field by field. LibTorch carries a libprotobuf of its own, so no other
// can be linked: the few messages that we write are written here.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace trainhost::track {

static_assert(std::endian::native == std::endian::little);

class Message {
 public:
  // int32, int64, uint32, bool, enum. A zero is written too: of a oneof it says which.
  Message& integer(int field, int64_t value) {
    key(field, 0);
    varint(static_cast<uint64_t>(value));
    return *this;
  }
  Message& real(int field, double value) {
    key(field, 1);
    return raw(&value, sizeof value);
  }
  Message& single(int field, float value) {
    key(field, 5);
    return raw(&value, sizeof value);
  }
  // string, bytes, and messages within messages.
  Message& bytes(int field, std::string_view value) {
    begin(field, value.size());
    bytes_.append(value);
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }

  // Repeated and packed.
  Message& reals(int field, std::span<const double> values) {
    begin(field, values.size_bytes());
    return raw(values.data(), values.size_bytes());
  }
  Message& singles(int field, std::span<const float> values) {
    begin(field, values.size_bytes());
    return raw(values.data(), values.size_bytes());
  }
  Message& integers(int field, std::span<const int64_t> values) {
    Message packed;
    for (const int64_t value : values) packed.varint(static_cast<uint64_t>(value));
    return message(field, packed);
  }

  // The key and size of bytes that other calls add.
  Message& begin(int field, size_t size) {
    key(field, 2);
    varint(size);
    return *this;
  }
  // How long a number is.
  static constexpr size_t length(uint64_t value) {
    size_t count = 1;
    while (value >>= 7) ++count;
    return count;
  }

  void reserve(size_t size) { bytes_.reserve(size); }
  const std::string& text() const& noexcept { return bytes_; }
  std::string text() && noexcept { return std::move(bytes_); }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }
  void key(int field, unsigned wire_type) { varint(static_cast<uint64_t>(field) << 3 | wire_type); }
  Message& raw(const void* from, size_t size) {
    bytes_.append(static_cast<const char*>(from), size);
    return *this;
  }

  std::string bytes_;
};

}  // namespace trainhost::track
