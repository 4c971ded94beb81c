// native.metric_text: what metrics of texts count.
#include <limits>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/guard.h"
#include "bindings/keywords.h"
#include "bindings/list.h"
#include "host/base/error.h"
#include "host/metric/bleu.h"
#include "host/metric/characters.h"
#include "host/metric/edits.h"
#include "host/metric/rouge.h"

namespace trainhost::bindings {
namespace {

// Two lists of as many texts, and a weight for each: hypotheses, references, weights at the Lua indices 2, 3 and 4.
class Texts {
 public:
  explicit Texts(lua_State* L) : L_(L), metric_(check_string(L, 1, "native.metric_text", "metric")) {
    for (const int list : {2, 3})
      if (!lua_istable(L, list))
        throw_argument(L, metric_.c_str(), list == 2 ? "hypotheses" : "references", "a string or a list of strings",
                       list);
    size_ = static_cast<lua_Integer>(lua_rawlen(L, 2));
    const auto references = static_cast<lua_Integer>(lua_rawlen(L, 3));
    if (size_ != references)
      throw_usage(
          metric_ + ": " + std::to_string(size_) + " hypotheses, but references for " + std::to_string(references),
          "references[i] belongs to hypotheses[i]");
    if (lua_isnoneornil(L, 4)) return;
    if (!lua_istable(L, 4) || static_cast<lua_Integer>(lua_rawlen(L, 4)) != size_)
      throw_usage(metric_ + ": weight must be a list of " + std::to_string(size_) +
                  " numbers, one for each text, got " +
                  (lua_istable(L, 4) ? std::to_string(lua_rawlen(L, 4)) : describe(L, 4)));
    for (lua_Integer i = 1; i <= size_; ++i) {
      lua_rawgeti(L, 4, i);
      weights_.push_back(check_number(L, lua_gettop(L), metric_.c_str(), "weight"));
      lua_pop(L, 1);
    }
  }

  const char* metric() const { return metric_.c_str(); }
  lua_Integer size() const { return size_; }
  double weight(lua_Integer i) const { return weights_.empty() ? 1.0 : weights_[static_cast<size_t>(i - 1)]; }

  // The text, or texts, of the list at the Lua index `list`; they live as long as the list holds them.
  std::vector<std::string_view> at(int list, lua_Integer i) const {
    const std::string name = (list == 2 ? "hypotheses[" : "references[") + std::to_string(i) + "]";
    lua_rawgeti(L_, list, i);
    const int top = lua_gettop(L_);
    std::vector<std::string_view> texts;
    if (list == 3 && lua_type(L_, top) != LUA_TSTRING) {
      const auto many = lua_istable(L_, top) ? static_cast<lua_Integer>(lua_rawlen(L_, top)) : 0;
      if (many == 0) throw_argument(L_, metric(), name.c_str(), "a string or a list of strings", top);
      for (lua_Integer k = 1; k <= many; ++k) {
        lua_rawgeti(L_, top, k);
        texts.push_back(text(name + "[" + std::to_string(k) + "]"));
        lua_pop(L_, 1);
      }
    } else {
      texts.push_back(text(name));
    }
    lua_settop(L_, top - 1);
    return texts;
  }
  std::string_view only(int list, lua_Integer i) const {
    const auto texts = at(list, i);
    if (texts.size() > 1) throw_usage(metric_ + ": a text has one reference, got " + std::to_string(texts.size()));
    return texts.front();
  }

 private:
  std::string_view text(const std::string& name) const {
    return check_string(L_, lua_gettop(L_), metric(), name.c_str());
  }

