// native.save: numpy's files.
#include <string>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/save.h"
#include "bindings/tensor.h"
#include "host/save/npy.h"
#include "host/tensor/fresh.h"

namespace trainhost::bindings {
namespace {

// The strings of the dimensions from `dim` on, the first of them at `next`: tables in tables.
void push_strings(lua_State* L, const save::NpyArray& array, size_t dim, size_t& next) {
  if (dim == array.shape.size()) {
    const std::string& text = (*array.strings)[next++];
    lua_pushlstring(L, text.data(), text.size());
    return;
  }
  luaL_checkstack(L, 2, "strings");
  lua_newtable(L);
  for (int64_t i = 1; i <= array.shape[dim]; ++i) {
    push_strings(L, array, dim + 1, next);
    lua_rawseti(L, -2, i);
  }
}

void push_array(lua_State* L, save::NpyArray& array) {
  if (!array.strings) return push_tensor(L, tensor::lifted(std::move(array.tensor)));
  size_t next = 0;
  push_strings(L, array, 0, next);
}

int read_npy(lua_State* L) {
  const std::string path(check_string(L, 1, "torch.load", "f"));
  auto array = tensor::below_transforms([&] { return save::read_npy(path, lua_toboolean(L, 2), check_limit(L, 3)); });
  push_array(L, array);
  return 1;
}

int read_npz(lua_State* L) {
  const std::string path(check_string(L, 1, "torch.load", "f"));
  auto arrays = tensor::below_transforms([&] { return save::read_npz(path, lua_toboolean(L, 2), check_limit(L, 3)); });
  lua_createtable(L, static_cast<int>(arrays.size()), 0);
  for (size_t i = 0; i < arrays.size(); ++i) {
    lua_createtable(L, 2, 0);
    lua_pushlstring(L, arrays[i].name.data(), arrays[i].name.size());
    lua_rawseti(L, -2, 1);
    if (arrays[i].refusal.empty()) push_array(L, arrays[i].array);
    else lua_pushlstring(L, arrays[i].refusal.data(), arrays[i].refusal.size());
    lua_rawseti(L, -2, arrays[i].refusal.empty() ? 2 : 3);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
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
       "@param path string\n@param map? boolean share a mapping of the file\n@param "
       "memory_limit? integer bytes\n@return Tensor|string|table"},
      {"read_npz", guarded_repeatable<read_npz>,
       "@param path string\n@param map? boolean share a mapping of the file\n@param memory_limit? integer "
       "bytes\n@return table {{name, Tensor|string|table|nil, why there is none}, ...}"},
      {"write_npy", guarded<write_npy>, "Replaces the file in one step.\n@param path string\n@param tensor Tensor"},
      {"write_npz", guarded<write_npz>,
       "Replaces the file in one step.\n@param path string\n@param tensors table {{name, Tensor}, ...}\n@param "
       "compressed? boolean"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
