// A sink whose records come from spools: what the queue carries says only that there is more.
#pragma once

#include "host/track/sink.h"
#include "host/track/spools.h"

namespace trainhost::track {

class SpoolSink : public Sink {
 public:
  SpoolSink(std::shared_ptr<Sink> to, std::shared_ptr<Spools> spools)
      : to_(std::move(to)), spools_(std::move(spools)) {}
  size_t write(std::span<const Record> records, const Report& report) override;
  void flush() override { to_->flush(); }
  std::string name() const override { return to_->name(); }
  void hurry(std::chrono::steady_clock::time_point by) noexcept override { to_->hurry(by); }

 private:
  bool drain(const std::string& run, const Report& report);

  const std::shared_ptr<Sink> to_;
  const std::shared_ptr<Spools> spools_;
};

}  // namespace trainhost::track
