// What ROUGE counts of texts, as the package rouge-score does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainhost::metric {

// Runs of a to z and 0 to 9 in lower case; with `stem`, words of more than three characters lose their endings.
std::vector<std::string> rouge_tokens(std::string_view text, bool stem);

// rouge1 to rouge9 count n-grams of `order` words; rougeL (order 0) the longest common subsequence; rougeLsum (order
// -1) the union of those of each sentence of the reference with all sentences of the hypothesis; a sentence is a line.
struct RougeType {
  int order;
};

struct RougeScore {
  double precision = 0, recall = 0, fmeasure = 0;
};

// One score for each type.
std::vector<RougeScore> rouge(std::string_view hypothesis, std::string_view reference,
                              const std::vector<RougeType>& types, bool stem);

}  // namespace trainhost::metric
