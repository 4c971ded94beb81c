// From Lua to a document: which of Python's types a table is, and the place of what cannot be saved.
#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "bindings/complex.h"
#include "bindings/document.h"
#include "bindings/dtype.h"
#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/size.h"
#include "host/base/error.h"

namespace trainhost::bindings {
namespace {

using save::Dict;
using save::Kind;
using save::Value;

constexpr size_t kMostDepth = 500;  // Python's own pickler ends a little later

class Checker {
 public:
  Checker(lua_State* L, int kinds, const char* function) : L_(L), function_(function) {
    const auto pointer = [&](const char* name) {
      lua_getfield(L, kinds, name);
      const void* at = lua_topointer(L, -1);
      lua_pop(L, 1);
      return at;
    };
    list_ = pointer("list");
    tuple_ = pointer("tuple");
    none_ = pointer("none");
  }

  save::Document run(int index) {
    document_.root = value(index);
    return std::move(document_);
  }

 private:
  std::string where() const {
    std::string text;
    for (const std::string& part : path_) text += part;
    return text.starts_with('.') ? text.substr(1) : "the value" + text;
  }

  [[noreturn]] void bad(int index, const char* hint = "") const {
    throw_usage(std::string(function_) + ": " + where() + " is " + describe(L_, index) +
                    ", expected nil, a boolean, number, string, Tensor, dtype, device or a table of them",
                hint);
  }

  Value value(int index) {
    switch (lua_type(L_, index)) {
      case LUA_TNIL:
        return {};
      case LUA_TBOOLEAN: {
        Value made(Kind::boolean, 0);
        made.boolean = lua_toboolean(L_, index) != 0;
        return made;
      }
      case LUA_TNUMBER: {
        if (lua_isinteger(L_, index)) return {Kind::integer, lua_tointeger(L_, index)};
        Value made(Kind::real, 0);
        made.real = lua_tonumber(L_, index);
        return made;
      }
      case LUA_TSTRING: {
        size_t size = 0;
        const char* text = lua_tolstring(L_, index, &size);
        document_.texts.emplace_back(text, size);  // the caller's value keeps it
        return Value::at(Kind::text, document_.texts.size() - 1);
      }
      case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L_, index)) return {};  // json.null
        bad(index);
      case LUA_TUSERDATA:
        return object(index);
      case LUA_TTABLE:
        return table(index);
      default:
        bad(index);
    }
  }

  Value object(int index) {
    if (lua_topointer(L_, index) == none_) return {};
    if (const at::Tensor* tensor = test_tensor(L_, index)) {
      const auto [known, added] = tensors_.try_emplace(tensor->unsafeGetTensorImpl(), document_.tensors.size());
      if (added) {
        save::TensorNode node;
        node.tensor = *tensor;
        node.parameter = is_parameter(L_, index);
        document_.tensors.push_back(std::move(node));
      }
      return Value::at(Kind::tensor, known->second);
    }
    if (const auto* dtype = test<at::ScalarType>(L_, index)) return {Kind::dtype, static_cast<int64_t>(dtype->value)};
    if (const auto* layout = test<at::Layout>(L_, index)) return {Kind::layout, static_cast<int64_t>(layout->value)};
    if (const Complex* complex = test<Complex>(L_, index)) {
      document_.complexes.push_back({complex->value.real(), complex->value.imag()});
      return Value::at(Kind::complex, document_.complexes.size() - 1);
    }
    if (const auto* device = test<at::Device>(L_, index)) {
      document_.devices.push_back(device->value);
      return Value::at(Kind::device, document_.devices.size() - 1);
    }
    if (test<at::Tensor>(L_, index))
      throw_usage(std::string(function_) + ": " + where() + " is a closed Tensor", kClosedHint);
    bad(index, "a module is saved by its state: torch.save(model:state_dict(), path)");
  }

  Value table(int index) {
    const void* identity = lua_topointer(L_, index);
    if (const auto known = tables_.find(identity); known != tables_.end()) return known->second;
    if (++depth_ > kMostDepth)
      throw_usage(std::string(function_) + ": tables are nested more than " + std::to_string(kMostDepth) + " deep");
    luaL_checkstack(L_, 12, function_);
    const int top = lua_gettop(L_);
    const void* meta = lua_getmetatable(L_, index) ? lua_topointer(L_, -1) : nullptr;
    const bool ordered = meta && is_named(top + 1, "ordered"), size = meta && is_named(top + 1, "torch.Size");
    Value made;
    if (ordered) made = ordered_table(index, top + 1, identity);
    else if (size || meta == tuple_ || meta == list_ || is_list(index))
      made = sequence(index, size ? Kind::size : meta == tuple_ ? Kind::tuple : Kind::list, identity);
    else made = plain_table(index, identity);
    lua_settop(L_, top);
    --depth_;
    return made;
  }

  // Does the metatable at `meta` have this name?
  bool is_named(int meta, std::string_view name) {
    lua_pushliteral(L_, "__name");
    const bool is = lua_rawget(L_, meta) == LUA_TSTRING && lua_tostring(L_, -1) == name;
    lua_pop(L_, 1);
    return is;
  }

  Value add(Kind kind, const void* identity, Dict dict = Dict::plain) {
    const Value made = document_.add_box(kind, dict);
    tables_.emplace(identity, made);
    return made;
  }

  bool is_list(int index) {
    const auto size = static_cast<lua_Integer>(lua_rawlen(L_, index));
    if (size == 0) return false;
    lua_Integer count = 0;
    for (lua_pushnil(L_); lua_next(L_, index); lua_pop(L_, 1)) {
      int exact = 0;
      const lua_Integer key = lua_isinteger(L_, -2) ? lua_tointegerx(L_, -2, &exact) : 0;
      if (!exact || key < 1 || key > size) {
        lua_pop(L_, 2);
        return false;
      }
      ++count;
    }
    return count == size;
  }

