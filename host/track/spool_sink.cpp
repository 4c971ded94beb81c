// Batches of a spool, one after the other; an ended run's spool goes when all of it is stored.
#include "host/track/spool_sink.h"

#include <algorithm>
#include <set>
#include <string>

namespace trainhost::track {
namespace {

constexpr size_t kBatch = 1000;

bool is_token(const Record& record) { return record.kind == RecordKind::spooled; }

}  // namespace

size_t SpoolSink::write(std::span<const Record> records, const Report& report) {
  if (!is_token(records.front())) {
    const auto first = std::find_if(records.begin(), records.end(), is_token);
    const size_t count = to_->write(records.first(static_cast<size_t>(first - records.begin())), report);
    // The end of a run whose spool the disk did not take any more: now it may go.
    for (const Record& record : records.first(count))
      if (record.kind == RecordKind::end_run)
        if (const auto spool = spools_->find(record.run)) {
          spool->end();
          remove(*spool);
        }
    return count;
  }
  if (!drain(records.front().run, report)) return 0;
  --spools_->tokens;
  return 1;
}

// One batch; false: there is more.
bool SpoolSink::drain(const std::string& run, const Report& report) {
  const auto spool = spools_->find(run);
  if (!spool) return true;
  spool->told = false;  // what is put from now on has a token of its own
  const auto batch = spool->next(kBatch);
  if (!batch.empty()) {
    const size_t count = std::min(to_->write(batch, report), batch.size());
    if (count > 0) spool->stored(batch[count - 1].position, count);
    return false;
  }
  if (const uint64_t lost = spool->lost.exchange(0))
    report({ErrorKind::tracking, run,
            "mlflow: the store works again; " + std::to_string(lost) + " metrics or texts of the run " + run +
                " logged meanwhile were dropped",
            ""});
  remove(*spool);
  return true;
}

void SpoolSink::remove(Spool& spool) {
  if (!spool.ended() || !spool.remove()) return;
  spools_->drop(spool);
  to_->forget(spool.run());
}

size_t SpoolSink::count(std::span<const Record> records) const {
  size_t count = 0;
  std::set<std::string> counted;
  for (const Record& record : records) {
    if (!is_token(record)) ++count;
    else if (const auto spool = spools_->find(record.run); spool && counted.insert(record.run).second)
      count += spool->waiting();
  }
  return count;
}

}  // namespace trainhost::track
