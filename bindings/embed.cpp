// Values of the C++ API to and from Lua.
#include "bindings/embed.h"

#include "bindings/bindings.h"
#include "bindings/guard.h"
#include "bindings/model.h"
#include "bindings/reference.h"
#include "bindings/size.h"
#include "bindings/tensor.h"
#include "host/vm/state.h"

namespace trainhost::bindings {
namespace {

constexpr int kMostDepth = 100;

// A script need not have loaded torch yet when C++ hands it a tensor or a module.
void need_torch(lua_State* L) {
  vm::State& state = vm::State::of(L);
  if (state.metatable(TypeId::tensor)) return;
  lua_getglobal(state.lua(), "require");
  lua_pushliteral(state.lua(), "torch");
  state.call(1, 0);
  if (!state.metatable(TypeId::tensor)) throw_usage("the script's 'require' has not loaded torch");
}

void reserve(lua_State* L, size_t slots) {
  if (!lua_checkstack(L, static_cast<int>(slots))) throw Error(ErrorKind::memory, "out of Lua stack");
}

// A Lua function as a function of C++.
class LuaTarget final : public Function::Target {
 public:
  LuaTarget(lua_State* L, int index) : function_(L, index) {}
  std::vector<Value> call(std::span<const Value> arguments) const override {
    lua_State* L = function_.running();
    vm::State& state = vm::State::of(L);
    reserve(state.lua(), 1);
    function_.push(state.lua());
    return take_values(state.lua(), call_pushed(state, arguments));
  }
  bool belongs_to(const vm::State& state) const { return function_.belongs_to(state); }
  const Reference& function() const { return function_; }

 private:
  Reference function_;
};

Value to_value(lua_State* L, int index, int depth);
void push_any(lua_State* L, const Value& value);

// The C++ function is the closure's upvalue.
int call_native(lua_State* L) {
  const auto target = check<Function>(L, lua_upvalueindex(1));
  std::vector<Value> arguments;
  const int count = lua_gettop(L);
  for (int i = 1; i <= count; ++i) arguments.push_back(to_value(L, i, 0));
  const std::vector<Value> results = target->call(arguments);
  reserve(L, results.size());
  for (const Value& value : results) push_any(L, value);
  return static_cast<int>(results.size());
}

void push_function(lua_State* L, const Function& function) {
  if (const auto* lua = dynamic_cast<const LuaTarget*>(function.target().get());
      lua && lua->belongs_to(vm::State::of(L))) {
    lua->function().push(L);
    return;
  }
  define<Function>(L, nullptr, nullptr);
  push<Function>(L, function.target());
  lua_pushcclosure(L, guarded<call_native>, 1);
}

Value table_to_value(lua_State* L, int index, int depth);

Value to_value(lua_State* L, int index, int depth) {
  switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
      return {};
    case LUA_TBOOLEAN:
      return Value(static_cast<bool>(lua_toboolean(L, index)));
    case LUA_TNUMBER:
      if (lua_isinteger(L, index)) return Value(static_cast<int64_t>(lua_tointeger(L, index)));
      return Value(static_cast<double>(lua_tonumber(L, index)));
    case LUA_TSTRING: {
      size_t size = 0;
      const char* text = lua_tolstring(L, index, &size);
      return Value(std::string(text, size));
    }
    case LUA_TTABLE:
      return table_to_value(L, index, depth);
    case LUA_TFUNCTION:
      return Value(Function(std::make_shared<LuaTarget>(L, index)));
    default:
      break;
  }
  if (at::Tensor* tensor = test_tensor(L, index)) return Value(*tensor);
  if (auto* module = test<torch::nn::Module>(L, index); module && *module) {
    keep_module(L, index);
    return Value(module->module);
  }
  throw_usage("a " + describe(L, index) + " cannot be handed to C++",
              "nil, booleans, numbers, strings, lists, maps, tensors, functions and modules can");
}

Value table_to_value(lua_State* L, int index, int depth) {
  if (depth >= kMostDepth) throw_usage("a table nested deeper than 100 cannot be handed to C++");
  reserve(L, 6);
  const int table = lua_absindex(L, index);
  unwrap_size(L, table);
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, table));
  Value::List list;
  Value::Map map;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING) map.emplace(lua_tostring(L, -2), to_value(L, lua_gettop(L), depth + 1));
    else if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) > count || !map.empty())
      throw_usage("a table with the key " + describe(L, -2) + " cannot be handed to C++",
                  "lists have keys 1..n, maps strings");
  }
  if (!map.empty() && count > 0)
    throw_usage("a table with both a list and names cannot be handed to C++", "lists have keys 1..n, maps strings");
  if (!map.empty()) return Value(std::move(map));
  for (lua_Integer i = 1; i <= count; ++i) {
    lua_rawgeti(L, table, i);
    list.push_back(to_value(L, lua_gettop(L), depth + 1));
    lua_pop(L, 1);
  }
  return Value(std::move(list));
}

