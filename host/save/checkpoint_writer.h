// Checkpoints written by a thread of their own, of copies: who submits one waits for the copies alone.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
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

  struct Target {
    std::string path;
    std::string link;                // a name beside the folder that leads to it once it is there; empty is none
    bool is_file = false;            // the first group alone, as one safetensors file with the texts as its metadata
    bool replaceable = false;        // of several that wait only the newest is of use
    std::function<void()> before{};  // called by the thread before it writes: what has to be there when this is
  };
  // Asked while a call waits: true ends the wait.
  using Stop = std::function<bool()>;

  // Would `submit` take one now, without waiting?
  bool has_room();
  // Copies the tensors to the host and queues them. Memory is bounded: one checkpoint is being written, one waits. With
  // both there a replaceable one that waits gives way; else a replaceable new one is not taken, and for any other the
  // call waits. Returns a ticket, 0 if it was not taken. Throws std::system_error if there is no thread to be had.
  uint64_t submit(Target target, Checkpoint checkpoint, const Stop& stop);

  struct Ending {
    bool is_written;  // false: it failed, or another one took its place
    std::exception_ptr error;
  };
  // How a submission ended; nothing while it is under way. It is told once and kept while 64 later ones end: after that
  // it says that it was not written.
  std::optional<Ending> poll(uint64_t ticket);
  // The same, once it has ended or the wait is.
  std::optional<Ending> wait(uint64_t ticket, const Stop& stop);

 private:
  struct Job {
    uint64_t ticket;
    Target target;
    Checkpoint checkpoint;
  };
  bool is_room() const;
  bool is_under_way(uint64_t ticket) const;
  void end(uint64_t ticket, Ending ending);
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;             // the first is being written, one more waits
  std::map<uint64_t, Ending> ended_;  // that nobody has asked for yet
  std::vector<at::Tensor> spare_;     // the copies of the last one that was written
  uint64_t last_ = 0;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace trainhost::save
