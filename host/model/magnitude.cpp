// How large tensors are, read on the host: norms, and whether all values are finite.
#include "host/model/magnitude.h"

#include <ATen/Parallel.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sub.h>
#include <c10/core/GradMode.h>

#include <atomic>
#include <cmath>

namespace trainhost::model {
namespace {

// Note [Sums of float vectors]
// The compiler may not reorder sums of floats, so lanes are written out: eight vectors hide the latency of the
// additions, and a block is as long as a sum in float may be. Blocks are added in double. Where the processor has AVX2
// the same loops run compiled for it: twice as wide, they are as fast as the cache.
typedef float Lanes __attribute__((vector_size(32), aligned(4)));
constexpr int64_t kStep = 64;
constexpr int64_t kBlock = 4096;
constexpr int64_t kGrain = 1 << 19;

#define ALWAYS_INLINE __attribute__((always_inline)) inline

ALWAYS_INLINE float total(const Lanes* sums, float rest) {
  const Lanes sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7])) + rest;
}

ALWAYS_INLINE float sum_loop(const float* data, int64_t count) {
  Lanes sums[8] = {};
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    const Lanes* from = reinterpret_cast<const Lanes*>(data + i);
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) sums[k] += from[k];
  }
  float rest = 0;
  for (; i < count; ++i) rest += data[i];
  return total(sums, rest);
}

template <bool with_other>
ALWAYS_INLINE float squares_loop(const float* data, const float* other, int64_t count) {
  Lanes sums[8] = {};
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    const Lanes* from = reinterpret_cast<const Lanes*>(data + i);
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      Lanes x = from[k];
      if constexpr (with_other) x -= reinterpret_cast<const Lanes*>(other + i)[k];
      sums[k] += x * x;
    }
  }
  float rest = 0;
  for (; i < count; ++i) {
    const float x = with_other ? data[i] - other[i] : data[i];
    rest += x * x;
  }
  return total(sums, rest);
}

#if defined(__x86_64__)
#define FOR_AVX2 __attribute__((target("avx2")))
const bool kHasAvx2 = __builtin_cpu_supports("avx2");
FOR_AVX2 float sum_avx2(const float* data, int64_t count) { return sum_loop(data, count); }
template <bool with_other>
FOR_AVX2 float squares_avx2(const float* data, const float* other, int64_t count) {
  return squares_loop<with_other>(data, other, count);
}
#else
constexpr bool kHasAvx2 = false;
float sum_avx2(const float* data, int64_t count) { return sum_loop(data, count); }
template <bool with_other>
float squares_avx2(const float* data, const float* other, int64_t count) {
  return squares_loop<with_other>(data, other, count);
}
#endif

// Of finite values that do not overflow it is finite; of others it is not.
float sum_of(const float* data, int64_t count) { return kHasAvx2 ? sum_avx2(data, count) : sum_loop(data, count); }

bool is_finite(const float* data, int64_t count) {
  if (std::isfinite(sum_of(data, count))) return true;
  for (int64_t i = 0; i < count; ++i)
    if (!std::isfinite(data[i])) return false;
  return true;
}

template <bool with_other>
double squares_of_block(const float* data, const float* other, int64_t count) {
  const float sum =
      kHasAvx2 ? squares_avx2<with_other>(data, other, count) : squares_loop<with_other>(data, other, count);
  if (sum > 1e-30f && sum < 1e37f) return sum;
  double sums[8] = {};  // squares of very small and very large values leave the range of a float
  for (int64_t i = 0; i < count; ++i) {
    const double x = with_other ? double(data[i]) - other[i] : data[i];
    sums[i % 8] += x * x;
  }
  double exact = 0;
  for (double each : sums) exact += each;
  return exact;
}

