// The n-grams of a hypothesis and of its references, in one tree.
#include "host/metric/bleu.h"

#include <algorithm>
#include <cstdlib>
#include <unordered_map>

namespace trainhost::metric {
namespace {

// An n-gram is a node: its last word under the node of the words before.
class Tree {
 public:
  explicit Tree(size_t orders) : orders_(orders) {}

  // Calls visit(node, order) for every n-gram of a text, order 0 for single words.
  template <class Visit>
  void walk(const std::vector<std::u32string>& tokens, Visit visit) {
    std::vector<uint32_t> numbers;
    numbers.reserve(tokens.size());
    for (const auto& token : tokens)
      numbers.push_back(words_.try_emplace(token, static_cast<uint32_t>(words_.size())).first->second);
    for (size_t i = 0; i < numbers.size(); ++i) {
      uint32_t node = 0;
      for (size_t n = 0; n < orders_ && i + n < numbers.size(); ++n) {
        const uint64_t key = uint64_t{node} << 32 | numbers[i + n];
        node = nodes_.try_emplace(key, static_cast<uint32_t>(nodes_.size() + 1)).first->second;
        visit(node, n);
      }
    }
  }

 private:
  size_t orders_;
  std::unordered_map<std::u32string, uint32_t> words_;
  std::unordered_map<uint64_t, uint32_t> nodes_;
};

struct Gram {
  int64_t there = 0;    // in the reference that has most of it
  int64_t current = 0;  // in the text that is read
  size_t reader = 0;
};

}  // namespace

void count(std::string_view hypothesis, const std::vector<std::string_view>& references, Tokenizer tokenizer,
           bool lowercase, BleuCounts& counts) {
  Tree tree(counts.total.size());
  std::vector<Gram> grams;
  // How often the text of number `reader` has had this n-gram, this time included.
  const auto seen = [&](uint32_t node, size_t reader) -> Gram& {
    if (node >= grams.size()) grams.resize(std::max<size_t>(node + 1, grams.size() * 2));
    Gram& gram = grams[node];
    if (gram.reader != reader) gram.reader = reader, gram.current = 0;
    ++gram.current;
    return gram;
  };

  std::vector<int64_t> lengths;
  for (const std::string_view reference : references) {
    const auto tokens = tokenize(reference, tokenizer, lowercase);
    lengths.push_back(static_cast<int64_t>(tokens.size()));
    tree.walk(tokens, [&](uint32_t node, size_t) {
      Gram& gram = seen(node, lengths.size());
      gram.there = std::max(gram.there, gram.current);
    });
  }
  const auto tokens = tokenize(hypothesis, tokenizer, lowercase);
  tree.walk(tokens, [&](uint32_t node, size_t order) {
    const Gram& gram = seen(node, lengths.size() + 1);
    ++counts.total[order];
    if (gram.current <= gram.there) ++counts.correct[order];
  });

  const auto length = static_cast<int64_t>(tokens.size());
  counts.hypothesis_length += length;
  counts.reference_length += *std::min_element(lengths.begin(), lengths.end(), [&](int64_t a, int64_t b) {
    const int64_t far = std::abs(a - length), near = std::abs(b - length);
    return far != near ? far < near : a < b;
  });
}

}  // namespace trainhost::metric
