// Runs of a server: the id that a run has here, and what the server calls it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace trainhost::track {

// The tag by which a run is found again at its server: its id here.
inline constexpr char kLocalIdTag[] = "trainhost.run_id";

struct RemoteRun {
  std::string id, artifact_uri;
  int64_t experiment_id = 0;
};

// Shared by a server's sink, which learns the ids, its store and its runs. Any thread.
class RemoteRuns {
 public:
  void add(const std::string& local, RemoteRun run);
  std::optional<RemoteRun> find(const std::string& local) const;
  // What the server calls a run: of a run that is not from here, its own id.
  std::string id_of(const std::string& run) const;
  // Waits until the server knows the run; false: not within `limit`, or never.
  bool wait(const std::string& local, std::chrono::milliseconds limit);
  // The server does not take the run.
  void refuse(const std::string& local);
  // Has the server perhaps made the run, and nobody heard of it? Then it is looked for before it is made.
  void suspect(const std::string& local);
  void acquit(const std::string& local);
  bool is_suspected(const std::string& local) const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::optional<RemoteRun>> runs_;
  std::set<std::string> suspected_;
};

}  // namespace trainhost::track
