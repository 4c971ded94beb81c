// Checkpoints written by a thread of their own, of copies: who submits one waits for the copies alone.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "host/save/checkpoint.h"

namespace trainhost::save {

// One owner thread calls its methods. The destructor writes what is still queued.
class CheckpointWriter {
 public:
  CheckpointWriter() = default;
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Copies the tensors to the host and queues them; with `link` that name beside the folder leads to it once it is
  // there. Memory is bounded: one checkpoint is being written, one waits, and with both there the call waits. Returns a
  // ticket.
  uint64_t submit(std::string folder, Checkpoint checkpoint, std::string link);
  // How a submission ended: nothing while it is under way, else the error or nullptr, once.
  std::optional<std::exception_ptr> poll(uint64_t ticket);
  // The same, once it has ended.
  std::exception_ptr wait(uint64_t ticket);

 private:
  struct Job {
    uint64_t ticket;
    std::string folder, link;
    Checkpoint checkpoint;
  };
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;  // the first is being written
  std::map<uint64_t, std::exception_ptr> ended_;
  std::vector<at::Tensor> spare_;  // the copies of the last one that was written
  uint64_t last_ = 0;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace trainhost::save
