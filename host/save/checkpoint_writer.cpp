// The queue of two and its thread.
#include "host/save/checkpoint_writer.h"

#include <filesystem>
#include <unordered_map>

#include "host/base/publish.h"
#include "host/base/thread.h"

namespace trainhost::save {
namespace {

// What no later step of the training changes. A tensor that is there twice is copied once.
void copy_tensors(Checkpoint& checkpoint) {
  std::unordered_map<const void*, at::Tensor> copies;
  for (auto& [group, tensors] : checkpoint.tensors)
    for (NamedTensor& named : tensors) {
      at::Tensor& copy = copies[named.tensor.unsafeGetTensorImpl()];
      // Other layouts are left to write_safetensors, which refuses them.
      if (!copy.defined() && named.tensor.layout() == at::kStrided && !named.tensor.is_meta()) {
        const at::Tensor data = named.tensor.detach().resolve_conj().resolve_neg();
        copy = data.is_cpu() ? data.clone(at::MemoryFormat::Contiguous) : data.cpu().contiguous();
      }
      if (copy.defined()) named.tensor = copy;
    }
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
  lock.unlock();
  copy_tensors(checkpoint);
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
    ended_.emplace(job.ticket, error);
    queue_.pop_front();
    changed_.notify_all();
  }
}

}  // namespace trainhost::save
