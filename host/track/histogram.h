// Histograms as TensorBoard shows them: the counts of numpy.histogram, trimmed to the buckets that hold something.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace trainhost::track {

struct Histogram {
  double min = 0.0, max = 0.0, num = 0.0, sum = 0.0, sum_squares = 0.0;
  std::vector<double> limits, counts;  // upper limits; the first bucket is empty and begins the second
};

// Rules by which numpy chooses a number of equal bins.
enum class BinRule { automatic, fd, doane, scott, stone, rice, sturges, sqrt };
// "auto", "fd" ...; nullopt: no such rule.
std::optional<BinRule> bin_rule(std::string_view name) noexcept;

// The edges that TensorBoard's writers use by default: 0 and +-1e-12 * 1.1^k up to 1e20.
const std::vector<double>& default_edges();
// How many equal bins numpy takes. `values` is not empty. Error{usage} if one of them is not finite.
size_t bin_count(std::span<const double> values, BinRule rule);
// count + 1 edges at equal distances from the least value to the greatest. The same, or these are too near for so many.
std::vector<double> equal_edges(std::span<const double> values, size_t count);

// Counts values into buckets from edge to edge, the last one with its upper edge; NaN and what lies outside goes
// uncounted. `max_bins`: neighbours are merged until there are about so many, 0 for all. nullopt: nothing was counted.
// `edges` do not decrease.
template <class Number>
std::optional<Histogram> count_between(std::span<const Number> values, std::span<const double> edges, size_t max_bins);
// The same by equal_edges(values, count).
std::optional<Histogram> count_equal(std::span<const double> values, size_t count, size_t max_bins);
// The same by default_edges().
template <class Number>
std::optional<Histogram> count_by_default(std::span<const Number> values, size_t max_bins);

}  // namespace trainhost::track
