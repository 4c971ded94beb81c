// The list of names that a pickle may use, and what each does: torch.load(weights_only=True)'s own list.
#include <algorithm>
#include <array>

#include "host/base/utf8.h"
#include "host/save/dtypes.h"
#include "host/save/unpickle.h"
#include "host/tensor/names.h"

namespace trainhost::save {
namespace {

constexpr const char* kRefused = "was not an allowed global by default";

}  // namespace

const Value& Unpickler::argument(const Args& args, size_t i, Kind kind, const char* function) const {
  if (i >= args.size() || args[i].kind != kind)
    fail(std::string(function) + " has a wrong argument " + std::to_string(i + 1));
  return args[i];
}

const Box& Unpickler::sequence(Value value, const char* what) const {
  if (value.kind != Kind::tuple && value.kind != Kind::list && value.kind != Kind::size)
    fail(std::string(what) + " is not a tuple");
  return document_.box(value);
}

Value Unpickler::find_global(std::string_view module, std::string_view name) {
  struct Row {
    std::string_view module, name;
    Global global;
  };
  static constexpr std::array<Row, 27> kRows = {
      {{"collections", "OrderedDict", Global::ordered_dict},
       {"collections", "Counter", Global::counter},
       {"builtins", "set", Global::set},
       {"builtins", "frozenset", Global::set},
       {"builtins", "bytearray", Global::bytes},
       {"builtins", "bytes", Global::bytes},
       {"builtins", "complex", Global::complex},
       {"_codecs", "encode", Global::encode},
       {"torch", "Size", Global::size},
       {"torch", "device", Global::device},
       {"torch", "Tensor", Global::tensor},
       {"torch._tensor", "Tensor", Global::tensor},
       {"torch.nn.parameter", "Parameter", Global::parameter},
       {"torch.nn.parameter", "UninitializedParameter", Global::uninitialized_parameter},
       {"torch.nn.parameter", "UninitializedBuffer", Global::uninitialized_buffer},
       {"torch.serialization", "_get_layout", Global::get_layout},
       {"torch._utils", "_rebuild_tensor", Global::rebuild_tensor},
       {"torch._utils", "_rebuild_tensor_v2", Global::rebuild_tensor_v2},
       {"torch._utils", "_rebuild_tensor_v3", Global::rebuild_tensor_v3},
       {"torch._utils", "_rebuild_parameter", Global::rebuild_parameter},
       {"torch._utils", "_rebuild_parameter_with_state", Global::rebuild_parameter},
       {"torch._utils", "_rebuild_sparse_tensor", Global::rebuild_sparse_tensor},
       {"torch._utils", "_rebuild_meta_tensor_no_storage", Global::rebuild_meta_tensor},
       {"torch._utils", "_rebuild_nested_tensor", Global::rebuild_nested_tensor},
       {"torch._tensor", "_rebuild_from_type_v2", Global::rebuild_from_type},
       {"torch.tensor", "_rebuild_from_type_v2", Global::rebuild_from_type},
       {"torch.tensor", "Tensor", Global::tensor}}};
  const auto global = [](Global which) { return Value(Kind::global, static_cast<int64_t>(which)); };
  if (module == "__builtin__") module = "builtins";  // Python 2's name, which protocol 2 writes
  for (const Row& row : kRows)
    if (row.module == module && row.name == name) return global(row.global);
  if (module == "torch") {
    if (const auto type = dtype_of(name)) return Value(Kind::dtype, static_cast<int64_t>(*type));
    if (const auto type = dtype_of_storage(name))
      return Value(Kind::global, static_cast<int64_t>(Global::storage) + 1 + static_cast<int64_t>(*type));
  }
  if (module == "torch.storage" && (name == "UntypedStorage" || name == "_UntypedStorage"))
    return global(Global::storage);
  const std::string path =
      (module == "builtins" ? "" : std::string(module.substr(0, 100)) + ".") + std::string(name.substr(0, 100));
  if (name == "_rebuild_qtensor" || (module == "torch" && is_quantized_name(name)))
    fail("GLOBAL " + path + ": quantized tensors are not supported; save tensor.dequantize()");
  if (path == "torch.nested._internal.nested_tensor._rebuild_njt")
    fail("GLOBAL " + path + ": nested tensors of the jagged layout are not supported; save unbind()");
  fail("Unsupported global: GLOBAL " + path + " " + kRefused);
}

Value Unpickler::reduce(Value function, Value arguments) {
  if (arguments.kind != Kind::tuple) fail("it calls with what is no tuple");
  if (function.kind != Kind::global) fail("Trying to call reduce for what is no function");
  return call(static_cast<Global>(function.integer), document_.box(arguments).items);
}

Value Unpickler::call(Global function, const Args& args) {
  switch (function) {
    case Global::ordered_dict:
      return make_dict(Dict::ordered, args);
    case Global::counter:
      return make_dict(Dict::counter, args);
    case Global::set: {
      const Value made = new_box(Kind::set);
      if (args.size() > 1) fail("set has too many arguments");
      if (!args.empty()) add_items(made, sequence(args[0], "what a set is made of").items);
      return made;
    }
    case Global::bytes:
    case Global::encode:
      return make_bytes(args);
    case Global::complex: {
      std::array<double, 2> parts{};
      for (size_t i = 0; i < parts.size(); ++i) parts[i] = argument(args, i, Kind::real, "complex").real;
      budget_.take(100);  // a userdata, in Lua
      document_.complexes.push_back(parts);
      return Value::at(Kind::complex, document_.complexes.size() - 1);
    }
    case Global::size: {
      if (args.size() != 1) fail("torch.Size has a wrong argument 1");
      integers(args[0], "torch.Size");
      const Value made = new_box(Kind::size);
      add_items(made, document_.box(args[0]).items);
      return made;
    }
    case Global::device: {
      std::string text(document_.text(argument(args, 0, Kind::text, "torch.device")));
      if (args.size() > 1) text += ":" + std::to_string(argument(args, 1, Kind::integer, "torch.device").integer);
      budget_.take(100);
      document_.devices.push_back(tensor::parse_device(text));
      return Value::at(Kind::device, document_.devices.size() - 1);
    }
    case Global::get_layout: {
      const std::string_view text = document_.text(argument(args, 0, Kind::text, "torch layout"));
      for (const auto& row : tensor::layout_names())
        if (text.substr(std::min<size_t>(6, text.size())) == row.name && text.starts_with("torch."))
          return Value(Kind::layout, static_cast<int64_t>(row.layout));
      fail("there is no layout '" + std::string(text.substr(0, 80)) + "'");
    }
    case Global::rebuild_tensor:
    case Global::rebuild_tensor_v2:
    case Global::rebuild_tensor_v3:
      return rebuild_strided(args, function);
    case Global::parameter:
    case Global::rebuild_parameter:
      return rebuild_parameter(args);
    case Global::uninitialized_parameter:
    case Global::uninitialized_buffer:
      return rebuild_uninitialized(args, function == Global::uninitialized_parameter);
    case Global::rebuild_sparse_tensor:
      return rebuild_sparse(args);
    case Global::rebuild_meta_tensor:
      return rebuild_meta(args);
    case Global::rebuild_nested_tensor:
      return rebuild_nested(args);
    case Global::rebuild_from_type: {  // function, class, arguments, attributes: those have no place here
      const Value inner = argument(args, 0, Kind::global, "_rebuild_from_type_v2");
      const Value type = argument(args, 1, Kind::global, "_rebuild_from_type_v2");
      if (type.integer != static_cast<int64_t>(Global::tensor) &&
          type.integer != static_cast<int64_t>(Global::parameter))
        fail("_rebuild_from_type_v2 is given a class that is no tensor");
      if (inner.integer < static_cast<int64_t>(Global::rebuild_tensor) ||
          inner.integer > static_cast<int64_t>(Global::rebuild_meta_tensor))
        fail("_rebuild_from_type_v2 is given a function that makes no tensor");
      const Value made = reduce(inner, argument(args, 2, Kind::tuple, "_rebuild_from_type_v2"));
      if (type.integer == static_cast<int64_t>(Global::parameter)) document_.tensors[made.index].parameter = true;
      return made;
    }
    default:
      fail("it calls a class that makes nothing here");
  }
}

// OrderedDict(), OrderedDict([[key, value], ...]), Counter({key: count}).
Value Unpickler::make_dict(Dict dict, const Args& args) {
  const Value made = new_box(Kind::dict, dict);
  if (args.empty()) return made;
  if (args.size() > 1) fail("a dict is made of more than one argument");
  if (args[0].kind == Kind::dict) {
    set_items(made, document_.box(args[0]).items);
    return made;
  }
  const Args& pairs = sequence(args[0], "what a dict is made of").items;
  for (const Value pair : pairs) {
    const Args& items = sequence(pair, "a dict's pair").items;
    if (items.size() != 2) fail("a dict's pair has " + std::to_string(items.size()) + " parts");
    set_items(made, items);
  }
  return made;
}

// bytes(), bytearray(bytes), encode("text", "latin1"): protocol 2 writes bytes as text of one character each.
Value Unpickler::make_bytes(const Args& args) {
  std::string made;
  if (!args.empty() && args[0].kind == Kind::bytes) made = document_.text(args[0]);
  else if (!args.empty()) {
    const std::string_view text = document_.text(argument(args, 0, Kind::text, "bytes"));
    const std::string_view code = document_.text(argument(args, 1, Kind::text, "bytes"));
    if (code != "latin1" && code != "latin-1") fail("bytes are encoded as '" + std::string(code.substr(0, 20)) + "'");
    budget_.take(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c < 0x80) made.push_back(text[i]);
      else if ((c == 0xc2 || c == 0xc3) && i + 1 < text.size())
        made.push_back(static_cast<char>((c & 3) << 6 | (text[++i] & 0x3f)));
      else fail("bytes hold a character beyond 255");
    }
  }
  budget_.take(2 * made.size() + 200);
  Value value = document_.add_text(std::move(made));
  value.kind = Kind::bytes;
  return value;
}

