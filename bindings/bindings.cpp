// Opens every native module in a state: one row a noun.
#include "bindings/bindings.h"

#include <lua.hpp>

#include "host/vm/modules.h"

namespace trainhost::bindings {

// Each pushes its module table, as a lua_CFunction given to `require "native.NOUN"`.
int open_tensor(lua_State* L);
int open_ops(lua_State* L);
int open_autograd(lua_State* L);
int open_data(lua_State* L);
int open_save(lua_State* L);
int open_model(lua_State* L);
int open_trace(lua_State* L);
int open_optim(lua_State* L);
int open_track(lua_State* L);
int open_track_reader(lua_State* L);
int open_vm(lua_State* L);
int open_file(lua_State* L);
int open_json(lua_State* L);
int open_log(lua_State* L);
int open_doc(lua_State* L);
int open_library(lua_State* L);
int open_context(lua_State* L);
int open_autocast(lua_State* L);
int open_device(lua_State* L);
int open_events(lua_State* L);
int open_metric(lua_State* L);
int open_metric_text(lua_State* L);
int open_magnitude(lua_State* L);
int open_repl(lua_State* L);
int open_serve(lua_State* L);
int open_status_line(lua_State* L);
int open_http(lua_State* L);

void open_all(lua_State* L) {
  static constexpr struct {
    const char* module;
    lua_CFunction open;
  } kModules[] = {
      {"native.tensor", open_tensor},
      {"native.ops", open_ops},
      {"native.data", open_data},
      {"native.save", open_save},
      {"native.model", open_model},
      {"native.optim", open_optim},
      {"native.track", open_track},
      {"native.track_reader", open_track_reader},
      {"native.vm", open_vm},
      {"native.file", open_file},
      {"native.json", open_json},
      {"native.log", open_log},
      {"native.library", open_library},
      {"native.context", open_context},
      {"native.autocast", open_autocast},
      {"native.device", open_device},
      {"native.doc", open_doc},
      {"native.autograd", open_autograd},
      {"native.metric", open_metric},
      {"native.trace", open_trace},
      {"native.metric_text", open_metric_text},
      {"native.events", open_events},
      {"native.magnitude", open_magnitude},
      {"native.repl", open_repl},
      {"native.serve", open_serve},
      {"native.status_line", open_status_line},
      {"native.http", open_http},
  };
  for (const auto& row : kModules) vm::add_native(L, row.module, row.open);
}

}  // namespace trainhost::bindings
