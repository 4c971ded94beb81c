// The writer of pickles from the inside: values in pickle.cpp, tensors in pickle_tensors.cpp.
#pragma once

#include <unordered_set>

#include "host/save/pickle.h"

namespace trainhost::save {

class Pickler {
 public:
  explicit Pickler(const Document& document) : document_(document) {}
  Pickled run();

 private:
  void op(char code) { out_.push_back(code); }
  void number(uint64_t value, int bytes);
  // Places in the memo, by what stands there; 0: nowhere yet.
  void memoize(uint32_t& place);
  bool recall(uint32_t place);

  void value(Value value);
  void integer(int64_t value);
  void real(double value);
  void unicode(std::string_view text);
  void text(std::string_view text);
  void global(const std::string& module, const std::string& name);
  void items(const std::vector<Value>& values, char op_many);
  void tuple(const std::vector<Value>& values);
  void box(Value value);

  void dtype(at::ScalarType type);
  void layout(at::Layout layout);
  void device(at::Device device);
  void sizes(at::IntArrayRef sizes);
  void size(at::IntArrayRef sizes);  // torch.Size
  void storage(const at::Tensor& tensor, bool untyped);
  void tensor(const TensorNode& node, uint32_t& place);
  void strided(const at::Tensor& tensor);
  void meta(const at::Tensor& tensor);
  void sparse(const at::Tensor& tensor);
  void nested(const at::Tensor& tensor);

  const Document& document_;
  std::string out_;
  uint32_t memo_count_ = 0;
  std::unordered_map<std::string, uint32_t> globals_, texts_;
  std::unordered_map<uint32_t, uint32_t> boxes_, tensors_;
  std::unordered_set<uint32_t> open_;
  std::vector<at::Tensor> storages_;
  struct Known {
    size_t key;
    at::ScalarType dtype;
  };
  std::unordered_map<const void*, Known> known_;           // by storage
  std::unordered_map<const void*, at::ScalarType> types_;  // by where its bytes lie
};

}  // namespace trainhost::save
