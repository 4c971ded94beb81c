// The IDX reader: header checks first, one allocation, then the bytes straight into the tensor.
#include "host/data/idx.h"

#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "host/base/error.h"

namespace trainhost::data {
namespace {

// A gzip stream may hold at most this many times its own size, beyond kFreeBytes: real image sets stay below 30.
constexpr uint64_t kMostExpansion = 100;
constexpr uint64_t kFreeBytes = uint64_t{64} << 20;
constexpr int kMostDims = 16;

struct ElementType {
  unsigned char code;
  at::ScalarType type;
  size_t bytes;
};
constexpr std::array<ElementType, 6> kTypes = {{{0x08, at::kByte, 1},
                                                {0x09, at::kChar, 1},
                                                {0x0B, at::kShort, 2},
                                                {0x0C, at::kInt, 4},
                                                {0x0D, at::kFloat, 4},
                                                {0x0E, at::kDouble, 8}}};

[[noreturn]] void fail(const std::string& path, const std::string& what) { throw_io("IDX file " + path + ": " + what); }

// gzip or plain bytes through one call: zlib's gzread passes a plain file on as it is.
class Input {
 public:
  explicit Input(const std::string& path) : path_(path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) fail(path, std::string("cannot be opened: ") + std::strerror(errno));
    struct stat info;
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(fd);
      fail(path, "is not a regular file");
    }
    size_ = static_cast<uint64_t>(info.st_size);
    file_.reset(::gzdopen(fd, "rb"));
    if (!file_) {
      ::close(fd);
      fail(path, "cannot be opened: out of memory");
    }
    ::gzbuffer(file_.get(), 1 << 17);
  }

  // Reads up to `count` bytes; fewer only at the end of the data.
  size_t read(void* to, size_t count) {
    size_t done = 0;
    while (done < count) {
      const auto part = static_cast<unsigned>(std::min<size_t>(count - done, 1u << 30));
      const int got = ::gzread(file_.get(), static_cast<char*>(to) + done, part);
      if (got < 0) damaged();
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    // A stream that ends before its trailer reads as an end of file with an error pending.
    if (done < count) {
      int code = Z_OK;
      ::gzerror(file_.get(), &code);
      if (code != Z_OK) damaged();
    }
    return done;
  }

  bool compressed() { return ::gzdirect(file_.get()) == 0; }
  uint64_t size() const noexcept { return size_; }

 private:
  struct Close {
    void operator()(gzFile file) const noexcept { ::gzclose_r(file); }
  };

  [[noreturn]] void damaged() {
    int code = Z_OK;
    const char* text = ::gzerror(file_.get(), &code);
    if (code == Z_ERRNO) fail(path_, std::string("cannot be read: ") + std::strerror(errno));
    fail(path_, code == Z_BUF_ERROR ? std::string("the gzip stream is cut short")
                                    : "the gzip stream is damaged: " + std::string(text ? text : "unknown"));
  }

  const std::string path_;
  uint64_t size_ = 0;
  std::unique_ptr<gzFile_s, Close> file_;
};

void to_native_order(char* bytes, size_t count, size_t width) {
  if constexpr (std::endian::native == std::endian::big) return;
  for (char* end = bytes + count * width; width > 1 && bytes < end; bytes += width) std::reverse(bytes, bytes + width);
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace

at::Tensor read_idx(const std::string& path) {
  Input input(path);
  std::array<unsigned char, 4> magic{};
  if (input.read(magic.data(), 4) < 4) fail(path, "expected a header of 4 bytes, got an empty or shorter file");
  if (magic[0] != 0 || magic[1] != 0)
    fail(path, "wrong magic number: expected two zero bytes first, got " + std::to_string(magic[0]) + " and " +
                   std::to_string(magic[1]));
  const auto type = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& t) { return t.code == magic[2]; });
  if (type == kTypes.end())
    fail(path, "unknown element type " + std::to_string(magic[2]) + ", expected 8, 9, 11, 12, 13 or 14");
  if (magic[3] > kMostDims)
    fail(path, std::to_string(magic[3]) + " dimensions, expected at most " + std::to_string(kMostDims));

  std::vector<int64_t> shape(magic[3]);
  std::vector<unsigned char> sizes(shape.size() * 4);
  if (input.read(sizes.data(), sizes.size()) < sizes.size()) fail(path, "the header is cut short in its sizes");
  unsigned __int128 elements = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const unsigned char* s = &sizes[i * 4];
    shape[i] = (int64_t{s[0]} << 24) | (int64_t{s[1]} << 16) | (int64_t{s[2]} << 8) | int64_t{s[3]};
    elements *= static_cast<uint64_t>(shape[i]);
    if (elements > (uint64_t{1} << 60)) fail(path, "the shape " + shape_text(shape) + " is too large");
  }
  const uint64_t wanted = static_cast<uint64_t>(elements) * type->bytes;
  const uint64_t header = 4 + sizes.size();
  const std::string promise = "the header promises " + std::to_string(wanted) + " bytes of data (shape " +
                              shape_text(shape) + ", " + std::to_string(type->bytes) + " bytes each)";
  if (!input.compressed() && input.size() != header + wanted)
    fail(path, promise + ", the file holds " + std::to_string(input.size() - std::min(input.size(), header)));
  if (input.compressed() && wanted > std::max(kFreeBytes, input.size() * kMostExpansion))
    fail(path, promise + ", more than " + std::to_string(kMostExpansion) + " times the " +
                   std::to_string(input.size()) + " bytes of the compressed file");

  at::Tensor result = at::empty(shape, at::TensorOptions().dtype(type->type));
  char* bytes = static_cast<char*>(result.mutable_data_ptr());
  const size_t got = input.read(bytes, wanted);
  if (got < wanted) fail(path, promise + ", the file holds " + std::to_string(got));
  // Reading on past the data also makes zlib check the trailer: CRC and length.
  char more;
  if (input.read(&more, 1) != 0) fail(path, promise + ", the file holds more");
  to_native_order(bytes, static_cast<size_t>(elements), type->bytes);
  return result;
}

}  // namespace trainhost::data