void push_any(lua_State* L, const Value& value) {
  reserve(L, 6);
  if (value.is_nil()) lua_pushnil(L);
  else if (value.is_bool()) lua_pushboolean(L, value.as_bool());
  else if (value.is_int()) lua_pushinteger(L, value.as_int());
  else if (value.is_double()) lua_pushnumber(L, value.as_double());
  else if (value.is_string()) lua_pushlstring(L, value.as_string().data(), value.as_string().size());
  else if (value.is_tensor()) {
    need_torch(L);
    push_tensor(L, value.as_tensor());
  } else if (value.is_module()) {
    need_torch(L);
    push_module(L, value.as_module());
  } else if (value.is_function()) push_function(L, value.as_function());
  else if (value.is_list()) {
    lua_createtable(L, static_cast<int>(value.as_list().size()), 0);
    lua_Integer i = 0;
    for (const Value& element : value.as_list()) {
      push_any(L, element);
      lua_rawseti(L, -2, ++i);
    }
  } else {
    lua_createtable(L, 0, static_cast<int>(value.as_map().size()));
    for (const auto& [key, element] : value.as_map()) {
      lua_pushlstring(L, key.data(), key.size());
      push_any(L, element);
      lua_rawset(L, -3);
    }
  }
}

}  // namespace

static std::vector<at::Tensor> to_tensors(const std::vector<Value>& values) {
  std::vector<at::Tensor> tensors;
  for (const Value& value : values) tensors.push_back(value.as_tensor());
  return tensors;
}

void set_forward(lua_State* L, const ModulePtr& module, NativeFunction forward) {
  protect(L, 0, [&](lua_State* inner) {
    push_module(inner, module, Forward([forward = std::move(forward)](std::vector<at::Tensor> inputs) {
                  return to_tensors(forward(std::vector<Value>(inputs.begin(), inputs.end())));
                }));
    lua_settop(inner, 0);
  });
}

void set_forward(lua_State* L, const ModulePtr& module, ModuleFunction forward) {
  protect(L, 0, [&](lua_State* inner) {
    const auto call = [forward = std::move(forward)](torch::nn::Module& of, std::vector<at::Tensor> inputs) {
      return to_tensors(forward(of, std::vector<Value>(inputs.begin(), inputs.end())));
    };
    push_module(inner, module, ClassForward(call));
    lua_settop(inner, 0);
  });
}

int call_pushed(vm::State& state, std::span<const Value> arguments) {
  lua_State* L = state.lua();
  protect(L, 1, [&](lua_State* inner) {
    reserve(inner, arguments.size() + 1);
    for (const Value& value : arguments) push_any(inner, value);
  });
  return state.call(static_cast<int>(arguments.size()), LUA_MULTRET);
}

std::vector<Value> take_values(lua_State* L, int count) {
  std::vector<Value> values;
  protect(L, count, [&](lua_State* inner) {
    for (int i = 1; i <= count; ++i) values.push_back(to_value(inner, i, 0));
    lua_settop(inner, 0);
  });
  return values;
}

void drop_values(lua_State* L, int count) { lua_pop(L, count); }

void push_value(lua_State* L, const Value& value) {
  protect(L, 0, [&](lua_State* inner) { push_any(inner, value); });
}

}  // namespace trainhost::bindings

namespace trainhost {
namespace {

// A C++ function called from C++ needs no Lua.
class NativeTarget final : public Function::Target {
 public:
  explicit NativeTarget(NativeFunction f) : f_(std::move(f)) {
    if (!f_) throw_usage("an empty std::function cannot be handed to Lua");
  }
  std::vector<Value> call(std::span<const Value> arguments) const override { return f_(arguments); }

 private:
  NativeFunction f_;
};

}  // namespace

Value::Value(const at::Tensor& tensor) {
  if (tensor.defined()) value_ = std::make_shared<const at::Tensor>(tensor);
}

Function::Function(NativeFunction f) : target_(std::make_shared<NativeTarget>(std::move(f))) {}

std::vector<Value> Function::operator()(std::span<const Value> arguments) const { return target_->call(arguments); }

std::vector<Value> Function::operator()(std::initializer_list<Value> arguments) const {
  return target_->call(std::span(arguments.begin(), arguments.size()));
}

}  // namespace trainhost
