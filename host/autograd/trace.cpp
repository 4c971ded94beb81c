// An observer of operators that counts their work and follows tensors through them.
#include "host/autograd/trace.h"

#include <ATen/core/function_schema.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <exception>

namespace trainhost::autograd {
namespace {

thread_local Trace* innermost = nullptr;

using Sizes = std::vector<int64_t>;
using AllSizes = std::vector<Sizes>;

int64_t product(const Sizes& sizes, size_t from = 0, size_t until = SIZE_MAX) {
  int64_t n = 1;
  for (size_t i = from; i < std::min(until, sizes.size()); ++i) n *= sizes[i];
  return n;
}

// [.., m, k] x [.., k, n]: the tensors `first` and the one after it.
int64_t of_product(const AllSizes& in, size_t first) {
  if (in.size() < first + 2 || in[first].empty() || in[first + 1].empty()) return 0;
  return 2 * product(in[first]) * in[first + 1].back();
}
int64_t of_mm(const AllSizes& in, const Sizes&, bool) { return of_product(in, 0); }
int64_t of_addmm(const AllSizes& in, const Sizes&, bool) { return of_product(in, 1); }

int64_t of_convolution(const AllSizes& in, const Sizes& out, bool transposed) {
  if (in.size() < 2 || in[0].empty()) return 0;
  return 2 * in[0][0] * product(in[1]) * product(transposed ? in[0] : out, 2);
}

// [batch, heads, queries, width], and keys and values likewise.
int64_t of_attention(const AllSizes& in, const Sizes&, bool) {
  if (in.size() < 3 || in[0].size() != 4 || in[1].size() != 4 || in[2].size() != 4) return 0;
  return 2 * product(in[0], 0, 3) * in[1][2] * (in[0][3] + in[2][3]);
}

// A sequence, then weights: each matrix meets each of its elements.
int64_t of_recurrent(const AllSizes& in, const Sizes&, bool) {
  if (in.empty() || in[0].empty()) return 0;
  int64_t weights = 0;
  for (size_t i = 1; i < in.size(); ++i) weights += product(in[i]);
  return 2 * product(in[0], 0, in[0].size() - 1) * weights;
}

struct Work {
  int64_t (*flops)(const AllSizes& in, const Sizes& out, bool transposed);
  size_t first, last;        // which inputs are its tensors
  bool matrices_of = false;  // only those of two dimensions, and the first
  size_t transposed = 0;     // which input says so, if one does
};

const std::unordered_map<std::string_view, Work>& works() {
  static const std::unordered_map<std::string_view, Work> all{
      {"aten::mm", {of_mm, 0, 1}},
      {"aten::bmm", {of_mm, 0, 1}},
      {"aten::_scaled_mm", {of_mm, 0, 1}},
      {"aten::addmm", {of_addmm, 0, 2}},
      {"aten::_addmm_activation", {of_addmm, 0, 2}},
      {"aten::baddbmm", {of_addmm, 0, 2}},
      {"aten::convolution", {of_convolution, 0, 1, false, 6}},
      {"aten::_convolution", {of_convolution, 0, 1, false, 6}},
      {"aten::cudnn_convolution", {of_convolution, 0, 1}},
      {"aten::_slow_conv2d_forward", {of_convolution, 0, 1}},
      {"aten::convolution_overrideable", {of_convolution, 0, 1, false, 6}},
      {"aten::_scaled_dot_product_efficient_attention", {of_attention, 0, 2}},
      {"aten::_scaled_dot_product_flash_attention", {of_attention, 0, 2}},
      {"aten::_scaled_dot_product_flash_attention_for_cpu", {of_attention, 0, 2}},
      {"aten::_scaled_dot_product_cudnn_attention", {of_attention, 0, 2}},
      {"aten::mkldnn_rnn_layer", {of_recurrent, 0, 2, true}},
      {"aten::_cudnn_rnn", {of_recurrent, 0, 1, true}},
  };
  return all;
}

// f(tensor) of each tensor in a value, those of lists too.
template <class F>
void each_tensor(const c10::IValue& value, F f) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) f(value.toTensor());
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) each_tensor(element, f);
  }
}

