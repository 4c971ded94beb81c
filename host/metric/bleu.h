// What BLEU counts of texts, as sacrebleu does: tokens, and the n-grams that a hypothesis shares with its references.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trainhost::metric {

enum class Tokenizer { none, mteval13a, international, characters, chinese };

// The tokens of a text.
std::vector<std::u32string> tokenize(std::string_view text, Tokenizer tokenizer, bool lowercase);

// Sums over texts. correct and total: n-grams of 1 word, 2 words ...; as many entries as orders are counted.
struct BleuCounts {
  int64_t hypothesis_length = 0, reference_length = 0;
  std::vector<int64_t> correct, total;
};

// Adds a text: its n-grams, those that the references have (at most as often as the one that has most of them), and the
// length of the reference nearest in length, of two the shorter one.
void count(std::string_view hypothesis, const std::vector<std::string_view>& references, Tokenizer tokenizer,
           bool lowercase, BleuCounts& counts);

}  // namespace trainhost::metric
