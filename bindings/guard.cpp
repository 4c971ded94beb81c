// Exceptions as faults, registration of functions, and how a value is named in an error message.
#include "bindings/guard.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <new>

#include "bindings/reference.h"
#include "bindings/tensor.h"
#include "host/tensor/cuda.h"

namespace trainhost::bindings {
namespace {

const char kRowTables = 0;  // its address is a registry key

bool mentions(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words)
    if (text.find(word) != std::string::npos) return true;
  return false;
}

// LibTorch raises nearly everything as c10::Error: the kind is read from its words.
ErrorKind kind_of(const c10::Error& e, const std::string& message) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&e) ||
      mentions(message, {"not enough memory", "out of memory", "can't allocate memory"}))
    return ErrorKind::memory;
  if (mentions(message, {"same device", "CUDA", "device type"})) return ErrorKind::device;
  if (mentions(message, {"dtype", "scalar type", "ScalarType", "data type"})) return ErrorKind::dtype;
  if (mentions(message, {"shape", "size", "dimension", "Dimension", "elements", "1-D", "1D", "2D", "3D", "4D"}))
    return ErrorKind::shape;
  if (mentions(message, {"INTERNAL ASSERT"})) return ErrorKind::internal;
  return ErrorKind::usage;
}

// The class that Python raises for it.
const char* type_of(const c10::Error& e) {
  if (dynamic_cast<const c10::LinAlgError*>(&e)) return "LinAlgError";
  if (dynamic_cast<const c10::OutOfMemoryError*>(&e)) return "OutOfMemoryError";
  if (dynamic_cast<const c10::AcceleratorError*>(&e)) return "AcceleratorError";
  if (dynamic_cast<const c10::IndexError*>(&e)) return "IndexError";
  if (dynamic_cast<const c10::ValueError*>(&e)) return "ValueError";
  if (dynamic_cast<const c10::TypeError*>(&e)) return "TypeError";
  if (dynamic_cast<const c10::NotImplementedError*>(&e)) return "NotImplementedError";
  return "RuntimeError";
}

vm::Fault unbuilt(const std::string& device) {
  return {ErrorKind::device, "Torch not compiled with " + device + " enabled", {}, "AssertionError"};
}

// The dispatcher lists every registration, some 60 lines: "Could not run 'aten::X' with arguments from the 'CUDA'
// backend. This could be because ..." is cut to its first sentence, or is PyTorch's sentence for a backend that is not
// there at all, which Python raises before the dispatcher is asked.
std::optional<vm::Fault> missing_backend(const std::string& message) {
  constexpr std::string_view kEnd = "' backend.", kUnlinked = "PyTorch is not linked with support for ";
  if (message.rfind(kUnlinked, 0) == 0) {
    std::string device = message.substr(kUnlinked.size(), message.find(' ', kUnlinked.size()) - kUnlinked.size());
    std::transform(device.begin(), device.end(), device.begin(), [](unsigned char c) { return std::toupper(c); });
    return unbuilt(device);
  }
  const size_t end = message.find(kEnd);
  if (message.rfind("Could not run '", 0) != 0 || end == std::string::npos) return std::nullopt;
  const size_t name = message.rfind('\'', end - 1) + 1;
  const std::string backend = message.substr(name, end - name);
  if ((backend == "CUDA" && !tensor::cuda_is_built()) || backend == "XPU" || backend == "MTIA") return unbuilt(backend);
  return vm::Fault{ErrorKind::device, message.substr(0, end + kEnd.size() - 1), {}, "NotImplementedError"};
}

// LibTorch writes CPUFloatType and SparseCPUFloatType, which Python shows as torch.FloatTensor and
// torch.sparse.FloatTensor; other types it leaves as they are.
std::string with_python_types(std::string text) {
  for (size_t end = text.find("Type"); end != std::string::npos; end = text.find("Type", end + 1)) {
    const std::string_view before(text.data(), end);
    for (const std::string_view name : {"Byte", "Char", "Double", "Float", "Int", "Long", "Short", "Half"}) {
      if (!before.ends_with(name)) continue;
      const std::string_view rest = before.substr(0, before.size() - name.size());
      const bool cuda = rest.ends_with("CUDA");
      if (!cuda && !rest.ends_with("CPU")) continue;
      size_t start = rest.size() - (cuda ? 4 : 3);
      const bool sparse = rest.substr(0, start).ends_with("Sparse");
      if (sparse) start -= 6;
      const std::string shown =
          std::string("torch.") + (cuda ? "cuda." : "") + (sparse ? "sparse." : "") + std::string(name) + "Tensor";
      text.replace(start, end + 4 - start, shown);
      end = start + shown.size() - 4;
      break;
    }
  }
  return text;
}

