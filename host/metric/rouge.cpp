// ROUGE: tokens, shared n-grams, common subsequences by bits (Hyyro 2004).
#include "host/metric/rouge.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <unordered_map>

#include "host/metric/stem.h"

namespace trainhost::metric {
namespace {

using Tokens = std::vector<uint32_t>;
using Numbers = std::unordered_map<std::string, uint32_t>;

constexpr size_t kBits = 64;

Tokens numbered(std::string_view text, bool stem, Numbers& numbers) {
  Tokens result;
  for (auto& token : rouge_tokens(text, stem))
    result.push_back(numbers.try_emplace(std::move(token), static_cast<uint32_t>(numbers.size())).first->second);
  return result;
}

RougeScore score(size_t hits, size_t hypothesis, size_t reference) {
  RougeScore result;
  if (hypothesis == 0 || reference == 0) return result;
  result.precision = static_cast<double>(hits) / static_cast<double>(hypothesis);
  result.recall = static_cast<double>(hits) / static_cast<double>(reference);
  const double sum = result.precision + result.recall;
  if (sum > 0) result.fmeasure = 2 * result.precision * result.recall / sum;
  return result;
}

// The numbers of the n-grams of a text: those of n - 1 words and the word behind them make one.
class NGrams {
 public:
  std::vector<uint32_t> of(const Tokens& tokens, size_t order) {
    if (tokens.size() < order) return {};
    std::vector<uint32_t> grams(tokens.begin(), tokens.end());
    for (size_t n = 2; n <= order; ++n) {
      if (pairs_.size() < n - 1) pairs_.resize(n - 1);
      auto& pairs = pairs_[n - 2];
      for (size_t i = 0; i + n <= tokens.size(); ++i) {
        const uint64_t pair = uint64_t{grams[i]} << 32 | tokens[i + n - 1];
        grams[i] = pairs.try_emplace(pair, static_cast<uint32_t>(pairs.size())).first->second;
      }
    }
    grams.resize(tokens.size() - order + 1);
    return grams;
  }

 private:
  std::vector<std::unordered_map<uint64_t, uint32_t>> pairs_;  // by order - 2
};

RougeScore score_ngrams(const Tokens& hypothesis, const Tokens& reference, size_t order) {
  NGrams numbers;
  const auto said = numbers.of(hypothesis, order), there = numbers.of(reference, order);
  std::unordered_map<uint32_t, int64_t> left;
  for (const uint32_t gram : there) ++left[gram];
  size_t hits = 0;
  for (const uint32_t gram : said) {
    const auto found = left.find(gram);
    if (found != left.end() && found->second-- > 0) ++hits;
  }
  return score(hits, said.size(), there.size());
}

// The table of lengths of the longest common subsequences as bits: row i has a 0 where one more token of the hypothesis
// makes that of the first i tokens of the reference longer.
class Lengths {
 public:
  // With `keep` `at` can be asked. Of n rows only about the root of n are held at a time, and as many between two of
  // them, which are made anew: a table of 100,000 tokens squared would take gigabytes.
  Lengths(const Tokens& hypothesis, const Tokens& reference, bool keep)
      : reference_(reference), words_((hypothesis.size() + kBits - 1) / kBits), equal_(words_, 0) {
    for (size_t j = 0; j < hypothesis.size(); ++j) places_[hypothesis[j]].push_back(j);
    if (keep) stride_ = 1 + static_cast<size_t>(std::sqrt(static_cast<double>(reference.size())));
    Row row(words_, ~uint64_t{0});
    for (size_t i = 0; i < reference.size(); ++i) {
      if (keep && i % stride_ == 0) held_.push_back(row);
      step(reference[i], row);
    }
    for (size_t j = 0; j < hypothesis.size(); ++j) whole_ += ~row[j / kBits] >> j % kBits & 1;
  }

  size_t whole() const { return whole_; }

  // Makes the lengths for the first i - 1 and i tokens of the reference known to `at`; i is above 0.
  void go_to(size_t i) {
    const size_t first = (i - 1) / stride_ * stride_;
    if (!rows_.empty() && first == first_) return;
    first_ = first;
    rows_.assign(1, held_[first / stride_]);
    for (size_t k = first; k < std::min(first + stride_, reference_.size()); ++k) {
      rows_.push_back(rows_.back());
      step(reference_[k], rows_.back());
    }
  }
  // The length for the first i tokens of the reference and j of the hypothesis.
  size_t at(size_t i, size_t j) const {
    const Row& row = rows_[i - first_];
    size_t length = 0;
    for (size_t w = 0; w < j / kBits; ++w) length += static_cast<size_t>(std::popcount(~row[w]));
    if (j % kBits) length += static_cast<size_t>(std::popcount(~row[j / kBits] & ((uint64_t{1} << j % kBits) - 1)));
    return length;
  }

