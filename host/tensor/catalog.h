// Every operator that the LibTorch dispatcher knows, by its public name, with its overloads ready to be called.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace c10 {
class OperatorHandle;
struct FunctionSchema;
struct IValue;
struct Type;
}  // namespace c10

namespace trainhost::tensor {

using Stack = std::vector<c10::IValue>;

// What an argument takes, read once from the schema's *real* type (dtype, layout and memory_format are plain
// integers in the schema: left unchecked they were most of the crashes when operators were fuzzed).
enum class Kind : uint8_t {
  tensor,
  scalar,
  integer,
  real,
  boolean,
  string,
  dtype,
  layout,
  memory_format,
  device,
  generator,
  integers,
  reals,
  booleans,
  scalars,
  tensors,
  optional_tensors,
  strings,
  nested,  // lists of lists, dicts, tuples and the like: Argument::type says of what
  unsupported
};

struct Argument {
  std::string name;  // as PyTorch's documentation has it: the schema's `self` is "input" for a function
  Kind kind;
  const c10::Type* type = nullptr;  // of Kind::nested; it lives as long as the schema
  bool optional = false;            // the schema's type is `T?`: nil is None
  bool kwarg_only = false;
  bool is_out = false;
  int length = 0;  // N of `int[N]`: one number stands for N of them; 0: a list of any length
  std::shared_ptr<const c10::IValue> default_value;  // null: none
};

struct Overload {
  std::shared_ptr<const c10::OperatorHandle> handle;
  const c10::FunctionSchema* schema = nullptr;
  std::vector<Argument> arguments;
  std::vector<int> positions;       // argument of each positional value of torch.f(...)
  std::vector<int> self_positions;  // of x:f(...): `self` first; empty if the operator has no `self`
  bool varargs = false;             // x:view(2, 3): the one positional list may be given as numbers
  bool self_varargs = false;
  bool options = false;         // takes dtype, layout, device and pin_memory: and requires_grad as well
  bool factory = false;         // and no tensor: the default device is for these
  bool below_autograd = false;  // makes a new tensor, which has no history
  int outs = 0;                 // how many outputs out= takes; 0: it is not taken
  bool deprecated = false;      // a signature of old, tried last: torch.add(x, alpha, y)
  bool aliases = false;         // an output may be a view of an input: no new memory
  bool mutates = false;         // writes to an argument
  int writes = -1;              // the argument that is written to and returned
  int device = -1;              // the argument of a factory that the default device stands for
  int pin_memory = -1;          // the argument of that name
  bool returns_dtype = false;
  // Throws what the kernel itself leaves unchecked (guards.h); null for nearly all.
  void (*guard)(const Overload& overload, const Stack& stack) = nullptr;

  void call(Stack& stack) const;
  // "(Tensor input, int[1] dim=nil, bool keepdim=false, *, dtype dtype=nil)".
  std::string signature(bool method) const;
  // "(Tensor input, tuple of ints dim, bool keepdim = False, *, torch.dtype dtype = None)", as PyTorch's errors list
  // it.
  std::string listing(bool method) const;
};

struct Operator {
  std::string name;                     // "add", "linalg_norm"
  std::vector<Overload> overloads;      // in the order in which PyTorch's own parser tries them
  std::vector<Overload> outs;           // the variants with out=
  std::vector<std::string> uncallable;  // schemas of torch.ops that take what Lua cannot give
  bool numbers_as_tensors = false;      // PyTorch takes numbers for its tensors: torch.mul(2, x)
};

// The public operator `name` ("add", "linalg_norm"; visibility.h says which are public), or null. Process-wide like the
// dispatcher behind it, safe from any thread, never freed.
const Operator* find_operator(std::string_view name);
// The operator "ns::name" whatever its visibility, for torch.ops: with the overloads that only torch.ops has.
const Operator* find_any_operator(const std::string& qualified_name);
// The one overload "ns::name.overload" of it ("default": the one without a name), to be called as an operator, or null.
const Operator* find_overload(const std::string& qualified_name, const std::string& overload_name);
// The names of its overloads, sorted, "default" for the one without a name; empty: no such operator.
std::vector<std::string> overload_names(const std::string& qualified_name);
// Notes what a library that was opened has registered: new operators, and overloads of operators found before.
void refresh_catalog();
// All public names, sorted.
const std::vector<std::string>& operator_names();

}  // namespace trainhost::tensor
