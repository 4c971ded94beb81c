// Counting: by a table of exponents, by bisection, by division.
#include "host/track/histogram.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "host/track/pairwise.h"

namespace trainhost::track {
namespace {

// Note [Buckets without a branch]
// The default edges are a tenth apart. All numbers whose exponent and four bits more are the same (a cell, at most a
// sixteenth wide) have one edge among them or none: two table look-ups and one comparison find the bucket. Of positive
// numbers those at an edge are above it, of negative ones those whose absolute value is beyond it; only the last
// positive edge belongs to the bucket below.
class DefaultBuckets {
 public:
  DefaultBuckets() {
    for (double edge = 1e-12; edge < 1e20; edge *= 1.1) edges_.push_back(edge);
    const double endless = std::numeric_limits<double>::infinity(), never = std::numeric_limits<double>::quiet_NaN();
    first_ = cell_of(edges_.front()) - 1;
    const uint64_t last = cell_of(edges_.back()) + 1;
    for (auto& cells : cells_) cells.assign(last - first_ + 1, {never, 0});
    for (uint64_t cell = first_ + 1; cell <= last; ++cell) {
      const double least = std::bit_cast<double>(cell << kShift);
      const auto start = static_cast<uint32_t>(std::lower_bound(edges_.begin(), edges_.end(), least) - edges_.begin());
      const bool holds_edge = cell < last && start < edges_.size() && cell_of(edges_[start]) == cell;
      const double edge = holds_edge ? edges_[start] : never, beyond = std::nextafter(edge, endless);
      cells_[0][cell - first_] = {holds_edge && start + 1 == edges_.size() ? beyond : edge, start};
      cells_[1][cell - first_] = {beyond, start};
    }
  }
  const std::vector<double>& positive_edges() const { return edges_; }

  template <class Number>
  std::vector<double> count(std::span<const Number> values) const {
    const size_t m = edges_.size();
    std::vector<std::array<uint64_t, 2>> found(2 * (m + 1));  // two sums each, so that neighbours do not wait
    const uint64_t most = cells_[0].size() - 1;
    for (size_t i = 0; i < values.size(); ++i) {
      const auto value = static_cast<double>(values[i]);
      const auto negative = static_cast<size_t>(value < 0);
      const uint64_t cell = std::clamp(cell_of(std::abs(value)), first_, first_ + most) - first_;
      const Cell& in = cells_[negative][cell];
      ++found[negative * (m + 1) + in.start + (std::abs(value) >= in.edge)][i & 1];
    }
    std::vector<double> counts(2 * m);
    for (size_t k = 0; k < m; ++k) {
      counts[m + k] = static_cast<double>(found[k][0] + found[k][1]);
      counts[m - 1 - k] = static_cast<double>(found[m + 1 + k][0] + found[m + 1 + k][1]);
    }
    return counts;
  }

 private:
  static constexpr int kShift = 48;
  struct Cell {
    double edge;     // numbers from here on are in the next bucket
    uint32_t start;  // the bucket of those below
  };
  static uint64_t cell_of(double value) { return std::bit_cast<uint64_t>(value) >> kShift; }

  std::vector<double> edges_;
  std::array<std::vector<Cell>, 2> cells_;  // of positive and of negative numbers
  uint64_t first_ = 0;
};

const DefaultBuckets& default_buckets() {
  static const DefaultBuckets buckets;
  return buckets;
}

// Least, greatest and sums, as numpy has them: NaN is passed on.
template <class Number>
void measure(std::span<const Number> values, Histogram& histogram) {
  std::array<Number, 8> least, greatest;  // in lanes, for the processor to take at once
  least.fill(std::numeric_limits<Number>::infinity());
  greatest.fill(-std::numeric_limits<Number>::infinity());
  for (size_t i = 0; i < values.size(); i += 8)
    for (size_t k = 0, n = std::min<size_t>(8, values.size() - i); k < n; ++k) {
      const Number value = values[i + k];
      least[k] = value < least[k] ? value : least[k];
      greatest[k] = value > greatest[k] ? value : greatest[k];
    }
  const auto wide = [](Number number) { return static_cast<double>(number); };
  histogram.sum = pairwise(values, wide);
  histogram.sum_squares = pairwise(values, [&](Number number) { return wide(number) * wide(number); });
  const bool nan = std::isnan(histogram.sum_squares);  // a sum of squares is NaN if and only if one of the values is
  histogram.min = nan ? histogram.sum_squares : *std::min_element(least.begin(), least.end());
  histogram.max = nan ? histogram.sum_squares : *std::max_element(greatest.begin(), greatest.end());
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

}  // namespace

const std::vector<double>& default_edges() {
  static const std::vector<double> all = [] {
    const auto& positive = default_buckets().positive_edges();
    std::vector<double> edges;
    for (auto edge = positive.rbegin(); edge != positive.rend(); ++edge) edges.push_back(-*edge);
    edges.push_back(0.0);
    edges.insert(edges.end(), positive.begin(), positive.end());
    return edges;
  }();
  return all;
}

template <class Number>
std::optional<Histogram> count_between(std::span<const Number> values, std::span<const double> edges, size_t max_bins) {
  std::vector<double> counts(edges.size() - 1);
  for (const Number number : values) {
    const auto value = static_cast<double>(number);
    if (!(value >= edges.front() && value <= edges.back())) continue;
    const auto after = std::upper_bound(edges.begin(), edges.end(), value) - edges.begin();
    counts[std::min(static_cast<size_t>(after) - 1, counts.size() - 1)] += 1;
  }
  return finish(values, std::move(counts), {edges.begin(), edges.end()}, max_bins);
}

std::optional<Histogram> count_equal(std::span<const double> values, size_t count, size_t max_bins) {
  const std::vector<double> edges = equal_edges(values, count);
  std::vector<double> counts(count);
  const double first = edges.front(), range = edges.back() - first, bins = static_cast<double>(count);
  for (const double value : values) {
    auto i = std::min(static_cast<size_t>((value - first) / range * bins), count - 1);
    i -= value < edges[i];  // rounding takes it to a neighbour at most
    i += i + 1 < count && value >= edges[i + 1];
    counts[i] += 1;
  }
  return finish(values, std::move(counts), edges, max_bins);
}

template <class Number>
std::optional<Histogram> count_by_default(std::span<const Number> values, size_t max_bins) {
  return finish(values, default_buckets().count(values), default_edges(), max_bins);
}

template std::optional<Histogram> count_between(std::span<const float>, std::span<const double>, size_t);
template std::optional<Histogram> count_between(std::span<const double>, std::span<const double>, size_t);
template std::optional<Histogram> count_by_default(std::span<const float>, size_t);
template std::optional<Histogram> count_by_default(std::span<const double>, size_t);

}  // namespace trainhost::track
