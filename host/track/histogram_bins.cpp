// How many buckets of equal width numpy takes, and their edges (numpy/lib/_histograms_impl.py).
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "host/base/error.h"
#include "host/track/histogram.h"
#include "host/track/pairwise.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

std::pair<double, double> outer_edges(std::span<const double> values) {
  double first = values[0], last = values[0];
  for (const double value : values) {
    if (std::isnan(value)) first = last = value;
    if (std::isnan(first)) break;
    first = std::min(first, value);
    last = std::max(last, value);
  }
  if (!std::isfinite(first) || !std::isfinite(last))
    throw_usage("autodetected range of [" + python_float(first) + ", " + python_float(last) + "] is not finite",
                "bins = \"tensorflow\" has edges of its own");
  if (!std::isfinite(last - first))
    throw_usage("the range from " + python_float(first) + " to " + python_float(last) + " is too wide");
  return first == last ? std::pair(first - 0.5, last + 0.5) : std::pair(first, last);
}

std::vector<double> edges_between(double first, double last, size_t count) {
  std::vector<double> edges(count + 1);
  const double step = (last - first) / static_cast<double>(count);
  for (size_t i = 0; i < count; ++i)
    edges[i] = (step == 0 ? static_cast<double>(i) / static_cast<double>(count) * (last - first)
                          : static_cast<double>(i) * step) +
               first;
  edges[count] = last;
  return edges;
}

double mean(std::span<const double> values) {
  return pairwise(values, [](double value) { return value; }) / static_cast<double>(values.size());
}

double deviation(std::span<const double> values, double middle) {
  const double sum = pairwise(values, [&](double value) { return (value - middle) * (value - middle); });
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// As numpy.percentile, linear between neighbours. Reorders `values`.
double quantile(std::vector<double>& values, double share) {
  const double at = share * static_cast<double>(values.size() - 1), low = std::floor(at);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(low);
  std::nth_element(values.begin(), middle, values.end());
  if (middle + 1 == values.end()) return *middle;
  const double a = *middle, b = *std::min_element(middle + 1, values.end()), t = at - low;
  return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
}

// Freedman's and Diaconis's.
double fd_width(std::span<const double> values) {
  std::vector<double> copy(values.begin(), values.end());
  const double upper = quantile(copy, 0.75);
  return 2.0 * (upper - quantile(copy, 0.25)) * std::pow(static_cast<double>(values.size()), -1.0 / 3.0);
}

double stone_width(std::span<const double> values, double range) {
  const auto n = static_cast<double>(values.size());
  if (values.size() <= 1 || range == 0) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const auto cost = [&](size_t bins) {
    const auto edges = edges_between(sorted.front(), sorted.back(), bins);
    double squares = 0.0;
    auto from = sorted.begin();
    for (size_t i = 1; i <= bins; ++i) {
      const auto to = i == bins ? sorted.end() : std::lower_bound(from, sorted.end(), edges[i]);
      const double share = static_cast<double>(to - from) / n;
      squares += share * share;
      from = to;
    }
    return (2 - (n + 1) * squares) / (range / static_cast<double>(bins));
  };
  size_t best = 1;
  double least = cost(1);
  const auto most = std::max<size_t>(100, static_cast<size_t>(std::sqrt(n)));
  for (size_t bins = 2; bins <= most; ++bins)
    if (const double now = cost(bins); now < least) {
      least = now;
      best = bins;
    }
  return range / static_cast<double>(best);
}

double doane_width(std::span<const double> values, double range) {
  const auto n = static_cast<double>(values.size());
  if (values.size() <= 2) return 0;
  const double middle = mean(values), sigma = deviation(values, middle);
  if (!(sigma > 0)) return 0;
  const double cubes = pairwise(values, [&](double value) { return std::pow((value - middle) / sigma, 3); });
  const double skew = cubes / n, spread = std::sqrt(6.0 * (n - 2) / ((n + 1.0) * (n + 3)));
  return range / (1.0 + std::log2(n) + std::log2(1.0 + std::abs(skew) / spread));
}

constexpr std::array<std::pair<std::string_view, BinRule>, 8> kRules{{{"auto", BinRule::automatic},
                                                                      {"fd", BinRule::fd},
                                                                      {"doane", BinRule::doane},
                                                                      {"scott", BinRule::scott},
                                                                      {"stone", BinRule::stone},
                                                                      {"rice", BinRule::rice},
                                                                      {"sturges", BinRule::sturges},
                                                                      {"sqrt", BinRule::sqrt}}};

}  // namespace

std::optional<BinRule> bin_rule(std::string_view name) noexcept {
  for (const auto& [known, rule] : kRules)
    if (known == name) return rule;
  return std::nullopt;
}

std::vector<double> equal_edges(std::span<const double> values, size_t count) {
  const auto [first, last] = outer_edges(values);
  auto edges = edges_between(first, last, count);
  if (std::adjacent_find(edges.begin(), edges.end(), std::greater_equal<>()) != edges.end())
    throw_usage("Too many bins for data range. Cannot create " + std::to_string(count) + " finite-sized bins.");
  return edges;
}

size_t bin_count(std::span<const double> values, BinRule rule) {
  const auto [first, last] = outer_edges(values);
  const auto n = static_cast<double>(values.size());
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  const double range = *greatest - *least;
  const double sturges = range / (std::log2(n) + 1.0);
  double width = 0.0;
  switch (rule) {
    case BinRule::automatic:
      width = fd_width(values);
      width = width != 0 ? std::min(width, sturges) : sturges;
      break;
    case BinRule::fd:
      width = fd_width(values);
      break;
    case BinRule::doane:
      width = doane_width(values, range);
      break;
    case BinRule::scott:
      width = std::pow(24.0 * std::sqrt(3.141592653589793) / n, 1.0 / 3.0) * deviation(values, mean(values));
      break;
    case BinRule::stone:
      width = stone_width(values, range);
      break;
    case BinRule::rice:
      width = range / (2.0 * std::pow(n, 1.0 / 3));
      break;
    case BinRule::sturges:
      width = sturges;
      break;
    case BinRule::sqrt:
      width = range / std::sqrt(n);
      break;
  }
  if (!(width > 0)) return 1;
  const double count = std::ceil((last - first) / width);
  if (!(count < 1e8)) throw_usage("a rule asks for " + python_float(count) + " bins", "give a number of bins");
  return std::max<size_t>(1, static_cast<size_t>(count));
}

}  // namespace trainhost::track
