// host/metric: matching, average precision, tokens and n-grams.
#include <limits>

#include "host/metric/bleu.h"
#include "host/metric/characters.h"
#include "host/metric/detection.h"
#include "tests/cpp/catch.h"

using namespace trainhost::metric;

namespace {

Rules coco(std::vector<double> thresholds) {
  Rules rules;
  rules.thresholds = std::move(thresholds);
  rules.areas = {{0, 1e10}};
  return rules;
}

std::vector<std::string> tokens(std::string_view text, Tokenizer tokenizer, bool lowercase = false) {
  std::vector<std::string> result;
  for (const auto& token : tokenize(text, tokenizer, lowercase)) result.push_back(encode(token));
  return result;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("an overlap of exactly the threshold hits") {
  Matches matches;
  match({{{0, 0, 10, 10}}, {0.9}, {1}}, {{{0, 0, 10, 5}}, {1}, {50}, {0}}, coco({0.5, 0.55}), matches);
  CHECK(matches.matched == std::vector<int32_t>{1});
  CHECK(matches.ignored == std::vector<int32_t>{0});
  CHECK(matches.counts == std::vector<int64_t>{1});
}

TEST_CASE("a crowd takes several detections and counts none") {
  Matches matches;
  match({{{0, 0, 10, 10}, {0, 0, 5, 5}}, {0.5, 0.9}, {1, 1}}, {{{0, 0, 100, 100}}, {1}, {1e4}, {1}}, coco({0.5}),
        matches);
  CHECK(matches.scores == std::vector<double>{0.9, 0.5});
  CHECK(matches.matched == std::vector<int32_t>{1, 1});
  CHECK(matches.ignored == std::vector<int32_t>{1, 1});
  CHECK(matches.counts == std::vector<int64_t>{0});
}

TEST_CASE("VOC gives a taken object's second detection no other object") {
  const Detections detections{{{0, 0, 10, 10}, {1, 0, 10, 10}}, {0.9, 0.8}, {1, 1}};
  const Objects objects{{{0, 0, 10, 10}, {5, 0, 10, 10}}, {1, 1}, {100, 100}, {0, 0}};
  Rules rules = coco({0.4});
  Matches greedy, first;
  match(detections, objects, rules, greedy);
  rules.voc = true;
  match(detections, objects, rules, first);
  CHECK(greedy.matched == std::vector<int32_t>{1, 1});
  CHECK(first.matched == std::vector<int32_t>{1, 0});
}

TEST_CASE("thirty-two thresholds have a bit each") {
  Matches matches;
  match({{{0, 0, 10, 10}}, {0.9}, {1}}, {{{0, 0, 10, 10}}, {1}, {100}, {0}}, coco(std::vector<double>(32, 0.5)),
        matches);
  CHECK(matches.matched == std::vector<int32_t>{-1});
}

TEST_CASE("average precision of nothing has no classes") {
  Sums sums;
  sums.recalls = {0, 1};
  sums.most = {100};
  sums.thresholds = sums.areas = 1;
  CHECK(average_precision({0, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr}, sums).classes.empty());
}

TEST_CASE("tokens of 13a, international, characters") {
  CHECK(tokens("It's 3.5, \"ok\"-\nnow &amp; 1-2.\n", Tokenizer::mteval13a) ==
        Words{"It's", "3.5", ",", "\"", "ok", "\"", "now", "&", "1", "-", "2", "."});
  CHECK(tokens("a,b 1,5 €5 «x» 7.", Tokenizer::international) ==
        Words{"a", ",", "b", "1,5", "€", "5", "«", "x", "»", "7."});
  CHECK(tokens("a é 中 ", Tokenizer::characters) == Words{"a", "é", "中"});
  CHECK(tokens("我爱NLP.", Tokenizer::chinese) == Words{"我", "爱", "NLP", "."});
}

TEST_CASE("lower case: the last sigma, two characters for one, what is no letter") {
  CHECK(tokens("ΟΔΟΣ ΣΑΣ. Σ İI ÀĀ ＡЖ1", Tokenizer::none, true) == Words{"οδος", "σας.", "σ", "i̇i", "àā", "ａж1"});
}

TEST_CASE("bytes that are no UTF-8 are tokens and come back") {
  const std::string broken = "a \xff\xc3 \xe4\xb8 b";
  CHECK(tokens(broken, Tokenizer::none) == Words{"a", "\xff\xc3", "\xe4\xb8", "b"});
  CHECK(encode(decode(broken)) == broken);
}

TEST_CASE("n-grams count as often as the reference that has most of them") {
  BleuCounts counts;
  counts.correct.resize(2);
  counts.total.resize(2);
  count("the the the", {"the cat", "the the", "a"}, Tokenizer::none, false, counts);
  CHECK(counts.correct == std::vector<int64_t>{2, 1});
  CHECK(counts.total == std::vector<int64_t>{3, 2});
  CHECK(counts.hypothesis_length == 3);
  CHECK(counts.reference_length == 2);
}
