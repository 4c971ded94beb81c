// A map under a mutex, and those who wait for it.
#include "host/track/remote_runs.h"

#include <utility>

namespace trainhost::track {

void RemoteRuns::add(const std::string& local, RemoteRun run) {
  std::lock_guard lock(mutex_);
  runs_[local] = std::move(run);
  changed_.notify_all();
}

void RemoteRuns::refuse(const std::string& local) {
  std::lock_guard lock(mutex_);
  runs_.try_emplace(local, std::nullopt);
  changed_.notify_all();
}

void RemoteRuns::suspect(const std::string& local) {
  std::lock_guard lock(mutex_);
  suspected_.insert(local);
}

void RemoteRuns::acquit(const std::string& local) {
  std::lock_guard lock(mutex_);
  suspected_.erase(local);
}

bool RemoteRuns::is_suspected(const std::string& local) const {
  std::lock_guard lock(mutex_);
  return suspected_.contains(local);
}

std::optional<RemoteRun> RemoteRuns::find(const std::string& local) const {
  std::lock_guard lock(mutex_);
  const auto found = runs_.find(local);
  return found == runs_.end() ? std::nullopt : found->second;
}

std::string RemoteRuns::id_of(const std::string& run) const {
  const auto found = find(run);
  return found ? found->id : run;
}

bool RemoteRuns::wait(const std::string& local, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [&] { return runs_.contains(local); });
  const auto found = runs_.find(local);
  return found != runs_.end() && found->second.has_value();
}

}  // namespace trainhost::track