void unite(Trace::Sources& into, const Trace::Sources& more) {
  Trace::Sources both;
  std::set_union(into.begin(), into.end(), more.begin(), more.end(), std::back_inserter(both));
  into = std::move(both);
}

const void* storage_of(const at::Tensor& tensor) {
  return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

bool is_written(const c10::FunctionSchema& schema, size_t i) {
  const auto* alias = schema.arguments()[i].alias_info();
  return alias && alias->isWrite();
}

}  // namespace

Trace::Trace() : outer_(innermost) { innermost = this; }

Trace::~Trace() { innermost = outer_; }

Trace* Trace::current() noexcept { return innermost; }

Trace::Sources Trace::sources_of(const at::Tensor& tensor) const {
  const auto found = known_.find(tensor.unsafeGetTensorImpl());
  return found == known_.end() ? Sources() : found->second.sources;
}

void Trace::mark(const at::Tensor& tensor, Sources sources) {
  known_.insert_or_assign(tensor.unsafeGetTensorImpl(), Known{decltype(Known::tensor)(tensor.getIntrusivePtr()),
                                                              storage_of(tensor), std::move(sources)});
}

void Trace::read(const at::RecordFunction& call, Call& into) const {
  const auto inputs = call.inputs();
  if (const auto work = works().find(into.name); work != works().end() && counted_ == 0) {
    for (size_t i = work->second.first; i <= work->second.last && i < inputs.size(); ++i)
      each_tensor(inputs[i], [&](const at::Tensor& tensor) {
        if (!work->second.matrices_of || into.sizes.empty() || tensor.dim() == 2)
          into.sizes.push_back(tensor.sizes().vec());
      });
    const size_t flag = work->second.transposed;
    into.transposed = flag && flag < inputs.size() && inputs[flag].isBool() && inputs[flag].toBool();
  }
  if (!calls_.empty()) return;  // tensors are followed from one call of the script to the next
  for (const c10::IValue& input : inputs)
    each_tensor(input, [&](const at::Tensor& tensor) { unite(into.sources, sources_of(tensor)); });
  const auto schema = call.operator_schema();
  if (!schema || !schema->is_mutable()) return;
  for (size_t i = 0; i < std::min(inputs.size(), schema->arguments().size()); ++i)
    if (is_written(*schema, i))
      each_tensor(inputs[i], [&](const at::Tensor& tensor) { into.written.push_back(tensor); });
}

void Trace::before(const at::RecordFunction& call) noexcept {
  Call now;
  try {
    now.name = call.name();
    read(call, now);
    if (!now.sizes.empty()) counted_ = calls_.size() + 1;
    calls_.push_back(std::move(now));
  } catch (const std::exception&) {  // a call that is not known
    now.sizes.clear();
    calls_.push_back(std::move(now));
  }
}

void Trace::spread(const at::RecordFunction& call, const Call& from) {
  for (const c10::IValue& output : call.outputs())
    each_tensor(output, [&](const at::Tensor& tensor) { mark(tensor, from.sources); });
  for (const at::Tensor& tensor : from.written) {
    mark(tensor, from.sources);
    const void* storage = storage_of(tensor);
    if (!storage) continue;
    for (auto& [_, each] : known_)  // others that show the same memory
      if (each.storage == storage) unite(each.sources, from.sources);
  }
}

void Trace::after(const at::RecordFunction& call) noexcept {
  if (calls_.empty()) return;
  const Call done = std::move(calls_.back());
  calls_.pop_back();
  try {
    if (!done.sizes.empty()) {
      counted_ = 0;
      Sizes out;
      for (const c10::IValue& output : call.outputs())
        if (out.empty() && output.isTensor() && output.toTensor().defined()) out = output.toTensor().sizes().vec();
      if (!call.outputs().empty()) flops_ += works().at(done.name).flops(done.sizes, out, done.transposed);
    }
    if (calls_.empty()) spread(call, done);
  } catch (const std::exception&) {  // an observer may not throw
  }
}

}  // namespace trainhost::autograd
