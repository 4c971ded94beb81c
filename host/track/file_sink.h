// Whole files beside the event files, written behind the back of the training.
#pragma once

#include <atomic>

#include "host/track/sink.h"

namespace trainhost::track {

// A record is a file: `key` its path, in a folder that is there, `value` what it holds. Each is replaced as one step.
class FileSink : public Sink {
 public:
  size_t write(std::span<const Record> records, const Report& report) override;
  void flush() override {}  // what is written is synced
  std::string name() const override { return "files of the projector"; }
  // Did the last write fail?
  const std::atomic<bool>& is_failing() const noexcept { return failing_; }

 private:
  std::atomic<bool> failing_{false};
};

}  // namespace trainhost::track
