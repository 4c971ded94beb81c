// Addresses, the store per address, and the way of an event from the sender thread to its listener.
#include "host/track/tracker.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "host/base/log.h"
#include "host/track/delivery.h"
#include "host/track/local_store.h"
#include "host/track/rest_sink.h"
#include "host/track/rest_store.h"
#include "host/track/sender.h"
#include "host/track/spool_sink.h"
#include "host/track/sqlite_sink.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

namespace fs = std::filesystem;

const std::string kScheme = "sqlite:///";

constexpr size_t kMostEvents = 256;
constexpr auto kDrain = std::chrono::seconds(10);

std::string database_path(const std::string& uri) {
  constexpr const char* kDefaultHint = "unset MLFLOW_TRACKING_URI for ./mlflow.db, or use sqlite:///path/to/mlflow.db";
  if (uri.empty()) return fs::absolute("mlflow.db").string();
  const std::string shown = "mlflow: the tracking URI '" + without_credentials(uri) + "' ";
  if (uri.starts_with("sqlite:")) {
    std::string path = uri.starts_with("sqlite:///") ? uri.substr(10) : "";
    path.resize(std::min(path.find('?'), path.size()));
    if (path.empty() || path == ":memory:")
      throw Error(ErrorKind::tracking, shown + "names no file: runs would be lost with the process", kDefaultHint);
    return fs::absolute(path).lexically_normal().string();
  }
  if (uri.starts_with("file:") || uri.find("://") == std::string::npos)
    throw Error(ErrorKind::tracking,
                shown + "names a file store: MLflow has retired it and refuses to read it since version 3.13",
                std::string(kDefaultHint) + "; `mlflow migrate-filestore` converts an old one");
  throw Error(ErrorKind::tracking, shown + "is not supported: sqlite:///, http:// and https:// are", kDefaultHint);
}

std::string key_of(const std::string& url, const std::string& workspace) { return url + "\n" + workspace; }

bool is_server(const std::string& uri) { return uri.starts_with("http://") || uri.starts_with("https://"); }

std::string server_url(std::string uri) {
  while (uri.ends_with('/')) uri.pop_back();
  return uri;
}

// MLflow falls back to the retired file store, and fails, in a folder that holds mlruns/<number>/meta.yaml.
std::optional<std::string> file_store_here() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("mlruns", error)) {
    const std::string name = entry.path().filename().string();
    if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos &&
        fs::exists(fs::symlink_status(entry.path() / "meta.yaml", error)))
      return (fs::path("mlruns") / name / "meta.yaml").string();
  }
  return std::nullopt;
}

void log_line(const Event& event) {
  log::warn(event.hint.empty() ? event.message : event.message + " (" + event.hint + ")");
}

}  // namespace

void Inbox::add(Event event) {
  std::lock_guard lock(mutex_);
  if (events_.size() < kMostEvents) events_.push_back(std::move(event));
  else ++more_;
  any_.store(true, std::memory_order_release);
}

std::vector<Event> Inbox::take() {
  std::lock_guard lock(mutex_);
  std::vector<Event> taken(std::make_move_iterator(events_.begin()), std::make_move_iterator(events_.end()));
  if (more_)
    taken.push_back({ErrorKind::tracking, "", "mlflow: " + std::to_string(more_) + " more events were not kept", ""});
  events_.clear();
  more_ = 0;
  any_.store(false, std::memory_order_release);
  return taken;
}

// Kept alive by the queue's reports too: the sender thread may outlive the tracker.
struct Tracker::Router {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Inbox>> by_run;
  std::vector<std::weak_ptr<Inbox>> all;
  std::vector<std::shared_ptr<RemoteRuns>> remotes;

