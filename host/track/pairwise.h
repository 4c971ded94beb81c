// Sums as numpy adds.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace trainhost::track {

// The sum of f(values[i]) as numpy adds: eight by eight up to 128, halves above that. So sums are numpy's to the last
// bit, and rounding grows with the logarithm of their number.
template <class Number, class Function>
double pairwise(std::span<const Number> values, const Function& f) {
  const size_t n = values.size();
  if (n < 8) {
    double sum = -0.0;
    for (const Number value : values) sum += f(value);
    return sum;
  }
  if (n > 128) {
    const size_t half = n / 2 - n / 2 % 8;
    return pairwise(values.first(half), f) + pairwise(values.subspan(half), f);
  }
  std::array<double, 8> r;
  for (size_t k = 0; k < 8; ++k) r[k] = f(values[k]);
  size_t i = 8;
  for (; i + 8 <= n; i += 8)
    for (size_t k = 0; k < 8; ++k) r[k] += f(values[i + k]);
  double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  for (; i < n; ++i) sum += f(values[i]);
  return sum;
}

}  // namespace trainhost::track
