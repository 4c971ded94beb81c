// A tracking server, asked and waited for.
#pragma once

#include <memory>
#include <mutex>

#include "host/track/remote_runs.h"
#include "host/track/server.h"
#include "host/track/store.h"

namespace trainhost::track {

class RestStore : public Store {
 public:
  RestStore(ServerOptions options, std::shared_ptr<RemoteRuns> runs);

  // Waits two seconds at most: an experiment whose server does not answer has an id below 0 and is looked for, or made,
  // when its first run is stored. (So does find_experiment by id, which then takes the server's word later.)
  Experiment experiment(const std::string& name) override;
  std::optional<Experiment> find_experiment(const std::string& name) override;
  std::optional<Experiment> find_experiment(int64_t id, std::chrono::milliseconds limit = kQuick) override;
  // Asks again what passes, as often as MLFLOW_HTTP_REQUEST_MAX_RETRIES says, for half a minute at most.
  std::optional<StoredRun> find_run(const std::string& run_id) override;
  nlohmann::json call(const std::string& path, const nlohmann::json& request) override;
  std::vector<StoredArtifact> list_artifacts(const std::string& uri, const std::string& path) override;
  void get_artifact(const std::string& uri, const std::string& path, const std::string& target) override;
  void put_artifact(const std::string& uri, const std::string& path, const std::string& source,
                    const std::string& content) override;
  const std::string& address() const noexcept override { return url_; }

  const std::shared_ptr<RemoteRuns>& runs() const noexcept { return runs_; }

 private:
  template <class Ask>
  auto patiently(Ask ask, bool makes = false);  // what makes something is asked again if nobody was there
  // The runs/get of a run, null: there is none. Under the lock.
  nlohmann::json run_of(const std::string& run_id);
  nlohmann::json run_made_for(const std::string& local);
  template <class Ask>
  auto quickly(std::chrono::milliseconds limit, Ask ask);

  std::mutex mutex_;
  Server server_;
  std::shared_ptr<RemoteRuns> runs_;
  std::string url_;
  std::map<int64_t, Experiment> experiments_;  // seen, or put off: below 0
};

}  // namespace trainhost::track
