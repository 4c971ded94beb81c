// torch.Size: an empty table in front of the values, so that nothing can be assigned; kept by its values.
#include "bindings/size.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "bindings/guard.h"
#include "bindings/tensor.h"
#include "host/vm/weak_table.h"

namespace trainhost::bindings {
namespace {

// Addresses that stand for entries of Lua's registry: sizes by their bytes (weak); the metatable of the values, whose
// __index is the methods; what each size's metatable begins with.
const char kSizes = 0, kValuesMeta = 0, kTemplate = 0;
// A size's metatable has its values under this key; tells it from other tables, too.
const char kValues = 0;

// Pushes the values behind the size at `index`; false (nothing pushed) if it is none.
bool push_values(lua_State* L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  if (lua_rawgetp(L, -1, &kValues) == LUA_TTABLE) {
    lua_remove(L, -2);
    return true;
  }
  lua_pop(L, 2);
  return false;
}

std::vector<int64_t> read(lua_State* L, int index, const char* what) {
  std::vector<int64_t> sizes;
  if (!lua_istable(L, index)) throw_argument(L, what, "sizes", "a list of integers", index);
  for (lua_Integer i = 1, n = list_length(L, index); i <= n; ++i) {
    push_list_item(L, index, i);
    int exact = 0;
    sizes.push_back(lua_tointegerx(L, -1, &exact));
    if (!exact || lua_type(L, -1) != LUA_TNUMBER)
      throw_usage(std::string(what) + " takes an iterable of 'int' (item " + std::to_string(i - 1) + " is " +
                  describe(L, -1) + ")");
    lua_pop(L, 1);
  }
  return sizes;
}

int size_text(lua_State* L) {
  std::string text = "torch.Size([";
  const auto sizes = read(L, 1, "torch.Size");
  for (size_t i = 0; i < sizes.size(); ++i) text += (i ? ", " : "") + std::to_string(sizes[i]);
  text += "])";
  return lua_pushlstring(L, text.data(), text.size()), 1;
}

// With a table, too: x.shape == {2, 3}.
int size_equal(lua_State* L) {
  const lua_Integer count = list_length(L, 1);
  bool equal = count == list_length(L, 2);
  for (lua_Integer i = 1; equal && i <= count; ++i) {
    push_list_item(L, 1, i);
    push_list_item(L, 2, i);
    equal = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  return lua_pushboolean(L, equal), 1;
}

int size_length(lua_State* L) { return lua_pushinteger(L, list_length(L, 1)), 1; }

int size_join(lua_State* L) {
  auto sizes = read(L, 1, "torch.Size"), more = read(L, 2, "torch.Size");
  sizes.insert(sizes.end(), more.begin(), more.end());
  return push_sizes(L, sizes), 1;
}

int size_assign(lua_State*) {
  throw_usage("'torch.Size' does not support item assignment", "make a table of it: {table.unpack(x.shape)}");
}

int size_pairs(lua_State* L) {
  lua_getglobal(L, "next");
  if (!push_values(L, 1)) throw_argument(L, "pairs", "size", "a torch.Size", 1);
  lua_pushnil(L);
  return 3;
}

int size_numel(lua_State* L) {
  int64_t product = 1;
  for (const int64_t size : read(L, 1, "torch.Size.numel")) product *= size;
  return lua_pushinteger(L, product), 1;
}

int size_count(lua_State* L) {
  const auto sizes = read(L, 1, "torch.Size.count");
  int exact = 0;
  const lua_Integer value = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &exact) : 0;
  return lua_pushinteger(L, exact ? std::count(sizes.begin(), sizes.end(), value) : 0), 1;
}

int size_position(lua_State* L) {
  const auto sizes = read(L, 1, "torch.Size.index");
  int exact = 0;
  const lua_Integer value = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &exact) : 0;
  const auto found = exact ? std::find(sizes.begin(), sizes.end(), value) : sizes.end();
  if (found == sizes.end()) throw_usage("torch.Size.index: " + describe(L, 2) + " is not among the sizes");
  return lua_pushinteger(L, found - sizes.begin() + 1), 1;
}

// torch.Size(list), torch.Size().
int make_size(lua_State* L) {
  push_sizes(L, lua_isnoneornil(L, 1) ? std::vector<int64_t>() : read(L, 1, "torch.Size"));
  return 1;
}

constexpr Row kMetamethods[] = {
    {"__tostring", guarded<size_text>, nullptr}, {"__eq", guarded<size_equal>, nullptr},
    {"__len", guarded<size_length>, nullptr},    {"__concat", guarded<size_join>, nullptr},
    {"__add", guarded<size_join>, nullptr},      {"__newindex", guarded<size_assign>, nullptr},
    {"__pairs", guarded<size_pairs>, nullptr},   {nullptr, nullptr, nullptr}};
constexpr int kMetaSize = std::size(kMetamethods) - 1 + 3;  // and __name, __index, the values

}  // namespace

