// IHDR, one IDAT a picture, IEND: rows as they are, packed by zlib. APNG adds acTL, and fcTL and fdAT for each frame.
#include "host/save/png.h"

#include <zlib.h>

#include <algorithm>
#include <string_view>

#include "host/base/error.h"

namespace trainhost::save {
namespace {

void put(std::string& out, uint32_t value, int size = 4) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

void put_chunk(std::string& out, std::string_view type, std::string_view data) {
  put(out, static_cast<uint32_t>(data.size()));
  const size_t from = out.size();
  out.append(type).append(data);
  put(out, static_cast<uint32_t>(
               ::crc32(0, reinterpret_cast<const Bytef*>(out.data() + from), static_cast<uInt>(out.size() - from))));
}

std::string pack(const std::string& rows) {
  uLongf size = ::compressBound(rows.size());
  std::string packed(size, '\0');
  if (::compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
                  rows.size(), Z_DEFAULT_COMPRESSION) != Z_OK)
    throw Error(ErrorKind::internal, "png: zlib cannot pack the picture");
  packed.resize(size);
  return packed;
}

// uint8 [time, height, width, channels] on the CPU.
struct Frames {
  Frames(const at::Tensor& given, int64_t dims, const char* expected) {
    if (given.scalar_type() != at::kByte)
      throw Error(ErrorKind::dtype,
                  std::string("png: expected a picture of uint8, got ") + c10::toString(given.scalar_type()));
    const int64_t last = given.dim() == dims ? given.size(-1) : 0;
    if (last < 1 || last > 4 || given.numel() == 0)
      throw Error(ErrorKind::shape, std::string("png: expected a picture of shape ") + expected +
                                        " with 1 to 4 channels, got " + c10::str(given.sizes()));
    pixels = given.detach().cpu().contiguous();
    if (dims == 3) pixels = pixels.unsqueeze(0);
    height = pixels.size(1), width = pixels.size(2), channels = pixels.size(3);
    if (height >= 1 << 20 || width >= 1 << 20 || height * (width * channels + 1) >= int64_t{1} << 31)
      throw Error(ErrorKind::shape, "png: a picture of " + c10::str(given.sizes()) + " is too large");
  }

  std::string packed(int64_t frame) const {
    const int64_t row = width * channels;
    const auto* bytes = reinterpret_cast<const char*>(pixels.const_data_ptr<uint8_t>()) + frame * height * row;
    std::string rows;
    rows.reserve(static_cast<size_t>(height * (row + 1)));
    for (int64_t y = 0; y < height; ++y) {
      rows.push_back('\0');  // no filter
      rows.append(bytes + y * row, static_cast<size_t>(row));
    }
    return pack(rows);
  }

  std::string begin() const {
    std::string header, out("\x89PNG\r\n\x1a\n", 8);
    put(header, static_cast<uint32_t>(width));
    put(header, static_cast<uint32_t>(height));
    put(header, 8, 1);                      // bits
    constexpr int kTypes[] = {0, 4, 2, 6};  // grey, grey and opacity, colours, colours and opacity
    put(header, kTypes[channels - 1], 1);
    put(header, 0, 3);
    put_chunk(out, "IHDR", header);
    return out;
  }

  at::Tensor pixels;
  int64_t height = 0, width = 0, channels = 0;
};

}  // namespace

std::string to_png(const at::Tensor& image) {
  const Frames frames(image, 3, "[height, width, channels]");
  std::string out = frames.begin();
  put_chunk(out, "IDAT", frames.packed(0));
  put_chunk(out, "IEND", "");
  return out;
}

std::string to_animated_png(const at::Tensor& images, double frames_per_second) {
  const Frames frames(images, 4, "[time, height, width, channels]");
  if (!(frames_per_second > 0))
    throw_usage("png: expected more than 0 frames per second, got " + std::to_string(frames_per_second));
  std::string out = frames.begin(), animation;
  put(animation, static_cast<uint32_t>(frames.pixels.size(0)));
  put(animation, 0);  // plays for ever
  put_chunk(out, "acTL", animation);
  const auto delay = static_cast<uint32_t>(std::clamp(1000.0 / frames_per_second, 1.0, 65535.0));  // ms
  uint32_t sequence = 0;
  for (int64_t i = 0; i < frames.pixels.size(0); ++i) {
    std::string control;
    put(control, sequence++);
    put(control, static_cast<uint32_t>(frames.width));
    put(control, static_cast<uint32_t>(frames.height));
    put(control, 0);
    put(control, 0);
    put(control, delay, 2);
    put(control, 1000, 2);
    put(control, 0, 2);  // each frame replaces the one before
    put_chunk(out, "fcTL", control);
    std::string data;
    if (i > 0) put(data, sequence++);
    put_chunk(out, i == 0 ? "IDAT" : "fdAT", data + frames.packed(i));
  }
  put_chunk(out, "IEND", "");
  return out;
}

}  // namespace trainhost::save