  Value sequence(int index, Kind kind, const void* identity) {
    const Value made = add(kind, identity);
    const lua_Integer size = list_length(L_, index);
    for (lua_Integer i = 1; i <= size; ++i) {
      push_list_item(L_, index, i);
      hold(made, "[" + std::to_string(i) + "]");
    }
    return made;
  }

  // Adds the value on top, which stands at `part`, and pops it.
  void hold(Value box, std::string part) {
    path_.push_back(std::move(part));
    const Value held = value(lua_gettop(L_));
    path_.pop_back();
    document_.box(box).items.push_back(held);
    lua_pop(L_, 1);
  }

  // Adds the key on top, and leaves it.
  std::string key(Value box) {
    const int at = lua_gettop(L_), type = lua_type(L_, at);
    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN && lua_topointer(L_, at) != none_ &&
        !(type == LUA_TTABLE && is_tuple(at)))
      throw_usage(std::string(function_) + ": a key of " + where() + " is " + describe(L_, at) +
                  ", expected a string, number or boolean");
    const Value held = value(at);
    document_.box(box).items.push_back(held);
    if (type == LUA_TSTRING) return "." + std::string(lua_tostring(L_, at));
    if (held.kind == Kind::integer) return "[" + std::to_string(held.integer) + "]";
    return "[...]";
  }

  bool is_tuple(int index) {
    if (!lua_getmetatable(L_, index)) return false;
    const bool is = lua_topointer(L_, -1) == tuple_ || is_named(lua_gettop(L_), "torch.Size");
    lua_pop(L_, 1);
    return is;
  }

  // Keys in their order; those without a value are None if the table says so, else they were removed.
  Value ordered_table(int index, int meta, const void* identity) {
    lua_getfield(L_, meta, "kind");
    const std::string_view kind = lua_isstring(L_, -1) ? lua_tostring(L_, -1) : "OrderedDict";
    const bool set = kind == "set";
    const Value made = add(set ? Kind::set : Kind::dict, identity,
                           kind == "OrderedDict" ? Dict::ordered
                           : kind == "Counter"   ? Dict::counter
                                                 : Dict::plain);
    lua_getfield(L_, meta, "none");
    const int none = lua_gettop(L_);
    lua_getfield(L_, meta, "order");
    const int order = lua_gettop(L_);
    const auto size = static_cast<lua_Integer>(lua_rawlen(L_, order));
    for (lua_Integer i = 1; i <= size; ++i) {
      lua_rawgeti(L_, order, i);
      lua_pushvalue(L_, -1);
      const bool there = lua_rawget(L_, index) != LUA_TNIL;
      lua_pop(L_, 1);
      bool is_none = false;
      if (!there && lua_istable(L_, none)) {
        lua_pushvalue(L_, -1);
        is_none = lua_rawget(L_, none) != LUA_TNIL;
        lua_pop(L_, 1);
      }
      if (there || is_none) {
        std::string part = key(made);
        if (!set) {
          lua_pushvalue(L_, -1);
          lua_rawget(L_, index);
          hold(made, std::move(part));
        }
      }
      lua_pop(L_, 1);
    }
    if (lua_getfield(L_, meta, "attributes") == LUA_TTABLE) {
      const Value attributes = value(lua_gettop(L_));
      document_.box(made).attributes = attributes;
    }
    return made;
  }

  // Booleans, then numbers, then strings, each sorted: the order in which the standard library reads such a table.
  Value plain_table(int index, const void* identity) {
    const Value made = add(Kind::dict, identity);
    lua_newtable(L_);
    const int keys = lua_gettop(L_);
    lua_Integer count = 0;
    for (lua_pushnil(L_); lua_next(L_, index);) {
      lua_pop(L_, 1);
      lua_pushvalue(L_, -1);
      lua_rawseti(L_, keys, ++count);
    }
    std::vector<lua_Integer> order(static_cast<size_t>(count));
    for (lua_Integer i = 0; i < count; ++i) order[static_cast<size_t>(i)] = i + 1;
    std::sort(order.begin(), order.end(), [&](lua_Integer a, lua_Integer b) {
      const int kind_a = lua_rawgeti(L_, keys, a), kind_b = lua_rawgeti(L_, keys, b);
      bool less = kind_a < kind_b;
      if (kind_a == kind_b && (kind_a == LUA_TNUMBER || kind_a == LUA_TSTRING))
        less = lua_compare(L_, -2, -1, LUA_OPLT) != 0;
      else if (kind_a == kind_b && kind_a == LUA_TBOOLEAN) less = !lua_toboolean(L_, -2) && lua_toboolean(L_, -1);
      lua_pop(L_, 2);
      return less;
    });
    for (const lua_Integer i : order) {
      lua_rawgeti(L_, keys, i);
      std::string part = key(made);
      lua_pushvalue(L_, -1);
      lua_rawget(L_, index);
      hold(made, std::move(part));
      lua_pop(L_, 1);
    }
    return made;
  }

  lua_State* L_;
  const char* function_;
  const void *list_, *tuple_, *none_;
  save::Document document_;
  std::unordered_map<const void*, Value> tables_;
  std::unordered_map<const void*, size_t> tensors_;
  std::vector<std::string> path_;
  size_t depth_ = 0;
};

}  // namespace

save::Document check_document(lua_State* L, int index, int kinds, const char* function) {
  return Checker(L, kinds, function).run(index);
}

}  // namespace trainhost::bindings
