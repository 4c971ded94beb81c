// From a document to Lua: all tables first, then what they hold, so that depth and cycles cost nothing.
#include <c10/util/Exception.h>

#include "bindings/complex.h"
#include "bindings/document.h"
#include "bindings/dtype.h"

namespace trainhost::bindings {
namespace {

using save::Box;
using save::Dict;
using save::Kind;
using save::Value;

constexpr size_t kMostNamed = 5;

class Pusher {
 public:
  Pusher(lua_State* L, save::TorchFile& file, int kinds) : L_(L), file_(file), document_(file.document()) {
    luaL_checkstack(L, 20, "torch.load");
    for (const char* name : {"new", "set_none", "list", "tuple", "none"}) lua_getfield(L, kinds, name);
    none_ = lua_gettop(L);
    new_ = none_ - 4;
    for (int i = 0; i < 3; ++i) lua_newtable(L);
    boxes_ = none_ + 1;
    tensors_ = none_ + 2;
    texts_ = none_ + 3;
  }

  void run() {
    const std::vector<uint32_t> order = document_.reachable();
    for (const uint32_t i : order) make(i);
    for (const uint32_t i : order) {
      lua_rawgeti(L_, boxes_, i);
      fill(document_.boxes[i]);
      lua_pop(L_, 1);
      document_.boxes[i].items = {};
    }
    value(document_.root);
    if (!rounded_.empty()) TORCH_WARN("torch.load: an integer beyond 64 bits became the nearest float: ", rounded_);
    lua_replace(L_, new_);
    lua_settop(L_, new_);
  }

 private:
  void make(uint32_t index) {
    const Box& box = document_.boxes[index];
    const Kind kind = box.kind;
    if (kind == Kind::dict || kind == Kind::set) {
      lua_pushvalue(L_, new_);
      lua_pushstring(L_, kind == Kind::set           ? "set"
                         : box.dict == Dict::ordered ? "OrderedDict"
                         : box.dict == Dict::counter ? "Counter"
                                                     : "dict");
      lua_call(L_, 1, 1);
    } else if (kind == Kind::size) {
      std::vector<int64_t> sizes;
      for (const Value item : box.items) sizes.push_back(item.integer);
      push_sizes(L_, sizes);
    } else {
      lua_createtable(L_, static_cast<int>(std::min<size_t>(box.items.size(), INT32_MAX)), 0);
      lua_pushvalue(L_, new_ + (kind == Kind::list ? 2 : 3));
      lua_setmetatable(L_, -2);
    }
    lua_rawseti(L_, boxes_, index);
  }

  // The table on top.
  void fill(const Box& box) {
    const Kind kind = box.kind;
    if (kind == Kind::list || kind == Kind::tuple) {
      for (size_t i = 0; i < box.items.size(); ++i) {
        if (box.items[i].kind == Kind::rounded) note("item " + std::to_string(i) + " of a list");
        item(box.items[i]);
        lua_rawseti(L_, -2, static_cast<lua_Integer>(i + 1));
      }
    } else if (kind == Kind::set) {
      for (const Value each : box.items) {
        item(each);
        lua_pushboolean(L_, 1);
        lua_settable(L_, -3);
      }
    } else if (kind == Kind::dict) {
      for (size_t i = 0; i < box.items.size(); i += 2) pair(box.items[i], box.items[i + 1]);
      if (box.attributes.kind == Kind::dict) {
        lua_getmetatable(L_, -1);
        value(box.attributes);
        lua_setfield(L_, -2, "attributes");
        lua_pop(L_, 1);
      }
    }
  }

  void pair(Value key, Value held) {
    if (held.kind == Kind::none) {
      lua_pushvalue(L_, new_ + 1);
      lua_pushvalue(L_, -2);
      item(key);
      lua_call(L_, 2, 0);
      return;
    }
    if (key.kind == Kind::rounded) note("a key");
    item(key);
    if (held.kind == Kind::rounded) {
      size_t size = 0;
      lua_pushvalue(L_, -1);
      const char* text = luaL_tolstring(L_, -1, &size);
      note("'" + std::string(text, size) + "'");
      lua_pop(L_, 2);
    }
    value(held);
    lua_settable(L_, -3);
  }

  // Where an integer was that Lua cannot hold: the first few are named.
  void note(const std::string& place) {
    if (++roundings_ <= kMostNamed) rounded_ += (roundings_ > 1 ? ", " : "") + place;
    else if (roundings_ == kMostNamed + 1) rounded_ += " ...";
  }

  // A value where nil cannot stand.
  void item(Value each) {
    if (each.kind == Kind::none) lua_pushvalue(L_, none_);
    else value(each);
  }

  void value(Value each) {
    switch (each.kind) {
      case Kind::none:
        return lua_pushnil(L_);
      case Kind::boolean:
        return lua_pushboolean(L_, each.boolean);
      case Kind::integer:
        return lua_pushinteger(L_, each.integer);
      case Kind::real:
      case Kind::rounded:
        return lua_pushnumber(L_, each.real);
      case Kind::text:
      case Kind::bytes:
        return text(each.index);
      case Kind::complex: {
        const auto& [re, im] = document_.complexes[each.index];
        return push_complex(L_, {re, im});
      }
      case Kind::tensor:
        return tensor(each.index);
      case Kind::storage:
        return push_tensor(L_, file_.whole(each.index));
      case Kind::dtype:
        return push_dtype(L_, static_cast<at::ScalarType>(each.integer));
      case Kind::layout:
        push<at::Layout>(L_, {static_cast<at::Layout>(each.integer)});
        return;
      case Kind::device:
        return push_device(L_, document_.devices[each.index]);
      case Kind::global:
        return lua_pushnil(L_);  // TorchFile has refused it
      default:
        lua_rawgeti(L_, boxes_, each.index);
    }
  }

  // Long strings are no shared objects in Lua: one that is referred to often is pushed once.
  void text(uint32_t index) {
    const std::string_view text = document_.texts[index];
    if (text.size() <= 40) {
      lua_pushlstring(L_, text.data(), text.size());
    } else if (lua_rawgeti(L_, texts_, index) == LUA_TNIL) {
      lua_pop(L_, 1);
      lua_pushlstring(L_, text.data(), text.size());
      lua_pushvalue(L_, -1);
      lua_rawseti(L_, texts_, index);
    }
  }

  void tensor(uint32_t index) {
    if (lua_rawgeti(L_, tensors_, index) != LUA_TNIL) return;
    lua_pop(L_, 1);
    const bool parameter = document_.tensors[index].parameter;
    at::Tensor made = file_.tensor(index);
    document_.tensors[index].tensor = at::Tensor();
    if (parameter) push_identity(L_, made, true);
    else if (made.requires_grad()) push_identity(L_, made);
    else push_tensor(L_, std::move(made));
    lua_pushvalue(L_, -1);
    lua_rawseti(L_, tensors_, index);
  }

  lua_State* L_;
  save::TorchFile& file_;
  save::Document& document_;
  int new_, none_, boxes_, tensors_, texts_;
  std::string rounded_;
  size_t roundings_ = 0;
};

}  // namespace

void push_document(lua_State* L, save::TorchFile& file, int kinds) { Pusher(L, file, kinds).run(); }

}  // namespace trainhost::bindings
