// host/metric: edits, ROUGE and stems.
#include <algorithm>
#include <random>

#include "host/metric/edits.h"
#include "host/metric/rouge.h"
#include "host/metric/stem.h"
#include "tests/cpp/catch.h"

using namespace trainhost::metric;

namespace {

using Tokens = std::vector<uint32_t>;
using Words = std::vector<std::string>;

int64_t distance(const Edits& edits) { return edits.substitutions + edits.deletions + edits.insertions; }

// By the textbook's table.
int64_t plain_distance(const Tokens& a, const Tokens& b) {
  std::vector<int64_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int64_t>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    int64_t diagonal = row[0];
    row[0] = static_cast<int64_t>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int64_t best = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[b.size()];
}

Tokens random_tokens(std::mt19937& rng, size_t most, uint32_t kinds) {
  Tokens tokens(rng() % (most + 1));
  for (auto& token : tokens) token = rng() % kinds;
  return tokens;
}

}  // namespace

TEST_CASE("edits are the fewest, and add up to both lengths") {
  std::mt19937 rng(3);
  for (int i = 0; i < 600; ++i) {
    const Tokens a = random_tokens(rng, i % 3 ? 20 : 300, 2 + i % 7),
                 b = random_tokens(rng, i % 4 ? 20 : 300, 2 + i % 7);
    const Edits counts = edits(a, b);
    REQUIRE(distance(counts) == plain_distance(a, b));
    REQUIRE(counts.hits + counts.substitutions + counts.deletions == static_cast<int64_t>(a.size()));
    REQUIRE(counts.hits + counts.substitutions + counts.insertions == static_cast<int64_t>(b.size()));
  }
}

TEST_CASE("what is too large for one table is divided") {
  std::mt19937 rng(4);
  Tokens a(17000), b;
  for (auto& token : a) token = rng() % 50;
  // Changes far apart: their number is the distance.
  for (size_t i = 0; i < a.size(); ++i) {
    if (i % 1000 == 0) b.push_back(99);
    else if (i % 1000 == 300) continue;
    else b.push_back(a[i]);
    if (i % 1000 == 600) b.push_back(98);
  }
  const Edits counts = edits(a, b);
  REQUIRE(distance(counts) == 17 * 3);
  REQUIRE(counts.substitutions == 17);
}

TEST_CASE("words and characters of texts") {
  REQUIRE(distance(word_edits(" a  b c ", "a b \n c")) == 0);
  REQUIRE(distance(word_edits("a\tb", "a b")) == 2);
  REQUIRE(word_edits("", "a b").insertions == 2);
  REQUIRE(character_edits("h\xC3\xA4llo", "hallo").substitutions == 1);
  REQUIRE(character_edits("\xFF", "\xFE").substitutions == 1);
}

TEST_CASE("rouge of texts without tokens is 0") {
  for (const auto* text : {"", "...", "\n\n", "\xC3\xA9"})
    for (const auto& score : rouge("a b", text, {{1}, {2}, {0}, {-1}}, false)) REQUIRE(score.fmeasure == 0);
  REQUIRE(rouge("a b", "a b", {{3}}, false)[0].fmeasure == 0);
}

TEST_CASE("the longest common subsequence over several machine words") {
  std::string reference, hypothesis;
  for (int i = 0; i < 300; ++i) {
    reference += "w" + std::to_string(i) + " ";
    if (i % 3) hypothesis += "w" + std::to_string(i) + " ";
  }
  for (const int order : {0, -1}) {
    const auto score = rouge(hypothesis, reference, {{order}}, false)[0];
    REQUIRE(score.precision == 1);
    REQUIRE(score.recall == 200.0 / 300);
  }
}

TEST_CASE("the sentences of one line each have their longest common subsequence") {
  std::mt19937 rng(5);
  for (int i = 0; i < 200; ++i) {
    std::string texts[2];
    for (std::string& text : texts)
      for (const uint32_t token : random_tokens(rng, i % 3 ? 30 : 300, 2 + i % 9))
        text += "w" + std::to_string(token) + " ";
    const auto scores = rouge(texts[0], texts[1], {{0}, {-1}}, false);
    REQUIRE(scores[1].precision == scores[0].precision);
    REQUIRE(scores[1].recall == scores[0].recall);
  }
}

TEST_CASE("stems") {
  REQUIRE(rouge_tokens("Ponies caresses 2nd happily", true) == Words{"poni", "caress", "2nd", "happili"});
  REQUIRE(stem("") == "");
  REQUIRE(stem("innings") == "inning");
  REQUIRE(stem("vietnamization") == "vietnam");
  REQUIRE(stem(std::string(5000, 'y') + "ing").size() <= 5003);
}
