// native.save: safetensors files, pictures, links.
#include <string>
#include <utility>

#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/list.h"
#include "bindings/save.h"
#include "bindings/tensor.h"
#include "host/base/publish.h"
#include "host/save/png.h"
#include "host/save/safetensors.h"
#include "host/tensor/fresh.h"

namespace trainhost::bindings {

std::vector<save::NamedTensor> check_named(lua_State* L, int index, const char* function) {
  std::vector<save::NamedTensor> tensors;
  for (auto& [name, tensor] : check_pairs(L, index, function)) tensors.push_back({std::move(name), std::move(tensor)});
  return tensors;
}

// {{name, tensor}, ...} in the file's order.
void push_named(lua_State* L, std::vector<save::NamedTensor>& tensors) {
  lua_createtable(L, static_cast<int>(tensors.size()), 0);
  for (size_t i = 0; i < tensors.size(); ++i) {
    lua_createtable(L, 2, 0);
    lua_pushlstring(L, tensors[i].name.data(), tensors[i].name.size());
    lua_rawseti(L, -2, 1);
    push_tensor(L, tensor::lifted(std::move(tensors[i].tensor)));
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
}

std::optional<uint64_t> check_limit(lua_State* L, int index) {
  if (lua_isnoneornil(L, index)) return std::nullopt;
  const lua_Integer limit = check_integer(L, index, "torch.load", "memory_limit");
  if (limit < 0) throw_argument(L, "torch.load", "memory_limit", "a number of bytes", index);
  return static_cast<uint64_t>(limit);
}

std::vector<std::pair<std::string, std::string>> check_texts(lua_State* L, int index, const char* function) {
  std::vector<std::pair<std::string, std::string>> texts;
  if (lua_isnoneornil(L, index)) return texts;
  if (!lua_istable(L, index)) throw_argument(L, function, "texts", "a list of {name, text}", index);
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, index)); i <= n; ++i) {
    if (lua_rawgeti(L, index, i) != LUA_TTABLE)
      throw_argument(L, function, "texts", "a list of {name, text}", lua_gettop(L));
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    const int top = lua_gettop(L);
    texts.emplace_back(check_string(L, top - 1, function, "name"), check_string(L, top, function, "text"));
    lua_pop(L, 3);
  }
  return texts;
}

namespace {

int read_safetensors(lua_State* L) {
  const std::string path(check_string(L, 1, "torch.load", "path"));
  auto file =
      tensor::below_transforms([&] { return save::read_safetensors(path, lua_toboolean(L, 2), check_limit(L, 3)); });
  push_named(L, file.tensors);
  lua_createtable(L, 0, static_cast<int>(file.metadata.size()));
  for (const auto& [key, value] : file.metadata) {
    lua_pushlstring(L, key.data(), key.size());
    lua_pushlstring(L, value.data(), value.size());
    lua_rawset(L, -3);
  }
  return 2;
}

int write_safetensors(lua_State* L) {
  const std::string path(check_string(L, 1, "torch.save", "path"));
  save::write_safetensors(path, check_named(L, 2, "torch.save"), check_texts(L, 3, "torch.save"));
  return 0;
}

int publish_link(lua_State* L) {
  file::publish_link(std::string(check_string(L, 1, "host.checkpoint.link", "target")),
                     std::string(check_string(L, 2, "host.checkpoint.link", "link")));
  return 0;
}

int png(lua_State* L) {
  const bool moves = !lua_isnoneornil(L, 2);
  const std::string bytes = moves ? save::to_animated_png(check_tensor(L, 1), check_number(L, 2, "png", "fps"))
                                  : save::to_png(check_tensor(L, 1));
  lua_pushlstring(L, bytes.data(), bytes.size());
  return 1;
}

}  // namespace

int open_save(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"png", guarded<png>,
       "The bytes of a PNG file.\n@param image Tensor uint8 [height, width, channels], channels 1 to 4\n@param fps? "
       "number frames per second of [time, height, width, channels]: an animated PNG\n@return string"},
      {"read_safetensors", guarded_repeatable<read_safetensors>,
       "@param path string\n@param map? boolean share a mapping of the file\n@param memory_limit? integer "
       "bytes\n@return table {{name, Tensor}, ...}\n@return table metadata"},
      {"write_safetensors", guarded<write_safetensors>,
       "Replaces the file in one step.\n@param path string\n@param tensors table {{name, Tensor}, ...}\n@param "
       "metadata? table {{key, text}, ...}"},
      {"publish_link", guarded<publish_link>,
       "Makes a symbolic link, over an older one in one step.\n@param target string\n@param link string"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  set_functions(L, kFunctions);
  set_checkpoints(L);
  set_locks(L);
  set_torch_files(L);
  set_numpy_files(L);
  return 1;
}

}  // namespace trainhost::bindings
