// A sink whose records come from spools: what the queue carries says only that there is more.
#pragma once

#include <memory>
#include <vector>

#include "host/track/remote_runs.h"
#include "host/track/sink.h"
#include "host/track/spools.h"

namespace trainhost::track {

class SpoolSink : public Sink {
 public:
  // `remote`: of a tracking server, for which positions and ids are noted beside the spools; none: `to` keeps them.
  SpoolSink(std::shared_ptr<Sink> to, std::shared_ptr<Spools> spools, std::shared_ptr<RemoteRuns> remote = nullptr)
      : to_(std::move(to)), spools_(std::move(spools)), remote_(std::move(remote)) {}
  size_t write(std::span<const Record> records, const Report& report) override;
  void flush() override;
  bool wants_flush() const override { return !over_.empty(); }
  std::optional<std::chrono::steady_clock::time_point> not_before() const override { return to_->not_before(); }
  size_t count(std::span<const Record> records) const override;
  std::string name() const override { return to_->name(); }
  void set_bound(Bound bound) override { to_->set_bound(std::move(bound)); }
  void hurry() noexcept override { to_->hurry(); }
  bool is_bounded() const noexcept override { return to_->is_bounded(); }

 private:
  void over(const std::shared_ptr<Spool>& spool);
  bool drain(const std::string& run, const Report& report);
  void note(Spool& spool, uint64_t position);

  const std::shared_ptr<Sink> to_;
  const std::shared_ptr<Spools> spools_;
  const std::shared_ptr<RemoteRuns> remote_;
  std::vector<std::shared_ptr<Spool>> over_;  // all of the run is stored: they go with the next flush
};

}  // namespace trainhost::track
