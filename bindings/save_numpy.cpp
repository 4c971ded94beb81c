// native.save: numpy's files.
#include <string>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/save.h"
#include "bindings/tensor.h"
#include "host/save/npy.h"

namespace trainhost::bindings {
namespace {

int read_npy(lua_State* L) {
  push_tensor(L, save::read_npy(std::string(check_string(L, 1, "torch.load", "f")), lua_toboolean(L, 2) != 0));
  return 1;
}

int read_npz(lua_State* L) {
  auto arrays =
      save::read_npz(std::string(check_string(L, 1, "torch.load", "f")), lua_toboolean(L, 2) != 0, check_limit(L, 3));
  push_named(L, arrays);
  return 1;
}

int write_npy(lua_State* L) {
  save::write_npy(std::string(check_string(L, 1, "torch.save", "f")), check_tensor(L, 2));
  return 0;
}

int write_npz(lua_State* L) {
  save::write_npz(std::string(check_string(L, 1, "torch.save", "f")), check_named(L, 2, "torch.save"),
                  lua_toboolean(L, 3) != 0);
  return 0;
}

}  // namespace

void set_numpy_files(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"read_npy", guarded_repeatable<read_npy>,
       "@param path string\n@param map? boolean share a mapping of the file\n@return Tensor"},
      {"read_npz", guarded_repeatable<read_npz>,
       "@param path string\n@param map? boolean share a mapping of the file\n@param memory_limit? integer "
       "bytes\n@return table {{name, Tensor}, ...}"},
      {"write_npy", guarded<write_npy>, "Replaces the file in one step.\n@param path string\n@param tensor Tensor"},
      {"write_npz", guarded<write_npz>,
       "Replaces the file in one step.\n@param path string\n@param tensors table {{name, Tensor}, ...}\n@param "
       "compressed? boolean"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
