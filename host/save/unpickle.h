// A machine for Python's pickles that knows only data: no name in a file is looked up but in a fixed list.
#pragma once

#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "host/base/read_file.h"
#include "host/save/budget.h"
#include "host/save/document.h"

namespace trainhost::save {

// Calls `bad`, which throws, unless sizes, strides and offset stay within `bytes` and within what LibTorch can count.
void check_geometry(const TensorNode& node, uint64_t bytes, const std::function<void(const std::string&)>& bad);

// Thrown when the pickle goes on behind the bytes at hand.
struct RanOut {};

// Reads pickles of protocols 2 to 5 from `document.source` into `document`, as torch.load(weights_only=True) does:
// plain values, OrderedDict, Counter, sets, torch.Size, dtypes, devices, tensors. Error{io} for anything else; an
// unknown global is named. Tensors are described, not made: their storages are not read here, but every size, stride
// and offset is checked against them.
class Unpickler {
 public:
  // `views`: storages are named as in files older than PyTorch 1.6, with a fifth part.
  Unpickler(const file::ReadFile& file, Budget& budget, Document& document, bool views)
      : file_(file), budget_(budget), document_(document), views_(views) {}

  // The next pickle; what it holds may refer to earlier ones' storages.
  Value load();
  // Where the next byte lies in the source.
  size_t position() const noexcept { return at_; }
  // The storage with this key; none: nullopt.
  std::optional<uint32_t> storage(std::string_view key) const;
  // Is it the number that files older than PyTorch 1.6 begin with?
  static bool is_magic(Value value) noexcept;

 private:
  enum class Global : int64_t;
  using Args = std::vector<Value>;

  // unpickle.cpp: the machine
  [[noreturn]] void fail(const std::string& reason) const;
  std::string_view take(uint64_t count);
  std::string_view take_line();
  uint64_t take_number(int bytes);
  void push(Value value) { budget_.push(stack_, value); }
  Value pop();
  Value& top();
  Args pop_mark();
  void step(unsigned char op);
  bool step_scalar(unsigned char op);
  bool step_text(unsigned char op);
  bool step_container(unsigned char op);
  bool step_memo(unsigned char op);
  void memoize(uint64_t index, Value value);
  void push_long(std::string_view bytes);
  void push_text(Kind kind, std::string_view text);
  Value new_box(Kind kind, Dict dict = Dict::plain);
  void add_items(Value list, const Args& items);
  void set_items(Value dict, const Args& items);

  // unpickle_globals.cpp: names and what they do
  Value find_global(std::string_view module, std::string_view name);
  Value reduce(Value function, Value arguments);
  void build(Value& target, Value state);
  Value call(Global function, const Args& args);
  Value make_dict(Dict dict, const Args& args);
  Value make_bytes(const Args& args);
  Value persistent(Value id);
  Value view_of(uint32_t root, Value view);

  // unpickle_tensors.cpp: what rebuilds tensors
  Value rebuild_strided(const Args& args, Global function);
  Value rebuild_parameter(const Args& args);
  Value rebuild_uninitialized(const Args& args, bool parameter);
  Value rebuild_sparse(const Args& args);
  Value rebuild_meta(const Args& args);
  Value rebuild_nested(const Args& args);
  Value add_tensor(TensorNode node);
  std::vector<int64_t> integers(Value list, const char* what);

  const Value& argument(const Args& args, size_t i, Kind kind, const char* function) const;
  const Box& sequence(Value value, const char* what) const;

  const file::ReadFile& file_;
  Budget& budget_;
  Document& document_;
  const bool views_;
  size_t at_ = 0;
  std::vector<Value> stack_;
  std::vector<size_t> marks_;
  std::vector<Value> memo_;                       // by index, as picklers count
  std::unordered_map<uint64_t, Value> far_memo_;  // indices out of turn
  std::unordered_map<std::string, uint32_t> storages_;
};

enum class Unpickler::Global : int64_t {
  magic_number,  // no global, but nothing to keep either
  ordered_dict,
  counter,
  set,
  bytes,
  complex,
  encode,
  size,
  device,
  get_layout,
  tensor,
  parameter,
  uninitialized_parameter,
  uninitialized_buffer,
  rebuild_tensor,
  rebuild_tensor_v2,
  rebuild_tensor_v3,
  rebuild_parameter,
  rebuild_sparse_tensor,
  rebuild_meta_tensor,
  rebuild_nested_tensor,
  rebuild_from_type,
  storage,  // and behind it each dtype of a storage class; untyped first
};

}  // namespace trainhost::save