  void attach(const std::string& run, const std::weak_ptr<Inbox>& inbox) {
    std::lock_guard lock(mutex);
    std::erase_if(by_run, [](const auto& entry) { return entry.second.expired(); });
    std::erase_if(all, [](const auto& entry) { return entry.expired(); });
    by_run[run] = inbox;
    const auto same = [&](const std::weak_ptr<Inbox>& other) {
      return !other.owner_before(inbox) && !inbox.owner_before(other);
    };
    if (std::none_of(all.begin(), all.end(), same)) all.push_back(inbox);
  }

  void deliver(Event event) {
    log_line(event);
    std::lock_guard lock(mutex);
    if (!event.run.empty()) {
      if (const auto found = by_run.find(event.run); found != by_run.end())
        if (const auto inbox = found->second.lock()) {
          for (const auto& remote : remotes) event.run = remote->id_of(event.run);  // as run.info has it
          inbox->add(std::move(event));
        }
      return;
    }
    for (const auto& entry : all)
      if (const auto inbox = entry.lock()) inbox->add(event);
  }
};

Tracker::Tracker(QueueOptions options, std::shared_ptr<Sender> sender)
    : options_(std::move(options)),
      end_(sender ? sender->end() : std::make_shared<End>()),
      router_(std::make_shared<Router>()),
      files_{make_queue(sender ? std::move(sender) : std::make_shared<Sender>(options_.linger, end_))} {}

std::shared_ptr<Queue> Tracker::make_queue(std::shared_ptr<Sender> sender) const {
  const auto report = [router = router_](Event event) { router->deliver(std::move(event)); };
  return std::make_shared<Queue>(options_, report, std::move(sender));
}

Tracker::~Tracker() { close(kDrain); }

namespace {

std::weak_ptr<Tracker> current;  // of this process

void drain_current() {
  if (const auto left = current.lock()) left->close(kDrain);
}

}  // namespace

std::shared_ptr<Tracker> Tracker::shared() {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  if (auto tracker = current.lock()) return tracker;
  auto tracker = std::make_shared<Tracker>(QueueOptions(), Sender::shared());
  current = tracker;
  static const int registered = std::atexit(drain_current);
  (void)registered;
  return tracker;
}

std::string Tracker::resolve(const std::string& uri) {
  return is_server(uri) ? server_url(uri) : kScheme + database_path(uri);
}

const Tracker::Opened& Tracker::open_server(const std::string& url, const std::string& workspace) {
  std::lock_guard lock(mutex_);
  const std::string key = key_of(url, workspace);
  if (const auto found = opened_.find(key); found != opened_.end()) return found->second;
  const ServerOptions options = ServerOptions::of_environment(url, workspace);
  auto remote = std::make_shared<RemoteRuns>();
  auto store = std::make_shared<RestStore>(options, remote);
  const std::string shown = http::shown_url(url);
  const Way way{.queue = make_queue(std::make_shared<Sender>(options_.linger, end_)), .name = shown};
  const auto sink = std::make_shared<SpoolSink>(std::make_shared<RestSink>(options, remote), way.spools, remote);
  const Queue::Lane lane = way.queue->add(sink);
  servers_.push_back(way);
  {
    std::lock_guard router_lock(router_->mutex);
    router_->remotes.push_back(remote);
  }
  // Once more: what is registered last is called first, and now OpenSSL, which the drain needs, has an end of its own.
  static const int registered = std::atexit(drain_current);
  (void)registered;
  const std::string uri = workspace.empty() ? shown : shown + "#" + workspace;
  return opened_[key] = {store, way, lane, uri, (fs::absolute(".trainhost") / "runs").string(), remote};
}

const Tracker::Opened* Tracker::find(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto found = opened_.find(key);
  return found == opened_.end() ? nullptr : &found->second;
}

