// The edits that make one sequence of another, as the word and the character error rate count them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace trainhost::metric {

// What happened to the reference: its elements that the hypothesis has, has others for, lacks, and has beside them.
struct Edits {
  int64_t hits = 0, substitutions = 0, deletions = 0, insertions = 0;
};

// The fewest edits, by the alignment that rapidfuzz takes among those of the fewest. Elements are numbers that are
// equal where the elements are; the memory is a quarter of a byte for each pair of them, at most 64 MiB.
Edits edits(std::span<const uint32_t> reference, std::span<const uint32_t> hypothesis);

// As jiwer reads texts by default: several characters of space are one blank, blanks divide words, those at the ends
// go; characters are Unicode's, without space at the ends.
Edits word_edits(std::string_view reference, std::string_view hypothesis);
Edits character_edits(std::string_view reference, std::string_view hypothesis);

}  // namespace trainhost::metric