template <bool with_other>
double norm_of(const float* data, const float* other, int64_t count) {
  const auto sum = [&](int64_t begin, int64_t end, double sum) {
    for (int64_t i = begin; i < end; i += kBlock)
      sum += squares_of_block<with_other>(data + i, with_other ? other + i : nullptr, std::min(kBlock, end - i));
    return sum;
  };
  if (count <= kGrain) return std::sqrt(sum(0, count, 0));
  return std::sqrt(at::parallel_reduce(0, count, kGrain, 0.0, sum, std::plus<double>()));
}

bool is_plain(const at::Tensor& t) {
  return t.is_cpu() && t.layout() == at::kStrided && t.scalar_type() == at::kFloat &&
         t.is_non_overlapping_and_dense() && !t.is_neg();
}

at::Tensor values_of(const at::Tensor& tensor) {
  at::Tensor t = tensor.is_sparse() ? tensor.coalesce().values() : tensor;
  return at::isFloatingType(t.scalar_type()) || at::isComplexType(t.scalar_type()) ? t : t.to(at::kDouble);
}

at::Tensor slow_norm(const at::Tensor& tensor) {
  const at::Tensor t = values_of(tensor);
  return at::linalg_vector_norm(t, 2, std::nullopt, false, t.is_complex() ? at::kComplexDouble : at::kDouble);
}

}  // namespace

std::vector<std::optional<double>> norms(const std::vector<at::Tensor>& tensors) {
  c10::NoGradGuard no_grad;
  std::vector<std::optional<double>> result(tensors.size());
  std::vector<at::Tensor> later;
  std::vector<size_t> places;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor& t = tensors[i];
    if (!t.defined()) continue;
    if (is_plain(t)) {
      result[i] = norm_of<false>(t.const_data_ptr<float>(), nullptr, t.numel());
    } else {
      at::Tensor norm = slow_norm(t);
      if (norm.is_cpu()) {
        result[i] = norm.item<double>();
        continue;
      }
      later.push_back(later.empty() ? norm : norm.to(later[0].device()));
      places.push_back(i);
    }
  }
  if (later.empty()) return result;
  const at::Tensor all = at::stack(later).cpu();
  for (size_t k = 0; k < places.size(); ++k) result[places[k]] = all.const_data_ptr<double>()[k];
  return result;
}

std::vector<std::optional<double>> distances(const std::vector<at::Tensor>& tensors,
                                             const std::vector<at::Tensor>& others) {
  c10::NoGradGuard no_grad;
  std::vector<std::optional<double>> result(tensors.size());
  std::vector<at::Tensor> differences(tensors.size());
  bool is_complete = true;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor &t = tensors[i], &other = others.at(i);
    if (!t.defined() || !other.defined()) continue;
    if (is_plain(t) && is_plain(other) && t.sizes() == other.sizes() && t.strides() == other.strides()) {
      result[i] = norm_of<true>(t.const_data_ptr<float>(), other.const_data_ptr<float>(), t.numel());
    } else {
      differences[i] = at::sub(t, other);
      is_complete = false;
    }
  }
  if (is_complete) return result;
  const auto rest = norms(differences);
  for (size_t i = 0; i < rest.size(); ++i)
    if (differences[i].defined()) result[i] = rest[i];
  return result;
}

std::optional<size_t> first_not_finite(const std::vector<at::Tensor>& tensors, size_t begin) {
  c10::NoGradGuard no_grad;
  for (size_t i = begin; i < tensors.size(); ++i) {
    const at::Tensor& t = tensors[i];
    if (!t.defined() || t.numel() == 0) continue;
    bool finite = true;
    if (is_plain(t)) {
      const float* data = t.const_data_ptr<float>();
      if (t.numel() <= kGrain) {
        finite = is_finite(data, t.numel());
      } else {
        std::atomic<bool> all = true;
        at::parallel_for(0, t.numel(), kGrain, [&](int64_t from, int64_t to) {
          if (!is_finite(data + from, to - from)) all = false;
        });
        finite = all;
      }
    } else {
      finite = at::isfinite(values_of(t)).all().item<bool>();
    }
    if (!finite) return i;
  }
  return std::nullopt;
}

}  // namespace trainhost::model
