// The calls of the embedded store on a connection that cannot write; a server, which is asked as always.
#include "host/track/reader.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/track/database.h"
#include "host/track/local_experiments.h"
#include "host/track/local_runs.h"
#include "host/track/local_store.h"
#include "host/track/metric_json.h"
#include "host/track/request.h"
#include "host/track/rest_store.h"
#include "host/track/search.h"

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

constexpr auto kBusy = std::chrono::seconds(5);
constexpr int64_t kPage = 25'000;

[[noreturn]] void refuse() { throw Error(ErrorKind::internal, "mlflow: a store that is only read is to be changed"); }

class NoSink : public Sink {
 public:
  size_t write(std::span<const Record> /*records*/, const Report& /*report*/) override { refuse(); }
  void flush() override {}
};

class ReadDatabase : public Store {
 public:
  explicit ReadDatabase(std::string path) : path_(std::move(path)), database_(path_, kBusy, Access::read) {
    database_.run("PRAGMA case_sensitive_like = ON");
  }
  Experiment experiment(const std::string& /*name*/) override { refuse(); }
  std::optional<Experiment> find_experiment(const std::string& name) override {
    return track::find_experiment(database_, "name", name);
  }
  std::optional<Experiment> find_experiment(int64_t id, std::chrono::milliseconds /*limit*/) override {
    return track::find_experiment(database_, "experiment_id", id);
  }
  std::optional<StoredRun> find_run(const std::string& run_id) override { return read_run(database_, run_id); }
  Json call(const std::string& path, const Json& request) override {
    NoSink sink;
    return local_call(database_, sink, "", path, request);
  }
  const std::string& address() const noexcept override { return path_; }

 private:
  std::string path_;
  Database database_;
};

}  // namespace

std::unique_ptr<Store> open_to_read(const std::string& address) {
  if (!address.starts_with("http://") && !address.starts_with("https://"))
    return std::make_unique<ReadDatabase>(address);
  return std::make_unique<RestStore>(ServerOptions::of_environment(address, ServerOptions::workspace_of_environment()),
                                     std::make_shared<RemoteRuns>());
}

std::vector<Metric> points(Store& store, const std::string& run_id, const std::string& key, int64_t skip) {
  std::vector<Metric> points;
  std::string token = skip > 0 ? page_token(skip) : "";
  do {
    Json request = {{"run_id", run_id}, {"metric_key", key}, {"max_results", kPage}};
    if (!token.empty()) request["page_token"] = token;
    const Json page = store.call("metrics/get-history", request);
    for (const Json& from : page.value("metrics", Json::array())) {
      Metric& point = points.emplace_back();
      point = {key, metric_value(from.value("value", Json(0.0))), integer_field(from, "step"),
               integer_field(from, "timestamp")};
      // What was logged as infinite is stored as the largest number.
      if (std::abs(point.value) == std::numeric_limits<double>::max())
        point.value = std::copysign(std::numeric_limits<double>::infinity(), point.value);
    }
    token = page.value("next_page_token", "");
  } while (!token.empty());
  return points;
}

}  // namespace trainhost::track
