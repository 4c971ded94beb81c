// native.track_reader: what runs of a store have logged, for `trainhost plot`; nothing is written.
#include "bindings/keywords.h"
#include "bindings/object.h"
#include "host/track/reader.h"

namespace trainhost::bindings {
namespace {

void set_text(lua_State* L, const char* name, const std::string& text) {
  lua_pushlstring(L, text.data(), text.size());
  lua_setfield(L, -2, name);
}

void set_integer(lua_State* L, const char* name, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

int runs(lua_State* L) {
  const auto list = track::Reader(std::string(check_string(L, 1, "runs", "path"))).runs();
  lua_createtable(L, static_cast<int>(list.size()), 0);
  for (size_t i = 0; i < list.size(); ++i) {
    const auto& [info, metrics] = list[i];
    lua_createtable(L, 0, 6);
    set_text(L, "run_id", info.id);
    set_text(L, "run_name", info.name);
    set_text(L, "status", info.status);
    set_text(L, "experiment_id", std::to_string(info.experiment_id));
    set_integer(L, "start_time", info.start_time);
    lua_createtable(L, static_cast<int>(metrics.size()), 0);
    for (size_t k = 0; k < metrics.size(); ++k) {
      lua_pushlstring(L, metrics[k].data(), metrics[k].size());
      lua_rawseti(L, -2, static_cast<lua_Integer>(k + 1));
    }
    lua_setfield(L, -2, "metrics");
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int points(lua_State* L) {
  track::Reader reader(std::string(check_string(L, 1, "points", "path")));
  const auto list = reader.points(std::string(check_string(L, 2, "points", "run_id")),
                                  std::string(check_string(L, 3, "points", "key")));
  lua_createtable(L, static_cast<int>(list.size()), 0);
  for (size_t i = 0; i < list.size(); ++i) {
    lua_createtable(L, 0, 2);
    set_integer(L, "step", list[i].step);
    lua_pushnumber(L, list[i].value);
    lua_setfield(L, -2, "value");
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

constexpr Row kRows[] = {
    {"runs", guarded<runs>,
     "Lists the runs of an MLflow database that are not deleted, the latest first: {run_id, run_name, status,\n"
     "experiment_id, start_time, metrics = {names}}; a tracking error if the file is none.\n@param path string\n"
     "@return table[]"},
    {"points", guarded<points>,
     "Reads the points of a metric, {step, value} by step.\n@param path string\n@param run_id string\n"
     "@param key string\n@return table[]"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_track_reader(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
