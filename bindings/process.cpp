// How many threads LibTorch uses, for the whole process.
#include "bindings/process.h"

#include <ATen/Parallel.h>

#include <limits>

#include "bindings/guard.h"
#include "bindings/keywords.h"

namespace trainhost::bindings {
namespace {

int check_threads(lua_State* L, const char* function) {
  const lua_Integer threads = check_integer(L, 1, function, "threads");
  if (threads < 1 || threads > std::numeric_limits<int>::max())
    throw_usage(std::string(function) + " expects a positive integer");
  return static_cast<int>(threads);
}

int set_num_threads(lua_State* L) { return at::set_num_threads(check_threads(L, "torch.set_num_threads")), 0; }
int get_num_threads(lua_State* L) { return lua_pushinteger(L, at::get_num_threads()), 1; }
int set_num_interop_threads(lua_State* L) {
  return at::set_num_interop_threads(check_threads(L, "torch.set_num_interop_threads")), 0;
}
int get_num_interop_threads(lua_State* L) { return lua_pushinteger(L, at::get_num_interop_threads()), 1; }

}  // namespace

void set_process_functions(lua_State* L) {
  static constexpr Row kRows[] = {
      {"set_num_threads", guarded<set_num_threads>,
       "Threads inside an operator.\n@param threads integer"
       "\n@example local before = torch.get_num_threads()\ntorch.set_num_threads(1)\ntorch.get_num_threads()  --> "
       "1\ntorch.set_num_threads(before)"},
      {"get_num_threads", guarded<get_num_threads>,
       "@return integer"
       "\n@example torch.get_num_threads() > 0  --> true"},
      {"set_num_interop_threads", guarded<set_num_interop_threads>,
       "Threads between operators; once, at the start.\n@param threads integer"},
      {"get_num_interop_threads", guarded<get_num_interop_threads>,
       "@return integer"
       "\n@example torch.get_num_interop_threads() > 0  --> true"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
