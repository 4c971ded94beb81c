// Buckets by a table of exponents, or by bisection; numpy's edges (numpy/lib/_histograms_impl.py).
#include "host/track/histogram.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "host/base/error.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

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

// The positive edges, and where to begin looking for a number among them: a cell is an exponent and four bits more, in
// which lie two edges at most.
class PositiveEdges {
 public:
  PositiveEdges() {
    for (double edge = 1e-12; edge < 1e20; edge *= 1.1) edges_.push_back(edge);
    first_cell_ = cell(edges_.front());
    starts_.resize(cell(edges_.back()) - first_cell_ + 1);
    for (size_t i = 0; i < starts_.size(); ++i) {
      const double least = std::bit_cast<double>((first_cell_ + i) << kShift);
      starts_[i] = static_cast<uint32_t>(std::lower_bound(edges_.begin(), edges_.end(), least) - edges_.begin());
    }
  }
  const std::vector<double>& edges() const { return edges_; }

  // How many edges are at most `value`, or (strict) less than it. `value` is more than 0 and not NaN.
  template <bool strict>
  size_t below(double value) const {
    const auto more = [&](double edge) { return strict ? edge < value : edge <= value; };
    if (!more(edges_.front())) return 0;
    if (more(edges_.back())) return edges_.size();
    size_t k = starts_[cell(value) - first_cell_];
    while (more(edges_[k])) ++k;
    return k;
  }

 private:
  static constexpr int kShift = 48;
  static uint64_t cell(double value) { return std::bit_cast<uint64_t>(value) >> kShift; }

  std::vector<double> edges_;
  std::vector<uint32_t> starts_;
  uint64_t first_cell_ = 0;
};

const PositiveEdges& positive_edges() {
  static const PositiveEdges edges;
  return edges;
}

// Least, greatest and sums, as numpy has them: NaN is passed on.
template <class Number>
void measure(std::span<const Number> values, Histogram& histogram) {
  double min = std::numeric_limits<double>::infinity(), max = -min;
  for (const Number number : values) {
    const auto value = static_cast<double>(number);
    min = std::min(min, value);
    max = std::max(max, value);
  }
  const auto wide = [](Number number) { return static_cast<double>(number); };
  histogram.sum = pairwise(values, wide);
  histogram.sum_squares = pairwise(values, [&](Number number) { return wide(number) * wide(number); });
  const bool nan = std::isnan(histogram.sum_squares);  // a sum of squares is NaN if and only if one of the values is
  histogram.min = nan ? histogram.sum_squares : min;
  histogram.max = nan ? histogram.sum_squares : max;
  histogram.num = static_cast<double>(values.size());
}

// numpy's way to at most about so many buckets.
void merge(std::vector<double>& counts, std::vector<double>& edges, size_t max_bins) {
  if (max_bins == 0 || counts.size() <= max_bins) return;
  const size_t step = counts.size() / max_bins;
  std::vector<double> fewer_counts, fewer_edges;
  for (size_t i = 0; i < counts.size(); i += step) {
    const auto end = counts.begin() + static_cast<std::ptrdiff_t>(std::min(i + step, counts.size()));
    fewer_counts.push_back(std::accumulate(counts.begin() + static_cast<std::ptrdiff_t>(i), end, 0.0));
    fewer_edges.push_back(edges[i]);
  }
  fewer_edges.push_back(edges.back());
  counts = std::move(fewer_counts);
  edges = std::move(fewer_edges);
}

// Only upper limits are kept, so a bucket without values goes before the first one that has some.
template <class Number>
std::optional<Histogram> finish(std::span<const Number> values, std::vector<double> counts, std::vector<double> edges,
                                size_t max_bins) {
  merge(counts, edges, max_bins);
  const auto holds = [](double count) { return count > 0; };
  const auto first = std::find_if(counts.begin(), counts.end(), holds);
  if (first == counts.end()) return std::nullopt;
  const auto start = first - counts.begin();
  const auto end = counts.rend() - std::find_if(counts.rbegin(), counts.rend(), holds);
  Histogram histogram;
  measure(values, histogram);
  histogram.counts.push_back(0.0);
  histogram.counts.insert(histogram.counts.end(), first, counts.begin() + end);
  histogram.limits.assign(edges.begin() + start, edges.begin() + end + 1);
  return histogram;
}

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

