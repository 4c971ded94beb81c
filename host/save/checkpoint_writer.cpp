// The queue of two and its thread.
#include "host/save/checkpoint_writer.h"

#include <filesystem>
#include <unordered_map>
#include <unordered_set>

#include "host/base/publish.h"
#include "host/base/thread.h"

namespace trainhost::save {
namespace {

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

}  // namespace

CheckpointWriter::~CheckpointWriter() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

uint64_t CheckpointWriter::submit(std::string folder, Checkpoint checkpoint, std::string link) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.size() < 2; });
  std::vector<at::Tensor> spare = std::move(spare_);
  spare_.clear();
  lock.unlock();
  copy_tensors(checkpoint, spare);
  lock.lock();
  const uint64_t ticket = ++last_;
  queue_.push_back({ticket, std::move(folder), std::move(link), std::move(checkpoint)});
  if (!thread_.joinable()) thread_ = start_thread("checkpoint", [this] { run(); });
  lock.unlock();
  changed_.notify_all();
  return ticket;
}

std::optional<std::exception_ptr> CheckpointWriter::poll(uint64_t ticket) {
  std::lock_guard lock(mutex_);
  const auto found = ended_.find(ticket);
  if (found == ended_.end()) return std::nullopt;
  std::exception_ptr error = found->second;
  ended_.erase(found);
  return error;
}

std::exception_ptr CheckpointWriter::wait(uint64_t ticket) {
  std::unique_lock lock(mutex_);
  if (ticket == 0 || ticket > last_) return nullptr;
  changed_.wait(lock, [&] {
    const bool queued = !queue_.empty() && queue_.front().ticket <= ticket;
    return ended_.contains(ticket) || !queued;
  });
  lock.unlock();
  return poll(ticket).value_or(nullptr);
}

void CheckpointWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const Job& job = queue_.front();  // a deque's front stays where it is while others are pushed
    lock.unlock();
    std::exception_ptr error;
    try {
      write_checkpoint(job.folder, job.checkpoint);
      if (!job.link.empty()) {
        const std::filesystem::path path(job.folder);
        file::publish_link(path.filename().string(), (path.parent_path() / job.link).string());
      }
    } catch (const std::exception&) {
      error = std::current_exception();
    }
    lock.lock();
    spare_ = tensors_of(job.checkpoint);
    ended_.emplace(job.ticket, error);
    queue_.pop_front();
    changed_.notify_all();
  }
}

}  // namespace trainhost::save