Caught read(const std::exception& e) {
  if (auto* raised = dynamic_cast<const Raised*>(&e))
    return {{raised->kind(), raised->message(), raised->hint(), raised->type()}, raised->value()};
  if (auto* error = dynamic_cast<const Error*>(&e))
    return {{error->kind(), error->message(), error->hint(), error->type()}, nullptr};
  if (auto* error = dynamic_cast<const c10::Error*>(&e)) {
    std::string message = error->what_without_backtrace();
    while (!message.empty() && message.back() == '\n') message.pop_back();
    message = with_python_types(std::move(message));
    if (auto fault = missing_backend(message)) return {*fault, nullptr};
    return {{kind_of(*error, message), message, {}, type_of(*error)}, nullptr};
  }
  if (dynamic_cast<const std::bad_alloc*>(&e)) return {{ErrorKind::memory, "out of memory", {}}, nullptr};
  // A number that does not fit is LibTorch's one error of this type.
  const bool of_number = mentions(e.what(), {"value cannot be converted to type"});
  return {{of_number ? ErrorKind::usage : ErrorKind::internal, e.what(), {}}, nullptr};
}

}  // namespace

Caught caught(const std::exception& e) noexcept {
  try {
    return read(e);
  } catch (const std::bad_alloc&) {
    return {{ErrorKind::memory, "out of memory", {}}, nullptr};  // short enough to need none
  }
}

void raise(lua_State* L, const Caught& caught, const char* op) {
  if (!caught.value || !caught.value->belongs_to(vm::State::of(L))) vm::raise(L, caught, op);
  luaL_checkstack(L, 3, "error value");
  caught.value->push(L);
  lua_error(L);
  std::abort();  // lua_error does not return
}

void push_row_tables(lua_State* L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &kRowTables) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kRowTables);
}

void collect_all(lua_State* L) { vm::State::of(L).native_bytes().collect(L); }

void set_functions(lua_State* L, const Row* rows) {
  luaL_checkstack(L, 4, "functions");
  push_row_tables(L);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, rows);
  lua_pop(L, 1);
  for (; rows->name; ++rows) {
    lua_pushcfunction(L, rows->function);
    lua_setfield(L, -2, rows->name);
  }
}

std::string describe(lua_State* L, int index) {
  if (at::Tensor* tensor = test_tensor(L, index)) {
    std::string text = "Tensor[";
    for (int64_t d = 0; d < tensor->dim(); ++d) text += (d ? ", " : "") + std::to_string(tensor->size(d));
    return text + "] " + dtype_name(tensor->scalar_type());
  }
  switch (lua_type(L, index)) {
    case LUA_TNONE:
      return "no value";
    case LUA_TNUMBER:
      if (lua_tonumber(L, index) != lua_tonumber(L, index)) return "number nan";  // Lua writes -nan for some
      lua_pushvalue(L, index);
      break;
    case LUA_TSTRING: {
      std::string text = lua_tostring(L, index);
      if (text.size() > 40) text.replace(37, std::string::npos, "...");
      return "string \"" + text + "\"";
    }
    case LUA_TBOOLEAN:
      return lua_toboolean(L, index) ? "boolean true" : "boolean false";
    case LUA_TTABLE:
      return "table";
    case LUA_TUSERDATA: {
      if (test<at::Tensor>(L, index)) return "a closed Tensor";
      const bool named = luaL_getmetafield(L, index, "__name") == LUA_TSTRING;
      std::string text = named ? lua_tostring(L, -1) : "userdata";
      if (named) lua_pop(L, 1);
      return text;
    }
    default:
      return luaL_typename(L, index);
  }
  const std::string text = std::string("number ") + lua_tostring(L, -1);
  lua_pop(L, 1);
  return text;
}

void throw_argument(lua_State* L, const char* function, const char* name, const char* expected, int index) {
  throw_usage(std::string(function) + ": argument '" + name + "' must be " + expected + ", got " + describe(L, index));
}

}  // namespace trainhost::bindings