  lua_State* L_;
  std::string metric_;
  lua_Integer size_ = 0;
  std::vector<double> weights_;
};

// edits(metric, hypotheses, references, weights, characters): see the docstring.
int edits(lua_State* L) {
  const Texts texts(L);
  const bool characters = check_boolean(L, 5, texts.metric(), "characters");
  double hits = 0, substitutions = 0, deletions = 0, insertions = 0;
  for (lua_Integer i = 1; i <= texts.size(); ++i) {
    const auto count = characters ? metric::character_edits : metric::word_edits;
    const metric::Edits of_text = count(texts.only(3, i), texts.only(2, i));
    const double weight = texts.weight(i);
    hits += weight * static_cast<double>(of_text.hits);
    substitutions += weight * static_cast<double>(of_text.substitutions);
    deletions += weight * static_cast<double>(of_text.deletions);
    insertions += weight * static_cast<double>(of_text.insertions);
  }
  for (const double count : {hits, substitutions, deletions, insertions}) lua_pushnumber(L, count);
  return 4;
}

std::vector<metric::RougeType> check_types(lua_State* L, int index) {
  std::vector<metric::RougeType> types;
  for (lua_Integer i = 1, n = static_cast<lua_Integer>(lua_rawlen(L, index)); i <= n; ++i) {
    lua_rawgeti(L, index, i);
    types.push_back({static_cast<int>(check_integer(L, lua_gettop(L), "ROUGE", "types"))});
    lua_pop(L, 1);
  }
  return types;
}

// Of several references: the score with the greatest f-measure, the first of equal ones; or the mean.
metric::RougeScore accumulated(const std::vector<std::vector<metric::RougeScore>>& scores, size_t type, bool best) {
  metric::RougeScore result = scores.front()[type];
  for (size_t k = 1; k < scores.size(); ++k) {
    const auto& score = scores[k][type];
    if (!best) {
      result.precision += score.precision;
      result.recall += score.recall;
      result.fmeasure += score.fmeasure;
    } else if (score.fmeasure > result.fmeasure) {
      result = score;
    }
  }
  if (best || scores.size() == 1) return result;
  const auto many = static_cast<double>(scores.size());
  return {result.precision / many, result.recall / many, result.fmeasure / many};
}

// rouge(metric, hypotheses, references, weights, types, stem, best): see the docstring.
int rouge(lua_State* L) {
  const Texts texts(L);
  if (!lua_istable(L, 5)) throw_argument(L, texts.metric(), "types", "a list of integers", 5);
  const auto types = check_types(L, 5);
  const bool stem = check_boolean(L, 6, texts.metric(), "use_stemmer");
  const bool best = check_boolean(L, 7, texts.metric(), "best");
  std::vector<metric::RougeScore> sums(types.size());
  double weights = 0;
  for (lua_Integer i = 1; i <= texts.size(); ++i) {
    const auto hypothesis = texts.only(2, i);
    std::vector<std::vector<metric::RougeScore>> scores;
    for (const auto reference : texts.at(3, i)) scores.push_back(metric::rouge(hypothesis, reference, types, stem));
    const double weight = texts.weight(i);
    weights += weight;
    for (size_t type = 0; type < types.size(); ++type) {
      const auto score = accumulated(scores, type, best);
      sums[type].precision += weight * score.precision;
      sums[type].recall += weight * score.recall;
      sums[type].fmeasure += weight * score.fmeasure;
    }
  }
  lua_pushnumber(L, weights);
  lua_createtable(L, static_cast<int>(3 * sums.size()), 0);
  lua_Integer at = 0;
  for (const auto& sum : sums)
    for (const double value : {sum.precision, sum.recall, sum.fmeasure}) {
      lua_pushnumber(L, value);
      lua_rawseti(L, -2, ++at);
    }
  return 2;
}

// rouge_tokens(text, stem): see the docstring.
int rouge_tokens(lua_State* L) {
  const auto tokens = metric::rouge_tokens(check_string(L, 1, "ROUGE", "text"), check_boolean(L, 2, "ROUGE", "stem"));
  lua_createtable(L, static_cast<int>(tokens.size()), 0);
  for (size_t i = 0; i < tokens.size(); ++i) {
    lua_pushlstring(L, tokens[i].data(), tokens[i].size());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

metric::Tokenizer check_tokenizer(lua_State* L, int index) {
  const std::string_view name = check_string(L, index, "BLEU", "tokenize");
  if (name == "none") return metric::Tokenizer::none;
  if (name == "13a") return metric::Tokenizer::mteval13a;
  if (name == "intl") return metric::Tokenizer::international;
  if (name == "char") return metric::Tokenizer::characters;
  if (name == "zh") return metric::Tokenizer::chinese;
  throw_usage("BLEU: unknown tokenizer \"" + std::string(name) + "\"");
}

int tokenize(lua_State* L) {
  const auto tokens = metric::tokenize(check_string(L, 1, "BLEU", "text"), check_tokenizer(L, 2),
                                       check_boolean(L, 3, "BLEU", "lowercase"));
  lua_createtable(L, static_cast<int>(tokens.size()), 0);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string token = metric::encode(tokens[i]);
    lua_pushlstring(L, token.data(), token.size());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

// bleu_counts(metric, hypotheses, references, weights, tokenize, lowercase, orders): see the docstring.
int bleu_counts(lua_State* L) {
  const Texts texts(L);
  const auto tokenizer = check_tokenizer(L, 5);
  const bool lowercase = check_boolean(L, 6, texts.metric(), "lowercase");
  metric::BleuCounts counts;
  counts.correct.resize(static_cast<size_t>(check_integer(L, 7, texts.metric(), "max_ngram_order")), 0);
  counts.total = counts.correct;
  size_t least = std::numeric_limits<size_t>::max(), most = 0;
  for (lua_Integer i = 1; i <= texts.size(); ++i) {
    const auto references = texts.at(3, i);
    least = std::min(least, references.size());
    most = std::max(most, references.size());
    metric::count(texts.only(2, i), references, tokenizer, lowercase, counts);
  }
  lua_pushinteger(L, counts.hypothesis_length);
  lua_pushinteger(L, counts.reference_length);
  push_integers(L, counts.correct);
  push_integers(L, counts.total);
  lua_pushinteger(L, static_cast<lua_Integer>(texts.size() > 0 ? least : 0));
  lua_pushinteger(L, static_cast<lua_Integer>(most));
  return 6;
}

}  // namespace

int open_metric_text(lua_State* L) {
  static constexpr Row kFunctions[] = {
      {"edits", guarded<edits>,
       "The edits that make the hypotheses of the references, summed over texts.\n@param metric string whose errors "
       "these are\n@param hypotheses string[]\n@param references string[]\n@param weights? number[] how much a text "
       "counts\n@param characters boolean characters rather than words\n@return number hits\n@return number "
       "substitutions\n@return number deletions\n@return number insertions"},
      {"rouge", guarded<rouge>,
       "The sums of ROUGE scores over texts.\n@param metric string whose errors these are\n@param hypotheses "
       "string[]\n@param references (string|string[])[]\n@param weights? number[]\n@param types integer[] n for "
       "n-grams, 0 for the longest common subsequence, -1 for that of sentences\n@param stem boolean\n@param best "
       "boolean the best of several references rather than their mean\n@return number weights of the texts\n@return "
       "number[] precision, recall and f-measure of each type"},
      {"rouge_tokens", guarded<rouge_tokens>,
       "The tokens that ROUGE compares.\n@param text string\n@param stem boolean\n@return string[]"},
      {"tokenize", guarded<tokenize>,
       "The tokens of a text.\n@param text string\n@param tokenizer string\n@param lowercase boolean\n@return "
       "string[]"},
      {"bleu_counts", guarded<bleu_counts>,
       "The sums that BLEU is made of.\n@param metric string whose errors these are\n@param hypotheses "
       "string[]\n@param references (string|string[])[]\n@param weights nil there are none\n@param tokenizer "
       "string\n@param lowercase boolean\n@param orders integer\n@return integer length of the hypotheses\n@return "
       "integer length of the references\n@return integer[] correct n-grams by order\n@return integer[] total "
       "n-grams\n@return integer fewest references of a hypothesis\n@return integer most references"},
      {nullptr, nullptr, nullptr}};
  lua_newtable(L);
  set_functions(L, kFunctions);
  return 1;
}

}  // namespace trainhost::bindings
