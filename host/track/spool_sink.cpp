// Batches of a spool, one after the other; an ended run's spool goes when all of it is stored.
#include "host/track/spool_sink.h"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>

#include "host/track/delivery.h"

namespace trainhost::track {
namespace {

constexpr size_t kBatch = 1000;

bool is_token(const Record& record) { return record.kind == RecordKind::spooled; }

// Files that were staged are needed until their position is.
void unlink_staged(std::span<const Record> records, Spools& spools) {
  for (const Record& record : records) {
    if (record.kind != RecordKind::file) continue;
    ::unlink(record.value.c_str());
    spools.unstage(static_cast<uint64_t>(record.step));
  }
}

// What takes long, or may not come twice, is noted at once.
void cut_for_server(std::vector<Record>& batch, const Spool& spool) {
  const auto is_noted = [](const Record& r) { return r.kind == RecordKind::start_run || r.kind == RecordKind::file; };
  const auto found = std::find_if(batch.begin(), batch.end(), is_noted);
  if (found == batch.end()) return;
  if (found->kind == RecordKind::file) found->value = staged_path(spool.folder(), found->value);
  batch.erase(found + 1, batch.end());
}

}  // namespace

size_t SpoolSink::write(std::span<const Record> records, const Report& report) {
  if (!is_token(records.front())) {
    const auto first = std::find_if(records.begin(), records.end(), is_token);
    const size_t count = to_->write(records.first(static_cast<size_t>(first - records.begin())), report);
    if (remote_) unlink_staged(records.first(count), *spools_);
    // The end of a run whose spool the disk did not take any more: now it may go.
    for (const Record& record : records.first(count))
      if (record.kind == RecordKind::end_run)
        if (const auto spool = spools_->find(record.run)) {
          spool->end();
          over(spool);
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
  if (spool->held) return true;
  auto batch = spool->next(kBatch);
  if (!batch.empty()) {
    if (remote_) cut_for_server(batch, *spool);
    const size_t count = std::min(to_->write(batch, report), batch.size());
    if (!count) return spool->held = to_->holds(run);
    if (remote_) note(*spool, batch[count - 1].position);
    spool->stored(batch[count - 1].position, count);
    if (spool->has_spent()) {
      to_->flush();
      spool->remove_spent();
    }
    if (remote_) unlink_staged(std::span(batch).first(count), *spools_);
    return false;
  }
  if (const uint64_t lost = spool->lost.exchange(0))
    report({ErrorKind::tracking, run,
            "mlflow: the store works again; " + std::to_string(lost) + " metrics or texts of the run " + run +
                " logged meanwhile were dropped",
            ""});
  over(spool);
  return true;
}

// A disk that is full holds up no server: the id is tried again with the next batch.
void SpoolSink::note(Spool& spool, uint64_t position) {
  if (!spool.is_id_noted) {
    const auto known = remote_->find(spool.run());
    spool.is_id_noted = known && note_server_run(spool.folder(), *known);
  }
  note_position(spool.folder(), spool.id(), position);
}

void SpoolSink::over(const std::shared_ptr<Spool>& spool) {
  if (spool->ended() && std::find(over_.begin(), over_.end(), spool) == over_.end()) over_.push_back(spool);
}

// The records of a spool are the only ones that survive a power cut, until the store has flushed.
void SpoolSink::flush() {
  to_->flush();
  for (const auto& spool : over_) {
    if (!spool->ended() || !spool->remove()) continue;
    spools_->drop(*spool);
    to_->forget(spool->run());
  }
  over_.clear();
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
