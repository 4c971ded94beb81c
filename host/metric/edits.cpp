// Edit distance by bits (Myers 1999, Hyyro 2003), and the way back through it.
#include "host/metric/edits.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "host/metric/characters.h"

namespace trainhost::metric {
namespace {

using Sequence = std::span<const uint32_t>;

constexpr size_t kBits = 64;
constexpr size_t kMostCells = size_t{1} << 28;  // of the matrix that is kept

// Where each element is in a sequence.
class Places {
 public:
  explicit Places(Sequence sequence) {
    for (size_t i = 0; i < sequence.size(); ++i) places_[sequence[i]].push_back(i);
  }
  // Sets, or clears, the bits of the places of `element`.
  void flip(uint32_t element, std::vector<uint64_t>& bits) const {
    const auto found = places_.find(element);
    if (found == places_.end()) return;
    for (const size_t i : found->second) bits[i / kBits] ^= uint64_t{1} << i % kBits;
  }

 private:
  std::unordered_map<uint32_t, std::vector<size_t>> places_;
};

// A column of the matrix as differences of neighbours: where the distance of one more element of the reference is one
// more (up), and where it is one less (down).
struct Column {
  std::vector<uint64_t> up, down;
};

// Walks the matrix column by column: see(j, column) after j + 1 elements of the hypothesis.
template <class See>
void walk(Sequence reference, Sequence hypothesis, See see) {
  const size_t words = (reference.size() + kBits - 1) / kBits;
  const Places places(reference);
  Column column{std::vector<uint64_t>(words, ~uint64_t{0}), std::vector<uint64_t>(words, 0)};
  std::vector<uint64_t> equal(words, 0);
  for (size_t j = 0; j < hypothesis.size(); ++j) {
    places.flip(hypothesis[j], equal);
    uint64_t carry_up = 1, carry_down = 0;
    for (size_t w = 0; w < words; ++w) {
      const uint64_t up = column.up[w], down = column.down[w], x = equal[w] | carry_down;
      const uint64_t diagonal = (((x & up) + up) ^ up) | x | down;
      uint64_t right = down | ~(diagonal | up), left = diagonal & up;
      const uint64_t next_up = right >> (kBits - 1), next_down = left >> (kBits - 1);
      right = right << 1 | carry_up;
      left = left << 1 | carry_down;
      carry_up = next_up;
      carry_down = next_down;
      column.up[w] = left | ~(diagonal | right);
      column.down[w] = right & diagonal;
    }
    places.flip(hypothesis[j], equal);
    see(j, column);
  }
}

bool test(const std::vector<uint64_t>& bits, size_t i) { return bits[i / kBits] >> i % kBits & 1; }

// The distances of the first 0, 1, 2 ... elements of the reference from the whole hypothesis.
std::vector<int64_t> distances(Sequence reference, Sequence hypothesis) {
  std::vector<int64_t> result(reference.size() + 1);
  result[0] = static_cast<int64_t>(hypothesis.size());
  walk(reference, hypothesis, [&](size_t j, const Column& column) {
    if (j + 1 < hypothesis.size()) return;
    for (size_t i = 0; i < reference.size(); ++i)
      result[i + 1] = result[i] + (test(column.up, i) ? 1 : test(column.down, i) ? -1 : 0);
  });
  return result;
}

void trace(Sequence reference, Sequence hypothesis, Edits& counts) {
  std::vector<Column> columns(hypothesis.size());
  walk(reference, hypothesis, [&](size_t j, const Column& column) { columns[j] = column; });
  size_t i = reference.size(), j = hypothesis.size();
  while (i > 0 && j > 0) {
    if (test(columns[j - 1].up, i - 1)) {
      ++counts.deletions;
      --i;
    } else if (--j > 0 && test(columns[j - 1].down, i - 1)) {
      ++counts.insertions;
    } else {
      --i;
      ++(reference[i] == hypothesis[j] ? counts.hits : counts.substitutions);
    }
  }
  counts.deletions += static_cast<int64_t>(i);
  counts.insertions += static_cast<int64_t>(j);
}

void count(Sequence reference, Sequence hypothesis, Edits& counts) {
  const size_t shorter = std::min(reference.size(), hypothesis.size());
  size_t same = 0;
  while (same < shorter && reference[same] == hypothesis[same]) ++same;
  reference = reference.subspan(same);
  hypothesis = hypothesis.subspan(same);
  size_t behind = 0;
  while (behind < shorter - same &&
         reference[reference.size() - 1 - behind] == hypothesis[hypothesis.size() - 1 - behind])
    ++behind;
  reference = reference.first(reference.size() - behind);
  hypothesis = hypothesis.first(hypothesis.size() - behind);
  counts.hits += static_cast<int64_t>(same + behind);
  counts.deletions += hypothesis.empty() ? static_cast<int64_t>(reference.size()) : 0;
  counts.insertions += reference.empty() ? static_cast<int64_t>(hypothesis.size()) : 0;
  if (reference.empty() || hypothesis.empty()) return;
  if (hypothesis.size() == 1 || reference.size() <= kMostCells / hypothesis.size())
    return trace(reference, hypothesis, counts);

  // Hirschberg: the place of the reference where an alignment of the fewest edits passes the middle of the hypothesis.
  const size_t middle = hypothesis.size() / 2;
  const auto before = distances(reference, hypothesis.first(middle));
  std::vector<uint32_t> backwards(reference.rbegin(), reference.rend()),
      rest(hypothesis.begin() + middle, hypothesis.end());
  std::reverse(rest.begin(), rest.end());
  const auto after = distances(backwards, rest);
  size_t best = 0;
  for (size_t i = 0; i <= reference.size(); ++i)
    if (before[i] + after[reference.size() - i] < before[best] + after[reference.size() - best]) best = i;
  count(reference.first(best), hypothesis.first(middle), counts);
  count(reference.subspan(best), hypothesis.subspan(middle), counts);
}

std::u32string_view without_space_at_ends(std::u32string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::u32string with_single_blanks(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && is_space(text[end])) ++end;
    if (end - i >= 2) result += U' ';
    else result += text[i], end = i + 1;
    i = end;
  }
  return result;
}

using Numbers = std::unordered_map<std::u32string, uint32_t>;

// The number of each word.
std::vector<uint32_t> words(std::string_view text, Numbers& numbers) {
  const std::u32string blanks = with_single_blanks(decode(text));
  std::u32string_view rest = without_space_at_ends(blanks);
  std::vector<uint32_t> result;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(U' '), rest.size());
    if (end > 0)
      result.push_back(numbers.try_emplace(std::u32string(rest.substr(0, end)), static_cast<uint32_t>(numbers.size()))
                           .first->second);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return result;
}

std::vector<uint32_t> characters(std::string_view text) {
  const std::u32string decoded = decode(text);
  const auto inner = without_space_at_ends(decoded);
  return {inner.begin(), inner.end()};
}

}  // namespace

Edits edits(std::span<const uint32_t> reference, std::span<const uint32_t> hypothesis) {
  Edits counts;
  count(reference, hypothesis, counts);
  return counts;
}

Edits word_edits(std::string_view reference, std::string_view hypothesis) {
  Numbers numbers;
  const auto there = words(reference, numbers), said = words(hypothesis, numbers);
  return edits(there, said);
}

Edits character_edits(std::string_view reference, std::string_view hypothesis) {
  return edits(characters(reference), characters(hypothesis));
}

}  // namespace trainhost::metric