 private:
  using Row = std::vector<uint64_t>;

  // The row of one token more.
  void step(uint32_t token, Row& row) {
    const auto found = places_.find(token);
    if (found == places_.end()) return;
    for (const size_t j : found->second) equal_[j / kBits] |= uint64_t{1} << j % kBits;
    uint64_t carry = 0;
    for (size_t w = 0; w < words_; ++w) {
      const uint64_t common = row[w] & equal_[w], sum = row[w] + common, all = sum + carry;
      carry = (sum < common) | (all < carry);
      row[w] = all | (row[w] & ~common);
    }
    for (const size_t j : found->second) equal_[j / kBits] = 0;
  }

  const Tokens& reference_;
  std::unordered_map<uint32_t, std::vector<size_t>> places_;
  size_t words_, whole_ = 0, stride_ = 0, first_ = 0;
  Row equal_;
  std::vector<Row> held_, rows_;  // every stride_-th row; those from first_ on
};

// Marks the tokens of the reference that are in the common subsequence which rouge-score finds.
void mark(const Tokens& reference, const Tokens& hypothesis, std::vector<bool>& marked) {
  Lengths lengths(hypothesis, reference, true);
  size_t i = reference.size(), j = hypothesis.size();
  while (i > 0 && j > 0) {
    lengths.go_to(i);
    if (reference[i - 1] == hypothesis[j - 1]) {
      marked[--i] = true;
      --j;
    } else if (lengths.at(i, j - 1) > lengths.at(i - 1, j)) {
      --j;
    } else {
      --i;
    }
  }
}

std::vector<Tokens> sentences(std::string_view text, bool stem, Numbers& numbers) {
  std::vector<Tokens> result;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) result.push_back(numbered(text.substr(0, end), stem, numbers));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

RougeScore score_sentences(std::string_view hypothesis, std::string_view reference, bool stem) {
  Numbers numbers;
  const auto said = sentences(hypothesis, stem, numbers), there = sentences(reference, stem, numbers);
  // How often a token may still hit, so that none hits twice.
  std::vector<size_t> left_said(numbers.size()), left_there(numbers.size());
  size_t many_said = 0, many_there = 0, hits = 0;
  for (const Tokens& sentence : said)
    for (const uint32_t token : sentence) ++left_said[token], ++many_said;
  for (const Tokens& sentence : there)
    for (const uint32_t token : sentence) ++left_there[token], ++many_there;
  for (const Tokens& sentence : there) {
    std::vector<bool> marked(sentence.size());
    for (const Tokens& other : said) mark(sentence, other, marked);
    for (size_t i = 0; i < sentence.size(); ++i) {
      const uint32_t token = sentence[i];
      if (!marked[i] || left_said[token] == 0 || left_there[token] == 0) continue;
      ++hits;
      --left_said[token];
      --left_there[token];
    }
  }
  return score(hits, many_said, many_there);
}

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

std::vector<std::string> rouge_tokens(std::string_view text, bool stem) {
  std::vector<std::string> tokens;
  std::string token;
  const auto finish = [&] {
    if (!token.empty()) tokens.push_back(stem && token.size() > 3 ? metric::stem(token) : token);
    token.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    // The two other characters whose lower case is one of a to z: the sign of kelvin, and the I with a dot, whose dot
    // then is a character of its own.
    const bool kelvin = text.substr(i, 3) == "\xE2\x84\xAA", dotted = text.substr(i, 2) == "\xC4\xB0";
    if (kelvin || dotted) {
      token += kelvin ? 'k' : 'i';
      i += kelvin ? 2 : 1;
      if (dotted) finish();
    } else if (is_letter_or_digit(c)) {
      token += c;
    } else {
      finish();
    }
  }
  finish();
  return tokens;
}

std::vector<RougeScore> rouge(std::string_view hypothesis, std::string_view reference,
                              const std::vector<RougeType>& types, bool stem) {
  Numbers numbers;
  const Tokens said = numbered(hypothesis, stem, numbers), there = numbered(reference, stem, numbers);
  std::vector<RougeScore> scores;
  for (const RougeType type : types) {
    if (type.order > 0) scores.push_back(score_ngrams(said, there, static_cast<size_t>(type.order)));
    else if (type.order == 0) scores.push_back(score(Lengths(said, there, false).whole(), said.size(), there.size()));
    else scores.push_back(score_sentences(hypothesis, reference, stem));
  }
  return scores;
}

}  // namespace trainhost::metric
