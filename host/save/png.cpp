// One IHDR, one IDAT and IEND: rows as they are, packed by zlib.
#include "host/save/png.h"

#include <zlib.h>

#include <string_view>

#include "host/base/error.h"

namespace trainhost::save {
namespace {

void put(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
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

}  // namespace

std::string to_png(const at::Tensor& image) {
  if (image.scalar_type() != at::kByte)
    throw Error(ErrorKind::dtype,
                std::string("png: expected a picture of uint8, got ") + c10::toString(image.scalar_type()));
  if (image.dim() != 3 || image.size(2) != 3 || image.numel() == 0)
    throw Error(ErrorKind::shape,
                "png: expected a picture of shape [height, width, 3], got " + c10::str(image.sizes()));
  const int64_t height = image.size(0), width = image.size(1), row = width * 3;
  if (height >= 1 << 20 || width >= 1 << 20 || height * (row + 1) >= int64_t{1} << 31)
    throw Error(ErrorKind::shape, "png: a picture of " + c10::str(image.sizes()) + " is too large");
  const at::Tensor pixels = image.detach().cpu().contiguous();
  const auto* bytes = reinterpret_cast<const char*>(pixels.const_data_ptr<uint8_t>());
  std::string rows;
  rows.reserve(static_cast<size_t>(height * (row + 1)));
  for (int64_t y = 0; y < height; ++y) {
    rows.push_back('\0');  // no filter
    rows.append(bytes + y * row, static_cast<size_t>(row));
  }
  std::string header;
  put(header, static_cast<uint32_t>(width));
  put(header, static_cast<uint32_t>(height));
  header.append("\x08\x02\0\0\0", 5);  // 8 bits of red, green and blue
  std::string out("\x89PNG\r\n\x1a\n", 8);
  put_chunk(out, "IHDR", header);
  put_chunk(out, "IDAT", pack(rows));
  put_chunk(out, "IEND", "");
  return out;
}

}  // namespace trainhost::save
