// native.repl: lines that a person edits at a terminal, for consoles that are written in Lua.
#include <memory>

#include "bindings/guard.h"
#include "bindings/owned.h"
#include "host/vm/repl_input.h"
#include "host/vm/state.h"

namespace trainhost::bindings {
namespace {

using Editor = std::unique_ptr<vm::Input>;

constexpr vm::Prompted kAttach{"host.attach.names", "attach_history"};
const char kEditor = 0;

// One for the state: it holds the terminal, which is one.
vm::Input& editor(lua_State* L) {
  if (auto* there = owned<Editor>(L, &kEditor)) return **there;
  auto* made = new (lua_newuserdatauv(L, sizeof(Editor), 0)) Editor;
  set_collected<Editor>(L);
  *made = vm::open_input(vm::State::of(L), true, kAttach);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kEditor);
  return **made;
}

int line(lua_State* L) {
  vm::Input& input = editor(L);
  const auto text = input.line(lua_toboolean(L, 1));
  if (text) lua_pushlstring(L, text->data(), text->size());
  else lua_pushnil(L);
  lua_pushboolean(L, input.cancelled());
  return 2;
}

int remember(lua_State* L) {
  editor(L).remember(luaL_checkstring(L, 1));
  return 0;
}

constexpr Row kRows[] = {
    {"line", guarded<line>,
     "Reads a line of `trainhost attach` from the terminal, with history and completion.\n"
     "@param more boolean|nil does it go on with what was typed before?\n"
     "@return string|nil text nil at the end of the input\n@return boolean cancelled Ctrl-C: what was typed is "
     "dropped"},
    {"remember", guarded<remember>, "Adds what was typed to the history.\n@param chunk string"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_repl(lua_State* L) {
  lua_newtable(L);
  set_functions(L, kRows);
  return 1;
}

}  // namespace trainhost::bindings
