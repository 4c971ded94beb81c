// Runs that processes have left which are no more.
#include <algorithm>
#include <filesystem>

#include "host/base/log.h"
#include "host/track/spool.h"
#include "host/track/sqlite_sink.h"
#include "host/track/tracker.h"

namespace trainhost::track {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kScheme = "sqlite:///";  // of every store that has spools

}  // namespace

size_t Tracker::recover(const std::string& folder) {
  size_t count = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string run = entry.path().filename().string();
    if (run.size() != 32) continue;
    try {
      const auto spool = Spool::adopt(folder, run);
      if (!spool) continue;
      const std::string path = spool->store().substr(kScheme.size());
      if (!fs::exists(path)) throw Error(ErrorKind::tracking, "there is no '" + path + "', where it belongs");
      const Opened& to = open_file(path, (fs::path(folder).parent_path().parent_path() / "mlruns").string());
      spool->skip(stored_position(path, run, spool->id()));
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
                " records of it are stored now" + (ended ? "" : ", it is KILLED if it was running"));
      spools_->add(spool);
      spools_->tell(*spool, *queue_, to.lane);
      ++count;
    } catch (const std::exception& e) {
      log::warn("mlflow: what was logged to the run " + run + " stays in '" + folder + "/" + run + "': " + e.what());
    }
  }
  RunFolder::remove_empty(folder);
  return count;
}

}  // namespace trainhost::track