// As numpy.percentile, linear between neighbours.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1), low = std::floor(at);
  const auto i = static_cast<size_t>(low);
  if (i + 1 >= sorted.size()) return sorted.back();
  const double a = sorted[i], b = sorted[i + 1], t = at - low;
  return t >= 0.5 ? b - (b - a) * (1 - t) : a + (b - a) * t;
}

double stone_width(const std::vector<double>& sorted, double range) {
  const auto n = static_cast<double>(sorted.size());
  if (sorted.size() <= 1 || range == 0) return 0;
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

const std::vector<double>& default_edges() {
  static const std::vector<double> all = [] {
    const auto& positive = positive_edges().edges();
    std::vector<double> edges;
    for (auto edge = positive.rbegin(); edge != positive.rend(); ++edge) edges.push_back(-*edge);
    edges.push_back(0.0);
    edges.insert(edges.end(), positive.begin(), positive.end());
    return edges;
  }();
  return all;
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
  std::vector<double> sorted;
  if (rule == BinRule::automatic || rule == BinRule::fd || rule == BinRule::stone) {
    sorted.assign(values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
  }
  const auto fd = [&] { return 2.0 * (quantile(sorted, 0.75) - quantile(sorted, 0.25)) * std::pow(n, -1.0 / 3.0); };
  const double sturges = range / (std::log2(n) + 1.0);
  double width = 0.0;
  switch (rule) {
    case BinRule::automatic: width = fd() != 0 ? std::min(fd(), sturges) : sturges; break;
    case BinRule::fd: width = fd(); break;
    case BinRule::doane: width = doane_width(values, range); break;
    case BinRule::scott:
      width = std::pow(24.0 * std::sqrt(3.141592653589793) / n, 1.0 / 3.0) * deviation(values, mean(values));
      break;
    case BinRule::stone: width = stone_width(sorted, range); break;
    case BinRule::rice: width = range / (2.0 * std::pow(n, 1.0 / 3)); break;
    case BinRule::sturges: width = sturges; break;
    case BinRule::sqrt: width = range / std::sqrt(n); break;
  }
  if (!(width > 0)) return 1;
  const double count = std::ceil((last - first) / width);
  if (!(count < 1e8)) throw_usage("a rule asks for " + python_float(count) + " bins", "give a number of bins");
  return std::max<size_t>(1, static_cast<size_t>(count));
}

template <class Number>
std::optional<Histogram> count_between(std::span<const Number> values, std::span<const double> edges,
                                       size_t max_bins) {
  std::vector<double> counts(edges.size() - 1);
  for (const Number number : values) {
    const auto value = static_cast<double>(number);
    if (!(value >= edges.front() && value <= edges.back())) continue;
    const auto after = std::upper_bound(edges.begin(), edges.end(), value) - edges.begin();
    counts[std::min(static_cast<size_t>(after) - 1, counts.size() - 1)] += 1;
  }
  return finish(values, std::move(counts), {edges.begin(), edges.end()}, max_bins);
}

template <class Number>
std::optional<Histogram> count_by_default(std::span<const Number> values, size_t max_bins) {
  const PositiveEdges& positive = positive_edges();
  const size_t m = positive.edges().size();
  std::vector<double> counts(2 * m);
  for (const Number number : values) {
    const auto value = static_cast<double>(number);
    if (value > 0) {
      const size_t k = positive.template below<false>(value);
      if (k < m) counts[m + k] += 1;
      else if (value == positive.edges().back()) counts[2 * m - 1] += 1;
    } else if (value < 0) {
      const size_t k = positive.template below<true>(-value);
      if (k < m) counts[m - 1 - k] += 1;
    } else if (value == 0) {
      counts[m] += 1;
    }
  }
  return finish(values, std::move(counts), default_edges(), max_bins);
}

template std::optional<Histogram> count_between(std::span<const float>, std::span<const double>, size_t);
template std::optional<Histogram> count_between(std::span<const double>, std::span<const double>, size_t);
template std::optional<Histogram> count_by_default(std::span<const float>, size_t);
template std::optional<Histogram> count_by_default(std::span<const double>, size_t);

}  // namespace trainhost::track
