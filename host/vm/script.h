// What a script leaves with its host: functions to run at the end, and the parameters it read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

struct lua_State;

namespace trainhost::vm {

class State;

// Pops a function; it is called with "finished", "failed" or "killed" when the script ends, the last one first.
void at_exit(lua_State* L);
// Calls them, each once, each protected; what they raise is returned, one line each. On the state's thread.
std::vector<std::string> run_at_exit(State& state, std::string_view status);

// The text of --set NAME=VALUE, or null; remembers that the script asked for it.
const std::string* read_param(lua_State* L, const std::string& name);
struct UnreadParam {
  std::string name;
  std::vector<std::string> nearest;  // names that the script did read
};
std::vector<UnreadParam> unread_params(State& state);

// Pushes the global or the field in tables of that name, "a.b"; nil where there is none. Throws what Lua raises. False,
// and nothing is pushed: a metamethod called os.exit.
bool push_named(State& state, std::string_view name);
// The same for one that is to be called; a usage Error if it is nil.
bool push_function(State& state, std::string_view name);
// Pops a value and stores it so; makes the tables between.
void set_named(State& state, std::string_view name);

// Those of `names` that `wanted` may have meant, best first.
std::vector<std::string> nearest(std::string_view wanted, const std::vector<std::string>& names, size_t most);

}  // namespace trainhost::vm