std::shared_ptr<Store> Tracker::open(const std::string& uri, const std::string& artifacts) {
  if (is_server(uri)) {
    const std::string url = server_url(uri), workspace = ServerOptions::workspace_of_environment();
    if (const Opened* known = find(key_of(url, workspace))) return known->store;
    const Opened& opened = open_server(url, workspace);
    recover(opened.runs, [&](const std::string& store) { return store == opened.uri; });
    return opened.store;
  }
  const std::string path = database_path(uri);
  if (const Opened* known = find(path)) return known->store;
  const Opened& opened = open_file(path, artifacts);
  if (path == fs::absolute("mlflow.db").string())
    if (const auto trap = file_store_here())
      router_->deliver({ErrorKind::tracking, "",
                        "mlflow: '" + *trap +
                            "' is of MLflow's retired file store: with it, `mlflow ui` and Python's "
                            "mlflow fail in this folder, although the runs are safe in mlflow.db",
                        "`mlflow ui --backend-store-uri sqlite:///mlflow.db` shows them; `mlflow migrate-filestore` "
                        "converts the old runs"});
  // A server is not asked for the sake of a file.
  recover(opened.runs, [](const std::string& store) { return !is_server(store); });
  return opened.store;
}

const Tracker::Opened& Tracker::open_file(const std::string& path, const std::string& artifacts) {
  std::lock_guard lock(mutex_);
  if (const auto found = opened_.find(path); found != opened_.end()) return found->second;
  if (const auto folder = fs::path(path).parent_path(); !fs::is_directory(folder))
    throw Error(ErrorKind::tracking,
                "mlflow: cannot open '" + path + "': there is no folder '" + folder.string() + "'");
  const fs::path root = fs::absolute(artifacts);
  auto store = std::make_shared<LocalStore>(path, root.string());
  const auto sink = std::make_shared<SpoolSink>(std::make_shared<SqliteSink>(path), files_.spools);
  const Queue::Lane lane = files_.queue->add(sink);
  return opened_[path] = {store,  files_, lane, kScheme + path, (root.parent_path() / ".trainhost" / "runs").string(),
                          nullptr};
}

const Tracker::Opened& Tracker::open_of(const std::string& uri, const std::string& folder) {
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, opened] : opened_)
      if (opened.uri == uri) return opened;
  }
  if (is_server(uri)) {
    // The user and password that a URI has in it are in no spool.
    const char* given = std::getenv("MLFLOW_TRACKING_URI");
    const std::string url = given && is_server(given) ? server_url(given) : "";
    const size_t hash = std::min(uri.find('#'), uri.size());
    const std::string shown = uri.substr(0, hash), workspace = hash < uri.size() ? uri.substr(hash + 1) : "";
    return open_server(http::shown_url(url) == shown ? url : shown, workspace);
  }
  const std::string path = uri.substr(kScheme.size());
  if (!fs::exists(path)) throw Error(ErrorKind::tracking, "there is no '" + path + "', where it belongs");
  return open_file(path, (fs::path(folder).parent_path().parent_path() / "mlruns").string());
}

const Tracker::Opened& Tracker::opened(const Store& store) {
  std::lock_guard lock(mutex_);
  for (const auto& [key, opened] : opened_)
    if (opened.store.get() == &store) return opened;
  throw Error(ErrorKind::internal, "mlflow: the store is not of this tracker");
}

std::shared_ptr<Run> Tracker::make(Store& store, RunInfo info, std::weak_ptr<Inbox> inbox) {
  router_->attach(info.id, inbox);
  const Opened& at = opened(store);
  const std::string id = info.id;
  auto run = std::make_shared<Run>(
      at.way.queue, at.lane, std::move(info), [router = router_](Event event) { router->deliver(std::move(event)); },
      at.remote, at.remote ? staging_place(at.runs + "/" + id) : "");
  auto spool = at.way.spools->find(id);
  if (!spool || !spool->revive()) {
    try {
      spool = std::make_shared<Spool>(at.runs, id, at.uri);
      at.way.spools->add(spool);
      syncer_.add(spool);
    } catch (const Error& e) {
      spool = nullptr;
      router_->deliver(
          {ErrorKind::io, id,
           "mlflow: " + e.message() + ": what is logged waits in memory, and is lost if the process is killed",
           "training goes on"});
    }
  }
  if (spool) run->spool_to(spool, at.way.spools);
  return run;
}

