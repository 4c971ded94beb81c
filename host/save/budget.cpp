// The bound and its message.
#include "host/save/budget.h"

#include "host/base/error.h"

namespace trainhost::save {
namespace {

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
// Of the 64 MB, what allocators keep back and the collector has not seen yet.
constexpr uint64_t kReserve = 16 * kMebibyte;

}  // namespace

Budget::Budget(const file::ReadFile& file, std::optional<uint64_t> limit)
    : file_(&file), limit_(limit.value_or(2 * file.size() + 64 * kMebibyte)) {
  left_ = limit ? limit_ : limit_ - kReserve;
}

void Budget::refuse(uint64_t bytes) const {
  throw_io(file_->what() + " " + file_->path() + ": reading it would take more than " +
               std::to_string(limit_ / kMebibyte) + " MB of memory, the file holds " + std::to_string(file_->size()) +
               " bytes",
           "a damaged or hostile file looks so; for one that you trust give torch.load {memory_limit = BYTES}");
}

}  // namespace trainhost::save
