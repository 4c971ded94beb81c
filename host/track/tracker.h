// The tracking service of a process: stores by address, runs, events to those who asked.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/track/end.h"
#include "host/track/run.h"
#include "host/track/source.h"
#include "host/track/syncer.h"

namespace trainhost::track {

// Events for one listener (a Lua state), until it takes them. Any thread.
class Inbox {
 public:
  void add(Event event);
  std::vector<Event> take();
  bool any() const noexcept { return any_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  std::deque<Event> events_;
  size_t more_ = 0;  // not kept, counted
  std::atomic<bool> any_{false};
};

struct StartOptions {
  int64_t experiment_id = 0;
  std::string run_name;                 // empty: a random one
  std::string parent_id;                // empty: no nested run
  Tags tags;                            // set over the tags of source_tags
  std::string script;                   // for source_tags
  std::chrono::milliseconds waited{0};  // for a server, before this call
};

class Tracker {
 public:
  // `sender`: the thread of others; none: one of its own.
  explicit Tracker(QueueOptions options = {}, std::shared_ptr<Sender> sender = nullptr);
  // Stores what waits, ten seconds at most; the log says what was left.
  ~Tracker();
  Tracker(const Tracker&) = delete;
  Tracker& operator=(const Tracker&) = delete;

  // The tracker of this process: made when first asked for, kept while anybody holds it; a process that ends
  // without letting go (std::exit in a program that embeds us) drains it all the same.
  static std::shared_ptr<Tracker> shared();

  // The store behind a tracking URI: sqlite:///relative.db, sqlite:////absolute.db; empty: ./mlflow.db; http(s)://: a
  // tracking server, which is not asked yet. New experiments of a file keep their artifacts in that folder. Throws
  // Error(tracking) for what is not supported, with the reason.
  std::shared_ptr<Store> open(const std::string& uri, const std::string& artifacts = "mlruns");
  // The absolute form of a URI ("sqlite:////home/me/mlflow.db"); throws as open does, touches no file.
  static std::string resolve(const std::string& uri);

  // The run has its id at once; its rows follow through the queue. Events about it go to `inbox`.
  std::shared_ptr<Run> start_run(Store& store, const StartOptions& options, std::weak_ptr<Inbox> inbox);
  // Goes on with a run of the store. Throws Error(tracking) if there is none or it is deleted.
  std::shared_ptr<Run> resume_run(Store& store, const std::string& run_id, std::weak_ptr<Inbox> inbox);

  // True: all that was logged before, to one store or to all, is stored and would survive a power cut.
  bool flush(std::chrono::milliseconds limit, const Store* only = nullptr);
  // What is left for the end of the process, see Queue.
  std::chrono::milliseconds left_of_end() { return files_.queue->left_of_end(); }
  // See End.
  void hasten() { end_->hasten(); }
  size_t close(std::chrono::milliseconds limit);
  // Records that are not stored yet.
  size_t waiting() const;
  // Of these, records that stay on disk for another process: a server refuses who asks.
  size_t held() const;

  // Whether spools of a store are meant; none: of whatever store.
  using Wanted = std::function<bool(const std::string& store)>;
  // Takes over the runs below a folder (".trainhost/runs") that processes have left which are no more: what they have
  // logged goes to its store, through the queue, and a run that was not ended is KILLED.
  struct Recovered {
    size_t runs = 0, failed = 0;  // failed: they stay where they are; the log says why
  };
  Recovered recover(const std::string& folder, const Wanted& wanted = {});

 private:
  struct Router;
  // A queue, and the spools that it carries tokens of.
  struct Way {
    std::shared_ptr<Queue> queue;
    std::shared_ptr<Spools> spools = std::make_shared<Spools>();
    std::string name = {};  // of a server
    // Records that are not stored, and those of them that are lost with the process.
    size_t waiting() const;
    size_t unkept() const;
  };
  struct Opened {
    std::shared_ptr<Store> store;
    Way way;
    Queue::Lane lane = 0;
    std::string uri;                     // as spools have it: without secrets
    std::string runs;                    // the folder of the spools of its runs
    std::shared_ptr<RemoteRuns> remote;  // of a server
  };
  const Opened& opened(const Store& store);
  const Opened* find(const std::string& key);
  const Opened& open_file(const std::string& path, const std::string& artifacts);
  const Opened& open_server(const std::string& url, const std::string& workspace);
  const Opened& open_of(const std::string& uri, const std::string& folder);
  std::shared_ptr<Run> make(Store& store, RunInfo info, std::weak_ptr<Inbox> inbox);
  void adopt(const std::shared_ptr<Spool>& spool, const Opened& to);

  std::vector<Way> ways() const;
  std::shared_ptr<Queue> make_queue(std::shared_ptr<Sender> sender) const;

  const QueueOptions options_;
  const std::shared_ptr<End> end_;
  std::shared_ptr<Router> router_;
  Way files_;
  Syncer syncer_;
  std::vector<Way> servers_;  // one each: a server that hangs holds up nothing else
  std::atomic<bool> left_told_{false};
  mutable std::mutex mutex_;
  std::map<std::string, Opened> opened_;  // by path, or URL and workspace
};

// The store's error texts for what a script may ask, so that all callers say the same.
[[noreturn]] void throw_no_experiment(const std::string& id);

}  // namespace trainhost::track
