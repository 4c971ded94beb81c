// The queue of two and its thread.
#include "host/save/checkpoint_writer.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <unordered_map>
#include <unordered_set>

#include "host/base/publish.h"
#include "host/base/thread.h"

namespace trainhost::save {
namespace {

constexpr size_t kLimit = 2;                    // one that is being written, one that waits
constexpr size_t kKept = 64;                    // endings that nobody has asked for
constexpr std::chrono::milliseconds kLook{20};  // how often one who waits asks whether to go on

// Note [Copies into the memory of the last ones]
// Fresh memory costs a page fault every 4 KB: copying 100 MB takes 100 ms into new pages and 15 ms into those of the
// checkpoint before, which are kept for that.

// Puts copies in the place of the tensors: what no later step of the training changes. A tensor that is there twice is
// copied once. `spare`: tensors of the last ones, in order, that may be written over.
void copy_tensors(Checkpoint& checkpoint, std::vector<at::Tensor>& spare) {
  std::unordered_map<const void*, at::Tensor> copies;
  size_t next = 0;
  for (auto& [group, tensors] : checkpoint.tensors)
    for (NamedTensor& named : tensors) {
      at::Tensor& copy = copies[named.tensor.unsafeGetTensorImpl()];
      // Other layouts are left to write_safetensors, which refuses them.
      if (!copy.defined() && named.tensor.layout() == at::kStrided && !named.tensor.is_meta()) {
        const at::Tensor data = named.tensor.detach().resolve_conj().resolve_neg();
        const size_t i = next++;
        if (i < spare.size() && spare[i].scalar_type() == data.scalar_type() && spare[i].sizes() == data.sizes()) {
          copy = spare[i];
          copy.copy_(data);
        } else {
          copy = data.is_cpu() ? data.clone(at::MemoryFormat::Contiguous) : data.cpu().contiguous();
        }
      }
      if (copy.defined()) named.tensor = copy;
    }
}

std::vector<at::Tensor> tensors_of(const Checkpoint& checkpoint) {
  std::vector<at::Tensor> all;
  std::unordered_set<const void*> seen;
  for (const auto& [group, tensors] : checkpoint.tensors)
    for (const NamedTensor& named : tensors)
      if (named.tensor.is_cpu() && named.tensor.layout() == at::kStrided &&
          seen.insert(named.tensor.unsafeGetTensorImpl()).second)
        all.push_back(named.tensor);
  return all;
}

void write(const CheckpointWriter::Target& target, const Checkpoint& checkpoint) {
  if (target.before) target.before();
  if (target.is_file) {
    write_safetensors(target.path, checkpoint.tensors.front().second, checkpoint.texts);
  } else {
    write_checkpoint(target.path, checkpoint);
  }
  if (target.link.empty()) return;
  const std::filesystem::path path(target.path);
  file::publish_link(path.filename().string(), (path.parent_path() / target.link).string());
}

}  // namespace

CheckpointWriter::~CheckpointWriter() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool CheckpointWriter::is_room() const { return queue_.size() < kLimit || queue_.back().target.replaceable; }

bool CheckpointWriter::has_room() {
  std::lock_guard lock(mutex_);
  return is_room();
}

bool CheckpointWriter::is_under_way(uint64_t ticket) const {
  return std::any_of(queue_.begin(), queue_.end(), [&](const Job& job) { return job.ticket == ticket; });
}

void CheckpointWriter::end(uint64_t ticket, Ending ending) {
  ended_.emplace(ticket, std::move(ending));
  if (ended_.size() > kKept) ended_.erase(ended_.begin());
}

uint64_t CheckpointWriter::submit(Target target, Checkpoint checkpoint, const Stop& stop) {
  if (!thread_.joinable()) thread_ = start_thread("checkpoint", [this] { run(); });
  std::unique_lock lock(mutex_);
  if (!is_room() && target.replaceable) return 0;
  while (!changed_.wait_for(lock, kLook, [&] { return is_room(); }))
    if (stop()) return 0;
  if (queue_.size() == kLimit) {  // its memory is that of the new one
    spare_ = tensors_of(queue_.back().checkpoint);
    end(queue_.back().ticket, {false, nullptr});
    queue_.pop_back();
  }
  std::vector<at::Tensor> spare = std::move(spare_);
  spare_.clear();
  lock.unlock();
  copy_tensors(checkpoint, spare);
  spare.clear();
  lock.lock();
  const uint64_t ticket = ++last_;
  queue_.push_back({ticket, std::move(target), std::move(checkpoint)});
  lock.unlock();
  changed_.notify_all();
  return ticket;
}

std::optional<CheckpointWriter::Ending> CheckpointWriter::poll(uint64_t ticket) {
  std::lock_guard lock(mutex_);
  const auto found = ended_.find(ticket);
  if (found == ended_.end()) {
    if (is_under_way(ticket)) return std::nullopt;
    return Ending{false, nullptr};
  }
  Ending ending = found->second;
  ended_.erase(found);
  return ending;
}

std::optional<CheckpointWriter::Ending> CheckpointWriter::wait(uint64_t ticket, const Stop& stop) {
  {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kLook, [&] { return !is_under_way(ticket); }))
      if (stop()) return std::nullopt;
  }
  return poll(ticket);
}

void CheckpointWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Job& job = queue_.front();  // a deque's front stays where it is while others come and go behind it
    lock.unlock();
    std::exception_ptr error;
    try {
      write(job.target, job.checkpoint);
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    lock.lock();
    spare_ = tensors_of(job.checkpoint);
    end(job.ticket, {!error, error});
    queue_.pop_front();
    changed_.notify_all();
  }
}

}  // namespace trainhost::save