void Unpickler::build(Value& target, Value state) {
  if (target.kind != Kind::dict || document_.box(target).dict != Dict::ordered)
    fail("Can only build OrderedDict, or a tensor of a class that PyTorch no longer writes");
  if (state.kind != Kind::dict) fail("an OrderedDict's attributes are no dict");
  document_.box(target).attributes = state;
}

std::optional<uint32_t> Unpickler::storage(std::string_view key) const {
  const auto found = storages_.find(std::string(key));
  return found == storages_.end() ? std::nullopt : std::optional(found->second);
}

// ("storage", class, key, location, count), and in older files a view of it.
Value Unpickler::persistent(Value id) {
  if (id.kind != Kind::tuple) fail("persistent_load id must be tuple");
  const Args& args = document_.box(id).items;
  const char* what = "a storage";
  if (document_.text(argument(args, 0, Kind::text, what)) != "storage")
    fail("Only persistent_load of storage is allowed");
  const int64_t type = argument(args, 1, Kind::global, what).integer - static_cast<int64_t>(Global::storage);
  if (type < 0) fail("a storage's class is none");
  const bool number = args.size() > 2 && args[2].kind == Kind::integer;
  std::string key =
      number ? std::to_string(args[2].integer) : std::string(document_.text(argument(args, 2, Kind::text, what)));
  const std::string_view location = document_.text(argument(args, 3, Kind::text, what));
  const int64_t count = argument(args, 4, Kind::integer, what).integer;
  if (args.size() != (views_ ? 6U : 5U)) fail("a storage has " + std::to_string(args.size()) + " parts");
  auto found = storages_.find(key);
  if (found == storages_.end()) {
    Storage made;
    made.untyped = type == 0;
    made.dtype = type == 0 ? at::kByte : static_cast<at::ScalarType>(type - 1);
    const auto size = static_cast<int64_t>(c10::elementSize(made.dtype));
    if (count < 0 || count > INT64_MAX / size) fail("a storage has " + std::to_string(count) + " elements");
    made.bytes = static_cast<uint64_t>(count * size);
    made.key = key;
    made.location = location;
    made.root = static_cast<uint32_t>(document_.storages.size());
    budget_.take(sizeof(Storage) + 2 * key.size() + location.size() + 420);
    found = storages_.emplace(std::move(key), made.root).first;
    document_.storages.push_back(std::move(made));
  }
  if (views_ && args[5].kind != Kind::none) return view_of(found->second, args[5]);
  return Value::at(Kind::storage, found->second);
}

// (key, offset, count): a part of a storage.
Value Unpickler::view_of(uint32_t root, Value view) {
  const Args& args = sequence(view, "a storage's view").items;
  const int64_t offset = argument(args, 1, Kind::integer, "a view").integer;
  const int64_t count = argument(args, 2, Kind::integer, "a view").integer;
  Storage made;
  const Storage& whole = document_.storages[root];
  const uint64_t size = c10::elementSize(whole.dtype), elements = whole.bytes / size;
  if (offset < 0 || count < 0 || static_cast<uint64_t>(offset) > elements ||
      static_cast<uint64_t>(count) > elements - static_cast<uint64_t>(offset))
    fail("a storage's view lies outside of it");
  made.dtype = whole.dtype;
  made.untyped = whole.untyped;
  made.location = whole.location;
  made.root = root;
  made.begin = static_cast<uint64_t>(offset) * size;
  made.bytes = static_cast<uint64_t>(count) * size;
  budget_.take(sizeof(Storage) + 200);
  document_.storages.push_back(std::move(made));
  return Value::at(Kind::storage, document_.storages.size() - 1);
}

}  // namespace trainhost::save
