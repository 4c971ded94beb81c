// native.track: runs, their store and their events, for stdlib/mlflow.
#include "host/track/tracker.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "bindings/object.h"
#include "bindings/owned.h"
#include "bindings/tensor.h"
#include "host/base/log.h"
#include "host/track/artifact.h"
#include "host/track/text.h"

namespace trainhost::bindings {

template <>
struct Type<track::Run> {
  using Handle = std::shared_ptr<track::Run>;
  static constexpr TypeId id = TypeId::run;
  static constexpr const char* name = "Run";
  static constexpr int user_values = 0;
};

namespace {

using track::Run;
using track::RunInfo;

using Clock = std::chrono::steady_clock;

// What one Lua state has of tracking; goes with the state.
struct Context {
  std::shared_ptr<track::Tracker> tracker = track::Tracker::shared();
  std::shared_ptr<track::Inbox> inbox = std::make_shared<track::Inbox>();
  std::shared_ptr<track::Store> store;
  std::vector<std::weak_ptr<Run>> runs;
  std::optional<Clock::time_point> until;  // what is asked is waited for no longer

  // A state that ends without its script's exit functions leaves no run open.
  ~Context() {
    for (const auto& entry : runs) {
      try {
        if (const auto run = entry.lock(); run && !run->ended()) run->end("FINISHED");
      } catch (const std::exception& e) {
        log::warn(std::string("mlflow: a run could not be ended: ") + e.what());
      }
    }
  }
};

constexpr auto kSettle = std::chrono::seconds(30);
const char kContext = 0;  // its address is the registry key

Context& context(lua_State* L) {
  auto* found = owned<Context>(L, &kContext);
  if (!found) throw_usage("mlflow: its Host is closed");
  return *found;
}

track::Store& store(lua_State* L) {
  auto& found = context(L).store;
  if (!found) throw Error(ErrorKind::internal, "mlflow: no store is open");
  return *found;
}

// A store that is far away is waited for no longer than the script is.
track::StopAsked interruptible(lua_State* L) {
  return track::StopAsked([&interrupts = vm::State::of(L).interrupts(), until = context(L).until] {
    return interrupts.requested() || (until && Clock::now() > *until);
  });
}

std::string_view text_at(lua_State* L, int arg, const char* function, const char* name) {
  if (lua_type(L, arg) != LUA_TSTRING) throw_argument(L, function, name, "a string", arg);
  size_t size = 0;
  const char* text = lua_tolstring(L, arg, &size);
  return {text, size};
}

std::string optional_text(lua_State* L, int arg, const char* function, const char* name) {
  return lua_isnoneornil(L, arg) ? std::string() : std::string(text_at(L, arg, function, name));
}

// Lua integers, and floats of exact integer value.
int64_t integer_at(lua_State* L, int arg, const char* function, const char* name) {
  int exact = 0;
  const lua_Integer value = lua_type(L, arg) == LUA_TNUMBER ? lua_tointegerx(L, arg, &exact) : 0;
  if (!exact) throw_argument(L, function, name, "an integer", arg);
  return value;
}

// A number, or a tensor of one element.
double number_at(lua_State* L, int arg, const char* function, const char* key) {
  if (lua_type(L, arg) == LUA_TNUMBER) return lua_tonumber(L, arg);
  if (const at::Tensor* tensor = test_tensor(L, arg); tensor && tensor->numel() == 1 && !tensor->is_complex())
    return tensor->item().toDouble();
  throw_usage(std::string(function) + ": the value of '" + key + "' must be a number or a tensor of one element, got " +
              describe(L, arg));
}

void push_text(lua_State* L, std::string_view text) { lua_pushlstring(L, text.data(), text.size()); }

void set_text(lua_State* L, const char* name, std::string_view text) {
  push_text(L, text);
  lua_setfield(L, -2, name);
}

void set_integer(lua_State* L, const char* name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

void push_info(lua_State* L, const RunInfo& info) {
  lua_createtable(L, 0, 9);
  set_text(L, "run_id", info.id);
  set_text(L, "run_name", info.name);
  set_text(L, "user_id", info.user);
  set_text(L, "status", info.status);
  set_text(L, "artifact_uri", info.artifact_uri);
  set_text(L, "lifecycle_stage", info.lifecycle_stage);
  set_text(L, "experiment_id", std::to_string(info.experiment_id));
  set_integer(L, "start_time", info.start_time);
  if (info.end_time) set_integer(L, "end_time", info.end_time);
}

void push_experiment(lua_State* L, const track::Experiment& experiment) {
  lua_createtable(L, 0, 6);
  set_text(L, "experiment_id", std::to_string(experiment.id));
  set_text(L, "name", experiment.name);
  set_text(L, "artifact_location", experiment.artifact_location);
  set_text(L, "lifecycle_stage", experiment.lifecycle_stage);
  set_integer(L, "creation_time", experiment.creation_time);
  set_integer(L, "last_update_time", experiment.last_update_time);
}

// --- The store

int resolve(lua_State* L) {
  push_text(L, track::Tracker::resolve(optional_text(L, 1, "mlflow.set_tracking_uri", "uri")));
  return 1;
}

int open(lua_State* L) {
  Context& mine = context(L);
  const std::string uri = optional_text(L, 1, "mlflow.set_tracking_uri", "uri");
  const std::string artifacts = optional_text(L, 2, "mlflow.set_tracking_uri", "artifacts");
  mine.store = artifacts.empty() ? mine.tracker->open(uri) : mine.tracker->open(uri, artifacts);
  return 0;
}

int experiment(lua_State* L) {
  const auto waits = interruptible(L);
  const std::string name(text_at(L, 1, "mlflow.set_experiment", "experiment_name"));
  push_experiment(L, store(L).experiment(track::clean_utf8(name)));
  return 1;
}

std::optional<int64_t> experiment_id(const std::string& text) {
  const std::string_view digits = std::string_view(text).substr(text.starts_with('-'));
  if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoll(text);
}

int find_experiment(lua_State* L) {
  const auto waits = interruptible(L);
  std::optional<track::Experiment> found;
  const std::string id = optional_text(L, 2, "mlflow.set_experiment", "experiment_id");
  if (id.empty())
    found = store(L).find_experiment(std::string(text_at(L, 1, "mlflow.set_experiment", "experiment_name")));
  else if (const auto number = experiment_id(id)) found = store(L).find_experiment(*number);
  if (found) push_experiment(L, *found);
  else lua_pushnil(L);
  return 1;
}

int start_run(lua_State* L) {
  Context& mine = context(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  track::StartOptions options;
  const auto field = [L](const char* name) {
    lua_getfield(L, 1, name);
    std::string text = optional_text(L, -1, "mlflow.start_run", name);
    lua_pop(L, 1);
    return text;
  };
  options.run_name = track::clean_utf8(field("run_name"));
  options.parent_id = field("parent_id");
  options.script = field("script");
  lua_getfield(L, 1, "waited");
  options.waited = std::chrono::milliseconds(static_cast<int64_t>(lua_tonumber(L, -1) * 1000.0));
  lua_pop(L, 1);
  const std::string id = field("experiment_id");
  const auto number = experiment_id(id);
  if (!number) track::throw_no_experiment(id);
  options.experiment_id = *number;
  lua_getfield(L, 1, "tags");
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    options.tags.emplace_back(text_at(L, -2, "mlflow.start_run", "tags"), text_at(L, -1, "mlflow.start_run", "tags"));
  lua_pop(L, 1);
  std::sort(options.tags.begin(), options.tags.end());
  auto run = mine.tracker->start_run(store(L), options, mine.inbox);
  std::erase_if(mine.runs, [](const auto& entry) { return entry.expired(); });
  mine.runs.push_back(run);
  push<Run>(L, std::move(run));
  return 1;
}

int resume_run(lua_State* L) {
  Context& mine = context(L);
  const auto waits = interruptible(L);
  auto run = mine.tracker->resume_run(store(L), std::string(text_at(L, 1, "mlflow.start_run", "run_id")), mine.inbox);
  mine.runs.push_back(run);
  push<Run>(L, std::move(run));
  return 1;
}

// What this process has logged there is stored first: who asks reads its own writes.
void settle(lua_State* L, Context& mine, const track::Store& store) {
  auto deadline = Clock::now() + kSettle;
  if (mine.until) deadline = std::min(deadline, *mine.until);
  const auto& interrupts = vm::State::of(L).interrupts();
  while (!mine.tracker->flush(std::chrono::milliseconds(20), &store) && Clock::now() < deadline &&
         !interrupts.requested()) {
  }
}

// The store of the URI at `arg`, or the open one; with what was logged to it stored.
std::shared_ptr<track::Store> store_at(lua_State* L, int arg) {
  Context& mine = context(L);
  const std::string uri = optional_text(L, arg, "mlflow", "tracking_uri");
  auto asked = uri.empty() ? mine.store : mine.tracker->open(uri);
  if (!asked) throw Error(ErrorKind::internal, "mlflow: no store is open");
  settle(L, mine, *asked);
  return asked;
}

// Asks the store of the URI at an argument; giving up because of `until` is a failure of the store's, not an
// interruption.
template <class Ask>
auto ask(lua_State* L, int uri, Ask question) {
  const auto waits = interruptible(L);
  const auto asked = store_at(L, uri);
  try {
    return question(*asked);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::interrupted || vm::State::of(L).interrupts().requested()) throw;
    throw Error(ErrorKind::tracking,
                "mlflow: '" + track::without_credentials(asked->address()) + "' has not answered in time");
  }
}

int call(lua_State* L) {
  const std::string path(text_at(L, 1, "mlflow", "path"));
  const auto request = nlohmann::json::parse(text_at(L, 2, "mlflow", "request"));
  try {
    const auto answer = ask(L, 3, [&](track::Store& store) { return store.call(path, request); });
    push_text(L, answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return 1;
  } catch (const track::NotFound& e) {
    lua_pushnil(L);
    push_text(L, e.message());
  }
  return 2;
}

int list_artifacts(lua_State* L) {
  const std::string uri(text_at(L, 1, "mlflow.list_artifacts", "artifact_uri"));
  const std::string path = optional_text(L, 2, "mlflow.list_artifacts", "path");
  if (!path.empty()) track::check_artifact_path(path);
  const auto found = ask(L, 3, [&](track::Store& store) { return store.list_artifacts(uri, path); });
  lua_createtable(L, static_cast<int>(found.size()), 0);
  for (size_t i = 0; i < found.size(); ++i) {
    lua_createtable(L, 0, 3);
    set_text(L, "path", found[i].path);
    lua_pushboolean(L, found[i].is_folder);
    lua_setfield(L, -2, "is_dir");
    if (!found[i].is_folder) set_integer(L, "file_size", found[i].size);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int get_artifact(lua_State* L) {
  const std::string uri(text_at(L, 1, "mlflow.download_artifacts", "artifact_uri"));
  const std::string path(text_at(L, 2, "mlflow.download_artifacts", "path"));
  track::check_artifact_path(path);
  const std::string target(text_at(L, 3, "mlflow.download_artifacts", "target"));
  ask(L, 4, [&](track::Store& store) { store.get_artifact(uri, path, target); });
  return 0;
}

int put_artifact(lua_State* L) {
  const std::string uri(text_at(L, 1, "mlflow.log_artifact", "artifact_uri"));
  const std::string path(text_at(L, 2, "mlflow.log_artifact", "artifact_file"));
  track::check_artifact_path(path);
  const std::string source = optional_text(L, 3, "mlflow.log_artifact", "local_path");
  const std::string text = optional_text(L, 4, "mlflow.log_text", "text");
  ask(L, 5, [&](track::Store& store) { store.put_artifact(uri, path, source, text); });
  return 0;
}

int wait_at_most(lua_State* L) {
  auto& until = context(L).until;
  until.reset();
  if (!lua_isnoneornil(L, 1))
    until = Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(luaL_checknumber(L, 1) * 1000.0));
  return 0;
}

int local_folder(lua_State* L) {
  if (const auto folder = track::local_folder(std::string(text_at(L, 1, "mlflow", "uri")))) push_text(L, *folder);
  else lua_pushnil(L);
  return 1;
}

int files_below(lua_State* L) {
  const auto found = track::files_below(std::string(text_at(L, 1, "mlflow.log_artifacts", "local_dir")));
  lua_createtable(L, static_cast<int>(found.size()), 0);
  for (size_t i = 0; i < found.size(); ++i) {
    lua_createtable(L, 0, 2);
    set_text(L, "path", found[i].path);
    set_text(L, "relative", found[i].relative);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

// --- A run

int log_metric(lua_State* L) {
  auto& run = check<Run>(L, 1);
  const std::string_view key = text_at(L, 2, "mlflow.log_metric", "key");
  const double value = number_at(L, 3, "mlflow.log_metric", key.data());
  const int64_t step = lua_isnoneornil(L, 4) ? 0 : integer_at(L, 4, "mlflow.log_metric", "step");
  const int64_t timestamp = lua_isnoneornil(L, 5) ? -1 : integer_at(L, 5, "mlflow.log_metric", "timestamp");
  if (timestamp < 0 && !lua_isnoneornil(L, 5))
    throw_argument(L, "mlflow.log_metric", "timestamp", "milliseconds since 1970, 0 or more", 5);
  const std::string model = optional_text(L, 6, "mlflow.log_metric", "model_id");
  run->log_metric(key, value, step, timestamp, model, optional_text(L, 7, "mlflow.log_metric", "dataset"));
  return 0;
}

int metric_value(lua_State* L) {
  const std::string_view key = text_at(L, 1, "mlflow.log_metric", "key");
  track::check_key("metric", key);
  lua_pushnumber(L, number_at(L, 2, "mlflow.log_metric", key.data()));
  return 1;
}

int log_inputs(lua_State* L) {
  check<Run>(L, 1)->log_inputs(std::string(text_at(L, 2, "mlflow.log_inputs", "datasets")));
  return 0;
}

int log_param(lua_State* L) {
  check<Run>(L, 1)->log_param(text_at(L, 2, "mlflow.log_param", "key"), text_at(L, 3, "mlflow.log_param", "value"));
  return 0;
}

int set_tag(lua_State* L) {
  check<Run>(L, 1)->set_tag(text_at(L, 2, "mlflow.set_tag", "key"), text_at(L, 3, "mlflow.set_tag", "value"));
  return 0;
}

int delete_tag(lua_State* L) {
  check<Run>(L, 1)->delete_tag(text_at(L, 2, "mlflow.delete_tag", "key"));
  return 0;
}

int log_text(lua_State* L) {
  check<Run>(L, 1)->log_text(text_at(L, 2, "mlflow.log_text", "text"),
                             text_at(L, 3, "mlflow.log_text", "artifact_file"));
  return 0;
}

int log_artifact(lua_State* L) {
  check<Run>(L, 1)->log_artifact(std::string(text_at(L, 2, "mlflow.log_artifact", "local_path")),
                                 optional_text(L, 3, "mlflow.log_artifact", "artifact_path"));
  return 0;
}

int log_artifacts(lua_State* L) {
  check<Run>(L, 1)->log_artifacts(std::string(text_at(L, 2, "mlflow.log_artifacts", "local_dir")),
                                  optional_text(L, 3, "mlflow.log_artifacts", "artifact_path"));
  return 0;
}

int monitor(lua_State* L) {
  auto& run = check<Run>(L, 1);
  track::MonitorOptions options;
  options.interval = std::chrono::duration<double>(luaL_checknumber(L, 2));
  options.samples = integer_at(L, 3, "mlflow.start_run", "samples");
  if (const std::string node = optional_text(L, 4, "mlflow.start_run", "node"); !node.empty())
    options.prefix += node + "/";
  options.step = integer_at(L, 5, "mlflow.start_run", "step");
  run->monitor(std::move(options));
  return 0;
}

int end_run(lua_State* L) {
  check<Run>(L, 1)->end(std::string(text_at(L, 2, "mlflow.end_run", "status")));
  return 0;
}

int info(lua_State* L) {
  push_info(L, check<Run>(L, 1)->info());
  return 1;
}

int is_run(lua_State* L) {
  lua_pushboolean(L, check<Run>(L, 1)->is(std::string(text_at(L, 2, "mlflow", "run_id"))));
  return 1;
}

int wait_id(lua_State* L) {
  const auto& run = check<Run>(L, 1);
  const double seconds = std::clamp(static_cast<double>(luaL_checknumber(L, 2)), 0.0, 1e6);
  const auto deadline =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  auto& interrupts = vm::State::of(L).interrupts();
  bool known;
  do known = run->wait_id(std::chrono::milliseconds(seconds > 0.0 ? 20 : 0));
  while (!known && Clock::now() < deadline && !interrupts.requested());
  lua_pushboolean(L, known);
  return 1;
}

int ended(lua_State* L) {
  lua_pushboolean(L, check<Run>(L, 1)->ended());
  return 1;
}

// --- The queue

int flush(lua_State* L) {
  const double seconds = luaL_checknumber(L, 1);
  const auto limit =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::clamp(seconds, 0.0, 1e6)));
  const auto deadline = Clock::now() + limit;
  Context& mine = context(L);
  auto& interrupts = vm::State::of(L).interrupts();
  const track::Store* only = lua_toboolean(L, 2) ? mine.store.get() : nullptr;
  bool done;
  do {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    done = mine.tracker->flush(std::clamp(left, std::chrono::milliseconds(0), std::chrono::milliseconds(20)), only);
  } while (!done && Clock::now() < deadline && !interrupts.requested());
  if (interrupts.requested()) mine.tracker->hasten();
  lua_pushboolean(L, done);
  lua_pushinteger(L, static_cast<lua_Integer>(mine.tracker->waiting()));
  lua_pushinteger(L, static_cast<lua_Integer>(mine.tracker->held()));
  return 3;
}

int end_limit(lua_State* L) {
  lua_pushnumber(L, std::chrono::duration<double>(context(L).tracker->left_of_end()).count());
  return 1;
}

int sync(lua_State* L) {
  const std::string folder = optional_text(L, 1, "sync", "folder");
  const auto found = context(L).tracker->recover((folder.empty() ? "." : folder) + "/.trainhost/runs");
  lua_pushinteger(L, static_cast<lua_Integer>(found.runs));
  lua_pushinteger(L, static_cast<lua_Integer>(found.failed));
  return 2;
}

int has_events(lua_State* L) {
  lua_pushboolean(L, context(L).inbox->any());
  return 1;
}

int take_events(lua_State* L) {
  const auto events = context(L).inbox->take();
  lua_createtable(L, static_cast<int>(events.size()), 0);
  for (size_t i = 0; i < events.size(); ++i) {
    lua_createtable(L, 0, 4);
    set_text(L, "kind", name_of(events[i].kind));
    set_text(L, "message", events[i].message);
    set_text(L, "hint", events[i].hint);
    if (!events[i].run.empty()) set_text(L, "run_id", events[i].run);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int python_float(lua_State* L) {
  push_text(L, track::python_float(luaL_checknumber(L, 1)));
  return 1;
}

int new_id(lua_State* L) {
  push_text(L, track::new_id());
  return 1;
}

int check_key(lua_State* L) {
  track::check_key(text_at(L, 1, "mlflow", "what"), text_at(L, 2, "mlflow", "key"));
  return 0;
}

int run_text(lua_State* L) {
  const RunInfo info = check<Run>(L, 1)->info();
  push_text(L, "Run('" + info.name + "', " + info.id + ", " + info.status + ")");
  return 1;
}

constexpr Row kRunMetamethods[] = {
    {"__tostring", guarded<run_text>, nullptr},
    {nullptr, nullptr, nullptr},
};

constexpr Row kRows[] = {
    {"resolve", guarded<resolve>,
     "Returns the absolute form of a tracking URI; a tracking error if it is of a kind that is not supported.\n"
     "@param uri string|nil nil: ./mlflow.db\n@return string"},
    {"open", guarded<open>,
     "Opens the store of a tracking URI, which is made if it is new, and uses it from now on.\n@param uri string|nil\n"
     "@param artifacts string|nil the folder of new experiments' artifacts, default ./mlruns"},
    {"experiment", guarded<experiment>,
     "Returns the experiment of a name, made if there is none.\n@param name string\n@return table"},
    {"find_experiment", guarded<find_experiment>,
     "Returns the experiment of a name or an id.\n@param name string|nil\n@param id string|nil\n@return table|nil"},
    {"start_run", guarded<start_run>,
     "Starts a run.\n@param options {experiment_id: string, run_name: string|nil, parent_id: string|nil,\n"
     "tags: table<string, string>, script: string|nil, waited: number|nil}\n"
     "waited: seconds that its caller has waited for a server already\n@return Run"},
    {"resume_run", guarded<resume_run>,
     "Goes on with a run of the store; a tracking error if there is none.\n@param run_id string\n@return Run"},
    {"call", guarded<call>,
     "Asks a store a call of MLflow's REST API, after what was logged to it is stored. What is not there is nil and "
     "why;\nother refusals are errors.\n@param path string \"runs/search\"\n@param request string JSON\n"
     "@param uri string|nil of another store than the open one\n@return string|nil answer JSON\n"
     "@return string|nil message"},
    {"list_artifacts", guarded<list_artifacts>,
     "Lists one folder of artifacts, each {path, is_dir, file_size}.\n@param artifact_uri string\n"
     "@param path string|nil\n@param uri string|nil of another store than the open one\n"
     "@return table[]"},
    {"get_artifact", guarded<get_artifact>,
     "Copies an artifact to a file; a tracking error if there is none.\n@param artifact_uri string\n"
     "@param path string\n@param target string\n@param uri string|nil"},
    {"put_artifact", guarded<put_artifact>,
     "Stores a file, or a text, as an artifact and waits for it.\n@param artifact_uri string\n@param path string\n"
     "@param local_path string|nil\n@param text string|nil\n@param uri string|nil"},
    {"wait_at_most", guarded<wait_at_most>,
     "Has what asks a store give up, with a tracking error, so many seconds from now.\n"
     "@param seconds number|nil nil: they wait again as long as they do"},
    {"local_folder", guarded<local_folder>,
     "Returns the folder that a path or a file: URI names.\n@param uri string\n@return string|nil folder"},
    {"files_below", guarded<files_below>,
     "Lists all files below a folder, each {path, relative}; an io error if there is none.\n@param local_dir string\n"
     "@return table[]"},
    {"log_metric", guarded<log_metric>,
     "Logs one point of a metric; returns in microseconds.\n@param run Run\n@param key string\n"
     "@param value number|Tensor\n@param step integer|nil default 0\n@param timestamp integer|nil ms since 1970\n"
     "@param model_id string|nil\n@param dataset string|nil its name and its digest, a line each"},
    {"metric_value", guarded<metric_value>,
     "Returns the value of a metric as log_metric has it; raises as that does.\n@param key string\n"
     "@param value number|Tensor\n@return number"},
    {"log_inputs", guarded<log_inputs>,
     "Logs datasets that a run reads.\n@param run Run\n@param datasets string JSON of MLflow's call runs/log-inputs"},
    {"log_param", guarded<log_param>, "Logs a parameter.\n@param run Run\n@param key string\n@param value string"},
    {"set_tag", guarded<set_tag>, "Sets a tag.\n@param run Run\n@param key string\n@param value string"},
    {"delete_tag", guarded<delete_tag>, "Deletes a tag.\n@param run Run\n@param key string"},
    {"log_text", guarded<log_text>,
     "Logs a text as an artifact.\n@param run Run\n@param text string\n@param artifact_file string"},
    {"log_artifact", guarded<log_artifact>,
     "Logs a file, or a folder under its name.\n@param run Run\n@param local_path string\n"
     "@param artifact_path string|nil folder in the run's artifacts"},
    {"log_artifacts", guarded<log_artifacts>,
     "Logs all files below a folder.\n@param run Run\n@param local_dir string\n@param artifact_path string|nil"},
    {"monitor", guarded<monitor>,
     "Has what the machine is doing logged to a run until it ends, by a thread.\n@param run Run\n"
     "@param interval number seconds between two samples\n@param samples integer whose mean is logged\n"
     "@param node string|nil a part of the metrics' names\n@param step integer the first"},
    {"end_run", guarded<end_run>, "Ends a run.\n@param run Run\n@param status string FINISHED, FAILED or KILLED"},
    {"info", guarded<info>, "Returns what is known of a run.\n@param run Run\n@return table"},
    {"is_run", guarded<is_run>,
     "Is it the run of this id, be it the one that it had before its server knew it?\n@param run Run\n"
     "@param run_id string\n@return boolean"},
    {"wait_id", guarded<wait_id>,
     "Waits until info(run).run_id is the id by which others know the run.\n@param run Run\n"
     "@param seconds number at most\n@return boolean known"},
    {"ended", guarded<ended>, "Tells whether a run has ended.\n@param run Run\n@return boolean"},
    {"flush", guarded<flush>,
     "Waits until all that was logged is stored and would survive a power cut; an interruption ends the wait.\n"
     "@param seconds number at most\n@param this_store boolean|nil only what goes to the open store\n@return boolean "
     "done\n@return integer waiting records\n@return integer held of these, what a server refuses: it stays on disk"},
    {"end_limit", guarded<end_limit>,
     "The seconds that are left for the end of the process, ten from the first call on.\n@return number"},
    {"sync", guarded<sync>,
     "Hands over what processes that are no more have logged below a folder and not stored.\n"
     "@param folder string|nil the working folder\n@return integer runs\n@return integer failed runs that stay there"},
    {"has_events", guarded<has_events>, "Tells whether events wait.\n@return boolean"},
    {"take_events", guarded<take_events>,
     "Returns the events that wait, each {kind, message, hint, run_id}.\n@return table[]"},
    {"python_float", guarded<python_float>, "Writes a float as Python's str().\n@param value number\n@return string"},
    {"new_id", guarded<new_id>,
     "Makes a random id of 32 hexadecimal digits, the script's own random numbers apart.\n@return string"},
    {"check_key", guarded<check_key>,
     "Raises a usage error if a key is none of MLflow's.\n@param what string metric, param or tag\n@param key string"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_track(lua_State* L) {
  auto* block = lua_newuserdatauv(L, sizeof(Context), 0);
  new (block) Context();  // before the metatable: if a line below fails, it is lost with the state, not destroyed twice
  set_collected<Context>(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kContext);
  define<Run>(L, nullptr, kRunMetamethods);
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
