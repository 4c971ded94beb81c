// Runs that processes have left which are no more.
#include <algorithm>
#include <filesystem>

#include "host/base/file.h"
#include "host/base/log.h"
#include "host/track/delivery.h"
#include "host/track/spool.h"
#include "host/track/sqlite_sink.h"
#include "host/track/tracker.h"

namespace trainhost::track {
namespace {

namespace fs = std::filesystem;

// Those of runs, the run that began first at first: a parent before its children, a run before it is gone on with.
std::vector<std::string> runs_below(const std::string& folder) {
  std::vector<std::pair<double, std::string>> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string run = entry.path().filename().string(), lock = entry.path().string() + "/lock";
    if (run.size() != 32) continue;
    const auto stamp = file::stamp(lock);  // made when the run began, and never written
    found.emplace_back(stamp ? stamp->changed : 0.0, run);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> runs;
  for (auto& [began, run] : found) runs.push_back(std::move(run));
  return runs;
}

}  // namespace

Tracker::Recovered Tracker::recover(const std::string& folder, const Wanted& wanted) {
  Recovered count;
  for (const std::string& run : runs_below(folder)) {
    try {
      const auto spool = Spool::adopt(folder, run, {}, wanted);
      if (!spool) continue;
      adopt(spool, open_of(spool->store(), folder));
      ++count.runs;
    } catch (const std::exception& e) {
      ++count.failed;
      log::warn("mlflow: what was logged to the run " + run + " stays in '" + folder + "/" + run + "': " + e.what());
    }
  }
  RunFolder::remove_empty(folder);
  return count;
}

void Tracker::adopt(const std::shared_ptr<Spool>& spool, const Opened& to) {
  const std::string& run = spool->run();
  if (to.remote) {
    const Delivery delivery = read_delivery(spool->folder(), spool->id());
    if (delivery.run) to.remote->add(run, *delivery.run);
    else to.remote->suspect(run);
    spool->skip(delivery.position);
    to.way.spools->stage(spool->files());
  } else {
    spool->skip(stored_position(to.store->address(), run, spool->id()));
  }
  const uint64_t waiting = spool->waiting();
  const bool ended = spool->ended();
  if (!ended) {
    Record end;
    end.kind = RecordKind::end_run;
    end.run = run;
    end.value = "KILLED";
    end.extra = kOrphan;
    end.timestamp = spool->last_sign();
    spool->put(end);
  }
  log::warn("mlflow: a process that is no more has left the run " + run + ": " + std::to_string(waiting) +
            (to.remote ? " records of it are sent to '" + to.uri + "' now" : " records of it are stored now") +
            (ended ? "" : ", it is KILLED if it was running"));
  to.way.spools->add(spool);
  syncer_.add(spool);
  to.way.spools->tell(*spool, *to.way.queue, to.lane);
}

}  // namespace trainhost::track