void throw_no_experiment(const std::string& id) {
  throw Error(ErrorKind::tracking, "mlflow: no experiment with id '" + id + "' exists");
}

std::shared_ptr<Run> Tracker::start_run(Store& store, const StartOptions& options, std::weak_ptr<Inbox> inbox) {
  using std::chrono::milliseconds;
  const auto until = std::chrono::steady_clock::now() + (kQuick - options.waited);
  const auto left = [&] {
    const auto time = std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
    return std::max(time, milliseconds(0));
  };
  const auto experiment = store.find_experiment(options.experiment_id, left());
  if (!experiment) throw_no_experiment(std::to_string(options.experiment_id));
  if (experiment->lifecycle_stage != "active")
    throw Error(ErrorKind::tracking,
                "mlflow: the experiment '" + experiment->name + "' is deleted, a run cannot start in it",
                "restore it, or choose another with mlflow.set_experiment");
  for (const auto& [key, value] : options.tags) check_key("tag", key);
  Tags tags = source_tags(options.script);
  const auto set = [&tags](const std::string& key, const std::string& value) {
    const auto same = std::find_if(tags.begin(), tags.end(), [&](const auto& tag) { return tag.first == key; });
    if (same == tags.end()) tags.emplace_back(key, value);
    else same->second = value;
  };
  for (const auto& [key, value] : options.tags) set(key, value);
  if (!options.parent_id.empty()) set("mlflow.parentRunId", options.parent_id);
  if (!options.run_name.empty()) set("mlflow.runName", options.run_name);

  RunInfo info;
  info.id = new_id();
  info.status = "RUNNING";
  info.experiment_id = experiment->id;
  info.start_time = now_ms();
  const auto remote = opened(store).remote;
  if (!remote) info.artifact_uri = experiment->artifact_location + "/" + info.id + "/artifacts";
  for (const auto& [key, value] : tags) {
    if (key == "mlflow.runName") info.name = value;
    if (key == "mlflow.user") info.user = value;
  }
  if (info.name.empty()) set("mlflow.runName", info.name = random_run_name());

  auto run = make(store, info, std::move(inbox));
  Record record;
  record.kind = RecordKind::start_run;
  record.run = info.id;
  record.key = info.name;
  record.value = remote ? experiment->name : info.artifact_uri;
  record.extra = info.user;
  record.step = info.experiment_id;
  record.timestamp = info.start_time;
  run->put(std::move(record));
  for (const auto& [key, value] : tags) run->set_tag(key, value);
  if (remote) run->wait_id(left());
  return run;
}

std::shared_ptr<Run> Tracker::resume_run(Store& store, const std::string& run_id, std::weak_ptr<Inbox> inbox) {
  flush(kDrain, &store);  // the run may have been logged by this process a moment ago
  auto found = store.find_run(run_id);
  if (!found)
    throw Error(ErrorKind::tracking,
                "mlflow: no run with id '" + run_id + "' exists in '" + without_credentials(store.address()) + "'");
  if (found->info.lifecycle_stage != "active")
    throw Error(ErrorKind::tracking,
                "mlflow: cannot start run with ID " + run_id + " because it is in the deleted state");
  found->info.status = "RUNNING";
  found->info.end_time = 0;
  if (const auto remote = opened(store).remote)
    remote->add(found->info.id, {found->info.id, found->info.artifact_uri, found->info.experiment_id});
  auto run = make(store, found->info, std::move(inbox));
  Record record;
  record.kind = RecordKind::resume_run;
  record.run = found->info.id;
  record.timestamp = now_ms();
  run->put(std::move(record));
  return run;
}

}  // namespace trainhost::track
