// native.track_reader: what runs of a store have logged, for those who look at it; nothing is written.
#include "host/track/reader.h"

#include <map>
#include <nlohmann/json.hpp>

#include "bindings/keywords.h"
#include "bindings/object.h"
#include "bindings/owned.h"
#include "host/track/run_folder.h"

namespace trainhost::bindings {
namespace {

using Servers = std::map<std::string, std::shared_ptr<track::Store>>;  // kept for their connections
const char kServers = 0;                                               // its address is the registry key

std::shared_ptr<track::Store> store_at(lua_State* L, const char* function) {
  const std::string address(check_string(L, 1, function, "address"));
  auto* const servers = owned<Servers>(L, &kServers);
  if (!servers || address.find("://") == std::string::npos) return track::open_to_read(address);
  auto& server = (*servers)[address];
  if (!server) server = track::open_to_read(address);
  return server;
}

track::StopAsked interruptible(lua_State* L) {
  return track::StopAsked([&interrupts = vm::State::of(L).interrupts()] { return interrupts.requested(); });
}

int call(lua_State* L) {
  const auto waits = interruptible(L);
  const std::string path(check_string(L, 2, "call", "path"));
  const auto request = nlohmann::json::parse(check_string(L, 3, "call", "request"));
  try {
    const std::string answer =
        store_at(L, "call")->call(path, request).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    lua_pushlstring(L, answer.data(), answer.size());
    return 1;
  } catch (const track::NotFound& e) {
    lua_pushnil(L);
    lua_pushlstring(L, e.message().data(), e.message().size());
  }
  return 2;
}

int points(lua_State* L) {
  const auto waits = interruptible(L);
  const auto store = store_at(L, "points");
  const auto list = track::points(*store, std::string(check_string(L, 2, "points", "run_id")),
                                  std::string(check_string(L, 3, "points", "key")), luaL_optinteger(L, 4, 0));
  lua_createtable(L, static_cast<int>(list.size()), 0);
  for (size_t i = 0; i < list.size(); ++i) {
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, list[i].step);
    lua_setfield(L, -2, "step");
    lua_pushnumber(L, list[i].value);
    lua_setfield(L, -2, "value");
    lua_pushinteger(L, list[i].timestamp);
    lua_setfield(L, -2, "timestamp");
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int artifacts(lua_State* L) {
  const auto waits = interruptible(L);
  const auto found = store_at(L, "artifacts")
                         ->list_artifacts(std::string(check_string(L, 2, "artifacts", "artifact_uri")),
                                          std::string(check_string(L, 3, "artifacts", "path")));
  lua_createtable(L, static_cast<int>(found.size()), 0);
  for (size_t i = 0; i < found.size(); ++i) {
    lua_createtable(L, 0, 3);
    lua_pushlstring(L, found[i].path.data(), found[i].path.size());
    lua_setfield(L, -2, "path");
    lua_pushboolean(L, found[i].is_folder);
    lua_setfield(L, -2, "is_dir");
    lua_pushinteger(L, found[i].size);
    lua_setfield(L, -2, "file_size");
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int artifact(lua_State* L) {
  const auto waits = interruptible(L);
  store_at(L, "artifact")
      ->get_artifact(std::string(check_string(L, 2, "artifact", "artifact_uri")),
                     std::string(check_string(L, 3, "artifact", "path")),
                     std::string(check_string(L, 4, "artifact", "target")));
  return 0;
}

int is_left(lua_State* L) {
  const std::string runs(check_string(L, 1, "is_left", "folder"));
  lua_pushboolean(L, track::RunFolder(runs, std::string(check_string(L, 2, "is_left", "run_id"))).is_left());
  return 1;
}

constexpr Row kRows[] = {
    {"call", guarded<call>,
     "Asks a store a call of MLflow's REST API that changes nothing. What is not there is nil and why; other refusals "
     "are\nerrors, a tracking error if the file is none of MLflow's.\n@param address string the path of an mlflow.db, "
     "or "
     "the URL of a server\n@param path string \"runs/search\"\n@param request string JSON\n@return string|nil answer "
     "JSON\n@return string|nil message"},
    {"points", guarded<points>,
     "Reads the points of a metric, {step, value, timestamp} by their time.\n@param address string\n"
     "@param run_id string\n@param key string\n@param skip integer|nil so many of the first are left out\n"
     "@return table[]"},
    {"artifacts", guarded<artifacts>,
     "Lists one folder of artifacts, each {path, is_dir, file_size}.\n@param address string\n"
     "@param artifact_uri string\n@param path string\n@return table[]"},
    {"artifact", guarded<artifact>,
     "Copies an artifact to a file; a tracking error if there is none.\n@param address string\n"
     "@param artifact_uri string\n@param path string\n@param target string"},
    {"is_left", guarded<is_left>,
     "Tells whether the process is no more that logged to a run.\n@param folder string \".trainhost/runs\"\n"
     "@param run_id string\n@return boolean"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_track_reader(lua_State* L) {
  auto* block = lua_newuserdatauv(L, sizeof(Servers), 0);
  new (block) Servers();  // before the metatable: if a line below fails, it is lost with the state, not destroyed twice
  set_collected<Servers>(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kServers);
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
