// Names of the functions that scripts call, found by the frames on the stack.
#include "bindings/called.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "bindings/model_fields.h"
#include "host/vm/modules.h"
#include "host/vm/traceback.h"

namespace trainhost::bindings {
namespace {

constexpr int kDeepestClass = 16;

// Adds the names under which the table on top of the stack holds the function at `function`.
void collect_keys(lua_State* L, int function, const std::string& space, std::vector<std::string>& names) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, function)) names.push_back(space + lua_tostring(L, -2));
}

// "torch.nn.functional" of the namespace on top of the stack, else "".
std::string namespace_name(lua_State* L) {
  std::string name;
  if (!lua_istable(L, -1) || !lua_getmetatable(L, -1)) return name;
  lua_pushliteral(L, "__name");
  if (lua_rawget(L, -2) == LUA_TSTRING) name = lua_tostring(L, -1);
  lua_pop(L, 2);
  return name;
}

// The name under which scripts reach the function on top of the stack. Of several, one as the call has it.
std::string public_function(lua_State* L, const lua_Debug& frame) {
  const int function = lua_gettop(L);
  std::vector<std::string> names;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const std::string space = namespace_name(L);
    if (space == "torch" || space.starts_with("torch."))
      collect_keys(L, function, space == "torch.nn.functional" ? "F." : space + ".", names);
  }
  vm::push_native(L, "native.tensor");
  if (lua_getfield(L, -1, "methods") == LUA_TTABLE) collect_keys(L, function, "Tensor.", names);
  lua_settop(L, function);
  const bool method = std::strcmp(frame.namewhat, "method") == 0;
  const std::string end = frame.name ? std::string(".") + frame.name : std::string();
  const auto rank = [&](const std::string& name) {
    return 2 * (name.starts_with("Tensor.") != method) + !(frame.name && name.ends_with(end));
  };
  std::sort(names.begin(), names.end(),
            [&](const std::string& a, const std::string& b) { return rank(a) != rank(b) ? rank(a) < rank(b) : a < b; });
  return names.empty() ? std::string() : names.front();
}

// Is torch.nn.NAME the class at `index`?
bool is_of_torch(lua_State* L, const std::string& name, int index) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  bool same = false;
  if (lua_getfield(L, -1, "torch.nn") == LUA_TTABLE) {
    lua_pushstring(L, name.c_str());
    lua_rawget(L, -2);
    same = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return same;
}

// Pushes the `forward` of the class on top of the stack or of those it is made from, nil if none has it.
void push_forward(lua_State* L) {
  lua_pushvalue(L, -1);
  for (int depth = 0; depth < kDeepestClass && lua_istable(L, -1); ++depth) {
    lua_pushliteral(L, "forward");
    if (lua_rawget(L, -2) == LUA_TFUNCTION) return lua_remove(L, -2);
    lua_pop(L, 1);
    lua_pushliteral(L, "__base");
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
  lua_pushnil(L);
}

// The layer that the function on top of the stack runs as, which is its class's forward, or the call of modules itself:
// the first local of the frame is the module. Layers whose forward the script wrote do not count.
std::string layer_of(lua_State* L, const lua_Debug& frame) {
  const int function = lua_gettop(L);
  std::string found;
  if (!lua_getlocal(L, &frame, 1)) return found;
  const int self = function + 1;
  if (test<torch::nn::Module>(L, self) && lua_getiuservalue(L, self, kClass) == LUA_TTABLE &&
      lua_getmetatable(L, self)) {
    lua_pushliteral(L, "__call");
    lua_rawget(L, -2);
    const bool calls = lua_rawequal(L, -1, function);
    lua_settop(L, self + 1);
    push_forward(L);
    lua_Debug forward;
    if (lua_isfunction(L, -1) && (calls || lua_rawequal(L, -1, function))) {
      lua_getinfo(L, ">S", &forward);
      lua_settop(L, self + 1);
      lua_pushliteral(L, "__name");
      if (vm::is_stdlib(forward) && lua_rawget(L, self + 1) == LUA_TSTRING) {
        found = lua_tostring(L, -1);
        if (is_of_torch(L, found, self + 1)) found.insert(0, "nn.");
      }
    }
  }
  lua_settop(L, function);
  return found;
}

}  // namespace

Called called(lua_State* L) {
  Called result;
  if (!lua_checkstack(L, 12)) return result;
  const int top = lua_gettop(L);
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); ++level) {
    lua_getinfo(L, "Slntf", &frame);
    const bool native = frame.currentline <= 0;
    if (!native && !vm::is_stdlib(frame)) {
      lua_settop(L, top);
      break;
    }
    std::string name = layer_of(L, frame);
    const bool layer = !name.empty();
    if (!layer && !native) name = public_function(L, frame);
    lua_settop(L, top);
    if (!layer && native) continue;
    if (name.empty()) {
      result.tail = false;  // the user called something else, which called what has the name
    } else {
      result = {std::move(name), !native && frame.istailcall != 0};
    }
    if (layer) break;
  }
  return result;
}

bool maybe_tail(lua_State* L) {
  lua_Debug frame;
  bool tail = false;
  for (int level = 0; lua_getstack(L, level, &frame); ++level) {
    lua_getinfo(L, "Slt", &frame);
    if (frame.currentline <= 0) continue;
    if (!vm::is_stdlib(frame)) return tail;
    tail = frame.istailcall != 0;
  }
  return false;
}

// Does the message say where it was, under this name or a shorter one: "nn.summary: ..." of "torch.nn.summary"?
static bool names_itself(const std::string& message, const std::string& name) {
  if (message.find(name) != std::string::npos) return true;
  const auto last = [](const std::string& path) { return path.substr(path.rfind('.') + 1); };
  const std::string head = message.substr(0, message.find(": "));
  return head.size() < message.size() && head.find(' ') == std::string::npos && last(head) == last(name);
}

void explain_tail(const Called& called, vm::Fault& fault) {
  if (!called.tail || called.name.empty()) return;
  if (!names_itself(fault.message, called.name)) fault.message = called.name + ": " + fault.message;
  fault.hint += (fault.hint.empty() ? "" : "; ") +
                ("called as `return " + called.name + "(...)` in a function that this line called");
}

}  // namespace trainhost::bindings
