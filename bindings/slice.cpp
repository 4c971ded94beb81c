// torch.None and torch.slice: made, recognised and shown.
#include "bindings/slice.h"

#include <algorithm>
#include <new>
#include <string_view>

#include "bindings/tensor.h"
#include "host/tensor/indexing.h"

namespace trainhost::bindings {
namespace {

// Addresses that stand for entries of Lua's registry.
constexpr char kNone = 0, kNoneMeta = 0, kSliceMeta = 0;

int none_text(lua_State* L) {
  lua_pushliteral(L, "None");
  return 1;
}

const Row kNoneRows[] = {{"__tostring", guarded<none_text>, "---@return string"}, {nullptr, nullptr, nullptr}};

int slice_text(lua_State* L) {
  const auto* slice = test_slice(L, 1);
  if (!slice) throw_argument(L, "tostring", "slice", "a torch.slice", 1);
  const std::string text = tensor::to_string(*slice);
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

// slice.start, slice.stop, slice.step: an integer or nil.
int slice_field(lua_State* L) {
  const auto* slice = test_slice(L, 1);
  const std::string_view name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  const std::optional<int64_t>* side = !slice            ? nullptr
                                       : name == "start" ? &slice->start
                                       : name == "stop"  ? &slice->stop
                                       : name == "step"  ? &slice->step
                                                         : nullptr;
  if (side && *side) lua_pushinteger(L, **side);
  else lua_pushnil(L);
  return 1;
}

const Row kSliceRows[] = {{"__tostring", guarded<slice_text>, "---@return string"},
                          {"__index", guarded<slice_field>, "---@return integer?"},
                          {nullptr, nullptr, nullptr}};

}  // namespace

bool has_metatable(lua_State* L, int index, const char* key) noexcept {
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  const bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

void push_metatable(lua_State* L, const char* key, const char* name, const Row* rows) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  set_functions(L, rows);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

tensor::Slice* test_slice(lua_State* L, int index) noexcept {
  return has_metatable(L, index, &kSliceMeta) ? static_cast<tensor::Slice*>(lua_touserdata(L, index)) : nullptr;
}

std::optional<int64_t> integer_at(lua_State* L, int index) {
  int exact = 0;
  if (lua_type(L, index) != LUA_TNUMBER) return std::nullopt;
  const lua_Integer value = lua_tointegerx(L, index, &exact);
  return exact ? std::optional<int64_t>(value) : std::nullopt;
}

void push_none(lua_State* L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kNone) == LUA_TUSERDATA) return;
  lua_pop(L, 1);
  lua_newuserdatauv(L, 1, 0);
  push_metatable(L, &kNoneMeta, "None", kNoneRows);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kNone);
}

bool is_none(lua_State* L, int index) noexcept { return has_metatable(L, index, &kNoneMeta); }

int slice(lua_State* L) {
  const int count = lua_gettop(L);
  if (count < 1 || count > 3)
    throw_usage("torch.slice: expected (stop) or (start, stop, step), got " + std::to_string(count) + " arguments");
  tensor::Slice value;
  std::optional<int64_t>* const sides[] = {&value.start, &value.stop, &value.step};
  static constexpr const char* kNames[] = {"start", "stop", "step"};
  for (int i = 1; i <= count; ++i) {
    const int side = count == 1 ? 1 : i - 1;
    if (lua_isnil(L, i) || is_none(L, i)) continue;
    if (const at::Tensor* tensor = test_tensor(L, i)) {
      if (tensor->numel() != 1 || !at::isIntegralType(tensor->scalar_type(), /*includeBool=*/true))
        throw_usage("only integer tensors of a single element can be converted to an index");
      *sides[side] = tensor->item().toLong();
      continue;
    }
    *sides[side] = integer_at(L, i);
    if (!*sides[side]) throw_argument(L, "torch.slice", kNames[side], "an integer or nil", i);
  }
  auto* block = lua_newuserdatauv(L, sizeof(tensor::Slice), 0);
  new (block) tensor::Slice(value);
  push_metatable(L, &kSliceMeta, "slice", kSliceRows);
  lua_setmetatable(L, -2);
  return 1;
}

bool is_slice(lua_State* L, int index) noexcept {
  if (lua_type(L, index) != LUA_TSTRING) return test_slice(L, index) != nullptr;
  const std::string_view text = lua_tostring(L, index);
  return text.find(':') != text.npos && text.find_first_not_of("0123456789-: ") == text.npos;
}

int slice_indices(lua_State* L) {
  if (!is_slice(L, 1)) return lua_pushnil(L), 1;
  tensor::Slice slice;
  if (const auto* given = test_slice(L, 1)) {
    slice = *given;
  } else {
    const tensor::Indices items = tensor::parse_indices(lua_tostring(L, 1));
    const auto* only = items.size() == 1 ? std::get_if<tensor::Slice>(&items[0]) : nullptr;
    if (!only) throw_argument(L, "slice", "key", "one slice, as \"1:3\"", 1);
    slice = *only;
  }
  const auto size = static_cast<int64_t>(luaL_checkinteger(L, 2));
  const int64_t step = slice.step.value_or(1);
  if (step == 0) throw_usage("slice step cannot be zero");
  const int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? size : size - 1;
  const auto bound = [&](const std::optional<int64_t>& side, int64_t open) {
    if (!side) return open;
    return *side < 0 ? std::max(*side + size, lowest) : std::min(*side, highest);
  };
  const int64_t stop = bound(slice.stop, step > 0 ? highest : lowest);
  int64_t at = bound(slice.start, step > 0 ? lowest : highest);
  lua_newtable(L);
  for (lua_Integer i = 1; step > 0 ? at < stop : at > stop; ++i) {
    lua_pushinteger(L, at);
    lua_rawseti(L, -2, i);
    // A step over the end must not run over the end of the integers.
    at = step > 0 ? at + std::min(step, stop - at) : at + std::max(step, stop - at);
  }
  return 1;
}

}  // namespace trainhost::bindings
