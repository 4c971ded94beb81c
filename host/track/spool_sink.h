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
  size_t count(std::span<const Record> records) const override;
  std::string name() const override { return to_->name(); }
  void set_bound(Bound bound) override { to_->set_bound(std::move(bound)); }
  void hurry() noexcept override { to_->hurry(); }

 private:
  void remove(Spool& spool);
  bool drain(const std::string& run, const Report& report);

  const std::shared_ptr<Sink> to_;
  const std::shared_ptr<Spools> spools_;
};

}  // namespace trainhost::track
