// Libraries of custom operators, and operators by namespace and overload: what torch.ops is made of.
#include <ATen/core/dispatch/Dispatcher.h>

#include <sstream>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/ops.h"
#include "host/tensor/catalog.h"
#include "host/tensor/library.h"
#include "host/vm/state.h"

namespace trainhost::bindings {
namespace {

// native.library.load(path) -> real path
int load(lua_State* L) {
  const std::string path(check_string(L, 1, "torch.ops.load_library", "path"));
  lua_pushstring(L, tensor::load_library(path, vm::State::of(L).options().program).c_str());
  return 1;
}

// native.library.try(path ...): the end of this process
int try_paths(lua_State* L) {
  std::vector<std::string> paths;
  for (int i = 1; i <= lua_gettop(L); ++i) paths.emplace_back(luaL_checkstring(L, i));
  tensor::try_libraries(paths);
}

// native.library.overloads("ns::name") -> {"default", "Tensor" ...}
int overloads(lua_State* L) {
  const auto names = tensor::overload_names(luaL_checkstring(L, 1));
  lua_createtable(L, static_cast<int>(names.size()), 0);
  for (size_t i = 0; i < names.size(); ++i) {
    lua_pushstring(L, names[i].c_str());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

// native.library.overload("ns::name", "Tensor") -> function | nil
int overload(lua_State* L) {
  const tensor::Operator* op = tensor::find_overload(luaL_checkstring(L, 1), luaL_checkstring(L, 2));
  if (op) push_operator(L, *op, Form::function);
  else lua_pushnil(L);
  return 1;
}

// native.library.schema("ns::name", "Tensor") -> "ns::name.Tensor(Tensor self, ...) -> Tensor" | nil
int schema(lua_State* L) {
  std::string name = luaL_checkstring(L, 2);
  if (name == "default") name.clear();
  const auto handle = c10::Dispatcher::singleton().findSchema({luaL_checkstring(L, 1), name});
  if (!handle) return lua_pushnil(L), 1;
  std::ostringstream text;
  text << handle->schema();
  lua_pushstring(L, text.str().c_str());
  return 1;
}

}  // namespace

int open_library(lua_State* L) {
  static constexpr Row kRows[] = {
      {"load", guarded<load>,
       "Opens a shared library, which registers its operators.\n@param path string\n@return string its real path"},
      {"try", guarded<try_paths>,
       "Opens libraries, says on descriptor 3 how it went, and ends the process: what the process does that load "
       "starts "
       "first.\n@param ... string"},
      {"overloads", guarded<overloads>,
       "The names of an operator's overloads; empty: there is no such operator.\n@param name string "
       "\"aten::add\"\n@return string[]"},
      {"overload", guarded<overload>,
       "One overload.\n@param name string \"aten::add\"\n@param overload string \"Tensor\", \"default\"\n@return "
       "function?"},
      {"schema", guarded<schema>,
       "The schema of one overload.\n@param name string\n@param overload string\n@return string?"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
