// native.save: files of torch.save.
#include <string>

#include "bindings/document.h"
#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/save.h"
#include "bindings/tensor.h"
#include "host/base/error.h"
#include "host/save/location.h"
#include "host/tensor/fresh.h"

namespace trainhost::bindings {
namespace {

// The device that map_location, or the file, gives a storage.
std::string location_text(lua_State* L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) return lua_tostring(L, index);
  return check_device(L, index).str();
}

void place(save::Storage& storage, const std::string& location) {
  const at::Device device = save::device_of(location);
  if (device.is_meta() || !device.is_cpu())
    storage.data = tensor::below_transforms([&] { return storage.data.to(device); });
}

// map_location(storage, location): a tensor on the storage's new place, the name of that place, or nil.
void place_by_function(lua_State* L, save::TorchFile& file, uint32_t i, int function) {
  save::Storage& storage = file.document().storages[i];
  lua_pushvalue(L, function);
  push_tensor(L, file.whole(i));
  lua_pushlstring(L, storage.location.data(), storage.location.size());
  lua_call(L, 2, 1);
  const int top = lua_gettop(L);
  if (lua_isnil(L, top)) {
    place(storage, storage.location);
  } else if (const at::Tensor* moved = test_tensor(L, top)) {
    if (moved->nbytes() != storage.bytes || moved->layout() != at::kStrided)
      throw_usage("torch.load: map_location gave a tensor of " + std::to_string(moved->nbytes()) +
                  " bytes for a storage of " + std::to_string(storage.bytes));
    const at::Tensor flat = moved->detach().contiguous();
    storage.data = flat.storage_offset() == 0 && flat.storage().nbytes() >= storage.bytes ? flat : flat.clone();
  } else {
    place(storage, location_text(L, top));
  }
  lua_pop(L, 1);
}

void place_storage(lua_State* L, save::TorchFile& file, uint32_t i, int map_location) {
  save::Storage& storage = file.document().storages[i];
  file.read_storage(i);
  switch (lua_type(L, map_location)) {
    case LUA_TNIL:
    case LUA_TNONE:
      return place(storage, storage.location);
    case LUA_TFUNCTION:
      return place_by_function(L, file, i, map_location);
    case LUA_TTABLE: {
      lua_pushlstring(L, storage.location.data(), storage.location.size());
      const std::string to =
          lua_gettable(L, map_location) == LUA_TNIL ? storage.location : location_text(L, lua_gettop(L));
      lua_pop(L, 1);
      return place(storage, to);
    }
    default:
      place(storage, location_text(L, map_location));
  }
}

// read_torch(path, kinds, map, map_location, memory_limit)
int read_torch(lua_State* L) {
  const std::string path(check_string(L, 1, "torch.load", "f"));
  save::TorchFile file(path, lua_toboolean(L, 3) != 0, check_limit(L, 5));
  auto& storages = file.document().storages;
  for (uint32_t i = 0; i < storages.size(); ++i) {
    if (storages[i].root != i) continue;
    try {
      place_storage(L, file, i, 4);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::device) throw;
      throw Error(e.kind(), path + ": " + e.message(), e.hint());
    }
  }
  push_document(L, file, 2);
  return 1;
}

// write_torch(path, value, kinds)
int write_torch(lua_State* L) {
  const std::string path(check_string(L, 1, "torch.save", "f"));
  save::write_torch(path, check_document(L, 2, 3, "torch.save"));
  return 0;
}

int format_of(lua_State* L) {
  static constexpr const char* kNames[] = {"torch_zip", "torch_legacy", "torch_tar", "npz",
                                           "npy",       "safetensors",  "other"};
  lua_pushstring(L, kNames[static_cast<size_t>(save::format_of(std::string(check_string(L, 1, "torch.load", "f"))))]);
  return 1;
}

}  // namespace

void set_torch_files(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"read_torch", guarded_repeatable<read_torch>,
       "Reads a file of torch.save; no code of it is run.\n@param path string\n@param kinds table\n@param map boolean "
       "share a mapping of the file\n@param map_location? string|device|table|function\n@param memory_limit? integer "
       "bytes\n@return any"},
      {"write_torch", guarded<write_torch>,
       "Writes a file that Python's torch.load opens, in one step.\n@param path string\n@param value any\n@param kinds "
       "table"},
      {"format_of", guarded<format_of>,
       "What a file's bytes say that it is.\n@param path string\n@return string torch_zip, torch_legacy, torch_tar, "
       "npz, npy, safetensors or other"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