void unwrap_size(lua_State* L, int index) {
  if (lua_istable(L, index) && push_values(L, index)) lua_replace(L, index);
}

void refuse_other_keys(lua_State* L, int index, lua_Integer size) {
  // Behind the last element stands nothing, unless the list was built in another order.
  if (size > 0) lua_pushinteger(L, size);
  else lua_pushnil(L);
  if (!lua_next(L, index)) return;
  lua_pop(L, 2);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (key >= 1 && key <= size) continue;
    throw_usage("a list counts from 1 without holes: this one has " + std::to_string(size) + " elements, and the key " +
                describe(L, lua_gettop(L) - 1) + " beside them");
  }
}

lua_Integer list_length(lua_State* L, int index) {
  if (!lua_istable(L, index)) return 0;
  const auto length = static_cast<lua_Integer>(lua_rawlen(L, index));
  if (length > 0 || !push_values(L, index)) return length;
  const auto behind = static_cast<lua_Integer>(lua_rawlen(L, -1));
  lua_pop(L, 1);
  return behind;
}

int push_list_item(lua_State* L, int index, lua_Integer i) {
  const int type = lua_rawgeti(L, index, i);
  if (type != LUA_TNIL || !push_values(L, lua_absindex(L, index < 0 ? index - 1 : index))) return type;
  lua_rawgeti(L, -1, i);
  lua_replace(L, -3);
  lua_pop(L, 1);
  return lua_type(L, -1);
}

void push_sizes(lua_State* L, at::IntArrayRef sizes) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kSizes);
  lua_pushlstring(L, reinterpret_cast<const char*>(sizes.data()), sizes.size() * sizeof(int64_t));
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TTABLE) {
    lua_replace(L, -3);
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  lua_newtable(L);  // the size
  // Its metatable is its own, so that size[1] is a table's lookup and no call; the functions are the same in all.
  lua_createtable(L, 0, kMetaSize);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kTemplate);
  for (lua_pushnil(L); lua_next(L, -2);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
  lua_createtable(L, static_cast<int>(sizes.size()), 0);
  for (size_t i = 0; i < sizes.size(); ++i) {
    lua_pushinteger(L, sizes[i]);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kValuesMeta);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, &kValues);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_insert(L, -3);  // size, sizes, name
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void open_size(lua_State* L) {
  vm::push_weak_table(L, "v");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kSizes);
  static constexpr Row kMethods[] = {
      {"numel", guarded<size_numel>, "The product of the sizes.\n@return integer"},
      {"count", guarded<size_count>, "How many of the sizes are this one.\n@param value integer\n@return integer"},
      {"index", guarded<size_position>,
       "Where a size stands first: size[size:index(3)] == 3.\n@param value "
       "integer\n@return integer from 1"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  lua_newtable(L);
  set_functions(L, kMethods);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kValuesMeta);
  lua_newtable(L);
  set_functions(L, kMetamethods);
  lua_pushliteral(L, "torch.Size");
  lua_setfield(L, -2, "__name");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kTemplate);
  static constexpr Row kFunctions[] = {
      {"Size", guarded<make_size>,
       "A read-only list of sizes, as x.shape is.\n@param sizes? integer[]\n@return integer[]"
       "\n@example torch.Size{2, 3}:numel()  --> 6"},
      {nullptr, nullptr, nullptr}};
  set_functions(L, kFunctions);
}

}  // namespace trainhost::bindings
