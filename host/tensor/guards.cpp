// The guards, by operator.
#include "host/tensor/guards.h"

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "host/tensor/cuda.h"

namespace trainhost::tensor {
namespace {

// The argument called `name`, or null if the overload has none.
const c10::IValue* find(const Overload& overload, const Stack& stack, std::string_view name) {
  for (size_t i = 0; i < overload.arguments.size(); ++i)
    if (overload.arguments[i].name == name) return &stack[i];
  return nullptr;
}

const c10::IValue& get(const Overload& overload, const Stack& stack, std::string_view name) {
  const c10::IValue* value = find(overload, stack, name);
  TORCH_INTERNAL_ASSERT(value, "no argument ", std::string(name));
  return *value;
}

void embedding_bag(const Overload& overload, const Stack& stack) {
  const at::Tensor& indices = get(overload, stack, "indices").toTensor();
  const at::Tensor& offsets = get(overload, stack, "offsets").toTensor();
  const int64_t weight = get(overload, stack, "weight").toTensor().dim();
  TORCH_CHECK(weight == 2, "weight has to be a 2D Tensor, but got Tensor of dimension ", weight);
  TORCH_CHECK(indices.dim() == 1, "indices has to be a 1D Tensor, but got Tensor of dimension ", indices.dim());
  TORCH_CHECK(offsets.dim() == 1, "offsets has to be a 1D Tensor, but got Tensor of dimension ", offsets.dim());
  const c10::IValue& weights = get(overload, stack, "per_sample_weights");
  TORCH_CHECK(!weights.isTensor() || weights.toTensor().sizes() == indices.sizes(),
              "expected per_sample_weights to have the same shape as indices");
}

// What torch.nn.RNNBase checks before it calls lstm, gru, rnn_tanh or rnn_relu.
void recurrent(const Overload& overload, const Stack& stack) {
  const c10::IValue* whole = find(overload, stack, "input");
  const at::Tensor& input = (whole ? *whole : get(overload, stack, "data")).toTensor();
  const c10::IValue& hx = get(overload, stack, "hx");
  const std::vector<at::Tensor> states = hx.isTensor() ? std::vector{hx.toTensor()} : hx.toTensorVector();
  const std::vector<at::Tensor> params = get(overload, stack, "params").toTensorVector();
  const int64_t layers = get(overload, stack, "num_layers").toInt();
  const bool biases = get(overload, stack, "has_biases").toBool();
  const int64_t directions = get(overload, stack, "bidirectional").toBool() ? 2 : 1;

  const int64_t dimensions = whole ? 3 : 2;
  TORCH_CHECK(input.dim() == dimensions, "expected input to be ", dimensions, "-D, got ", input.dim(), "-D");
  TORCH_CHECK(layers > 0, "num_layers must be greater than zero, got ", layers);
  TORCH_CHECK(hx.isTensor() || states.size() == 2, "expected hx to be two tensors (h_0, c_0), got ", states.size());
  for (const at::Tensor& state : states)
    TORCH_CHECK(state.dim() == 3 && state.size(0) == layers * directions, "expected hx of ", layers * directions,
                " x batch x hidden size, got ", state.sizes());
  // weight_ih, weight_hh, bias_ih, bias_hh and, with a projection, weight_hr of each layer and direction.
  const auto cells = static_cast<size_t>(layers * directions);
  const size_t plain = cells * (biases ? 4 : 2);
  TORCH_CHECK(params.size() == plain || (!hx.isTensor() && params.size() == plain + cells), "expected ", plain,
              " params for ", layers, " layers, got ", params.size());
  for (const at::Tensor& param : params) {
    TORCH_CHECK(param.dim() == 1 || param.dim() == 2, "expected params of 1 or 2 dimensions, got ", param.dim());
    TORCH_CHECK(param.scalar_type() == input.scalar_type(), "expected params of the input's dtype ",
                input.scalar_type(), ", got ", param.scalar_type());
  }
  if (const c10::IValue* sizes = find(overload, stack, "batch_sizes")) {
    const at::Tensor& batch_sizes = sizes->toTensor();
    TORCH_CHECK(batch_sizes.dim() == 1 && batch_sizes.numel() > 0 && batch_sizes.scalar_type() == at::kLong &&
                    batch_sizes.device().is_cpu(),
                "expected batch_sizes to be a 1D int64 Tensor on the CPU, as pack_padded_sequence makes it");
  }
}

void native_group_norm(const Overload& overload, const Stack& stack) {
  const int64_t group = get(overload, stack, "group").toInt();
  const int64_t channels = get(overload, stack, "C").toInt();
  TORCH_CHECK(group > 0 && channels % group == 0, "expected group to be positive and to divide C (", channels,
              "), got ", group);
}

void fused_moving_avg_obs_fake_quant(const Overload& overload, const Stack& stack) {
  for (const char* name : {"input", "running_min", "running_max", "scale"}) {
    const at::Tensor& tensor = get(overload, stack, name).toTensor();
    TORCH_CHECK(tensor.scalar_type() == at::kFloat, "expected ", name, " to be float32, got ", tensor.scalar_type());
  }
  for (const char* name : {"observer_on", "fake_quant_on"})
    TORCH_CHECK(get(overload, stack, name).toTensor().numel() == 1, "expected ", name, " to have one element");
  const at::Tensor& zero_point = get(overload, stack, "zero_point").toTensor();
  TORCH_CHECK(zero_point.scalar_type() == at::kInt, "expected zero_point to be int32, got ", zero_point.scalar_type());
  const at::Tensor& input = get(overload, stack, "input").toTensor();
  const int64_t axis = get(overload, stack, "ch_axis").toInt();
  TORCH_CHECK(!get(overload, stack, "per_row_fake_quant").toBool() || (axis >= 0 && axis < input.dim()),
              "expected ch_axis in 0 to ", input.dim() - 1, ", got ", axis);
  for (const char* name : {"scale", "zero_point"})
    TORCH_CHECK(get(overload, stack, name).toTensor().numel() > 0, "expected ", name, " to have an element");
}

// LAPACK's balancing of a matrix with NaN reads past its end; torch.linalg.eig checks the same.
void linalg_eigvals(const Overload& overload, const Stack& stack) {
  const at::Tensor& input = get(overload, stack, "input").toTensor();
  if (input.is_meta() || input.layout() != at::kStrided || input.is_nested()) return;
  TORCH_CHECK(at::isfinite(input).all().item<bool>(), "input tensor should not contain infs or NaNs.");
}

// What torch.batch_norm checks.
void native_batch_norm(const Overload& overload, const Stack& stack) {
  const at::Tensor& input = get(overload, stack, "input").toTensor();
  TORCH_CHECK(input.dim() >= 2, "expected input to have 2 or more dimensions, got ", input.dim());
  for (const char* name : {"weight", "bias", "running_mean", "running_var"}) {
    const c10::IValue* value = find(overload, stack, name);
    if (!value || !value->isTensor()) continue;
    const at::Tensor& tensor = value->toTensor();
    TORCH_CHECK(tensor.dim() == 1 && tensor.size(0) == input.size(1), name, " should contain ", input.size(1),
                " elements, got a Tensor of ", tensor.sizes());
  }
}

void lu_unpack(const Overload& overload, const Stack& stack) {
  const at::Tensor& lu = get(overload, stack, "LU_data").toTensor();
  const at::Tensor& pivots = get(overload, stack, "LU_pivots").toTensor();
  TORCH_CHECK(lu.dim() >= 2, "expected LU_data to have 2 or more dimensions, got ", lu.dim());
  std::vector<int64_t> sizes = lu.sizes().slice(0, static_cast<size_t>(lu.dim() - 2)).vec();
  sizes.push_back(std::min(lu.size(-2), lu.size(-1)));
  TORCH_CHECK(pivots.sizes() == sizes, "expected LU_pivots to be of ", at::IntArrayRef(sizes), ", got ",
              pivots.sizes());
  if (pivots.is_meta() || pivots.numel() == 0) return;
  TORCH_CHECK(pivots.min().item<int64_t>() >= 1 && pivots.max().item<int64_t>() <= lu.size(-2),
              "expected LU_pivots between 1 and ", lu.size(-2), ", as torch.linalg.lu_factor returns them");
}

// In an integral dtype a step below 1 is cast to 0 and divided by.
void range(const Overload& overload, const Stack& stack) {
  const c10::IValue* step = find(overload, stack, "step");
  const c10::IValue* dtype = find(overload, stack, "dtype");
  const c10::IValue* out = find(overload, stack, "out");
  if (!step || !step->isScalar()) return;
  const bool integral = out                         ? at::isIntegralType(out->toTensor().scalar_type(), true)
                        : dtype && !dtype->isNone() ? at::isIntegralType(dtype->toScalarType(), true)
                                                    : false;
  TORCH_CHECK(!integral || std::abs(step->toScalar().to<double>()) >= 1,
              "step must be 1 or more for an integral dtype");
}

// Sizes of windows and borders are added and multiplied unchecked: near 2^63 they wrap to a small output.
void window(const Overload& overload, const Stack& stack) {
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  for (size_t i = 0; i < overload.arguments.size(); ++i) {
    if (overload.arguments[i].kind != Kind::integers || !stack[i].isIntList()) continue;
    for (const int64_t value : stack[i].toIntVector())
      TORCH_CHECK(value >= -kMost && value <= kMost, "expected ", overload.arguments[i].name, " below 2^31, got ",
                  value);
  }
}

void check_range(const at::Tensor& indices, int64_t size, const char* name) {
  if (indices.is_meta() || indices.numel() == 0) return;
  const auto least = indices.min().item<int64_t>(), most = indices.max().item<int64_t>();
  TORCH_CHECK(least >= 0 && most < size, "expected ", name, " between 0 and ", size - 1, ", got ",
              least < 0 ? least : most);
}

// The gradient is added where the indices say. (A backward of the engine has them from the forward.)
void max_pool_backward(const Overload& overload, const Stack& stack) {
  window(overload, stack);
  const at::Tensor& input = get(overload, stack, "input").toTensor();
  const at::Tensor& grad = get(overload, stack, "grad_output").toTensor();
  const at::Tensor& indices = get(overload, stack, "indices").toTensor();
  const auto planes = overload.schema->name().find("3d") == std::string::npos ? 2 : 3;
  TORCH_CHECK(input.dim() > planes, "expected input to have more than ", planes, " dimensions, got ", input.dim());
  TORCH_CHECK(indices.sizes() == grad.sizes(), "expected indices of the shape of grad_output, ", grad.sizes(), ", got ",
              indices.sizes());
  check_range(indices, c10::multiply_integers(input.sizes().slice(static_cast<size_t>(input.dim() - planes))),
              "indices");
}

// Segments are read where lengths or offsets say.
void segment_reduce(const Overload& overload, const Stack& stack) {
  const at::Tensor& data = get(overload, stack, "data").toTensor();
  const int64_t axis = get(overload, stack, "axis").toInt();
  for (const char* name : {"lengths", "offsets"}) {
    const c10::IValue& value = get(overload, stack, name);
    if (!value.isTensor()) continue;
    const at::Tensor& segments = value.toTensor();
    if (segments.is_meta() || segments.numel() == 0) continue;
    TORCH_CHECK(axis >= 0 && axis < data.dim() && segments.dim() == axis + 1,
                "expected axis to be the last dimension of ", name, " and one of data, got ", axis);
    const auto batch = static_cast<size_t>(axis);
    TORCH_CHECK(segments.sizes().slice(0, batch) == data.sizes().slice(0, batch), "expected ", name,
                " to have data's sizes ", data.sizes().slice(0, batch), " before axis, got ", segments.sizes());
    check_range(segments, data.size(axis) + 1, name);
    if (std::string_view(name) == "lengths") check_range(segments.sum(-1), data.size(axis) + 1, "the sum of lengths");
  }
}

// Its backward reads the first of no rows.
void pdist(const Overload& overload, const Stack& stack) {
  const at::Tensor& input = get(overload, stack, "input").toTensor();
  TORCH_CHECK(input.dim() != 2 || input.size(0) > 0 || !input.requires_grad() || !c10::GradMode::is_enabled(),
              "pdist of an input without rows has no gradient");
}

void check_likeness(const at::Tensor& tensor, const at::Tensor& param, const std::string& name) {
  TORCH_CHECK(tensor.sizes() == param.sizes(), "expected ", name, " of their parameters' shapes, got ", tensor.sizes(),
              " for ", param.sizes());
  TORCH_CHECK(tensor.scalar_type() == param.scalar_type(), "expected ", name, " of their parameters' dtypes, got ",
              tensor.scalar_type(), " for ", param.scalar_type());
  TORCH_CHECK(tensor.layout() == at::kStrided, "expected ", name, " to be strided tensors, got ", tensor.layout());
  TORCH_CHECK(tensor.is_non_overlapping_and_dense(), "expected ", name,
              " that own their memory without gaps, got strides ", tensor.strides(), " for ", tensor.sizes());
  for (int64_t d = 0; d < tensor.dim(); ++d)
    TORCH_CHECK(tensor.numel() == 0 || tensor.size(d) == 1 || tensor.stride(d) == param.stride(d), "expected ", name,
                " with their parameters' strides, got ", tensor.strides(), " for ", param.strides());
}

// One kernel walks over all lists by pointer, as many elements as the parameters have.
void fused_optimizer(const Overload& overload, const Stack& stack) {
  std::vector<at::Tensor> params;
  for (size_t i = 0; i < overload.arguments.size(); ++i) {
    const auto& [name, kind] = std::tie(overload.arguments[i].name, overload.arguments[i].kind);
    if ((name == "grad_scale" || name == "found_inf") && stack[i].isTensor())
      TORCH_CHECK(stack[i].toTensor().numel() == 1 && stack[i].toTensor().scalar_type() == at::kFloat, "expected ",
                  name, " to be one float32 number");
    if (kind != Kind::tensors || !stack[i].isTensorList()) continue;
    const std::vector<at::Tensor> list = stack[i].toTensorVector();
    if (params.empty()) params = list;
    const bool may_be_empty = name != "grads" && name != "state_steps";
    TORCH_CHECK((list.empty() && may_be_empty) || list.size() == params.size(), "expected ", params.size(), " ", name,
                ", one for each parameter, got ", list.size());
    for (size_t k = 0; k < list.size(); ++k) {
      if (name == "state_steps") {
        TORCH_CHECK(list[k].numel() == 1 && list[k].scalar_type() == at::kFloat,
                    "expected state_steps to be float32 numbers");
        continue;
      }
      check_likeness(list[k], params[k], name);
    }
  }
}

// Whose memory is pinned is asked of CUDA's hooks, see Note [CUDA before its hooks are asked for].
void pinned_memory(const Overload&, const Stack&) { load_cuda_if_usable(); }

}  // namespace

Guard find_guard(std::string_view qualified_name) {
  static const auto* const guards = new std::unordered_map<std::string_view, Guard>{
      {"aten::embedding_bag", embedding_bag},
      {"aten::fused_moving_avg_obs_fake_quant", fused_moving_avg_obs_fake_quant},
      {"aten::gru", recurrent},
      {"aten::is_pinned", pinned_memory},
      {"aten::pin_memory", pinned_memory},
      {"aten::linalg_eigvals", linalg_eigvals},
      {"aten::lstm", recurrent},
      {"aten::lu_unpack", lu_unpack},
      {"aten::native_batch_norm", native_batch_norm},
      {"aten::native_group_norm", native_group_norm},
      {"aten::range", range},
      {"aten::rnn_relu", recurrent},
      {"aten::rnn_tanh", recurrent},
      {"aten::adaptive_max_pool2d_backward", max_pool_backward},
      {"aten::adaptive_max_pool3d_backward", max_pool_backward},
      {"aten::max_pool2d_with_indices_backward", max_pool_backward},
      {"aten::max_pool3d_with_indices_backward", max_pool_backward},
      {"aten::pdist", pdist},
      {"aten::segment_reduce", segment_reduce},
  };
  if (const auto found = guards->find(qualified_name); found != guards->end()) return found->second;
  static constexpr std::pair<std::string_view, Guard> kFamilies[] = {
      {"aten::_fused_adagrad", fused_optimizer},
      {"aten::_fused_adam", fused_optimizer},
      {"aten::_fused_sgd", fused_optimizer},
      {"aten::_native_batch_norm_legit", native_batch_norm},
      {"aten::avg_pool", window},
      {"aten::max_pool", window},
      {"aten::reflection_pad", window},
      {"aten::replication_pad", window},
  };
  for (const auto& [family, guard] : kFamilies)
    if (qualified_name.starts_with(family)) return guard;
  return nullptr;
}

}  // namespace trainhost::tensor
