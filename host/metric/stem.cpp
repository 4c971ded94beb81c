// M.F. Porter, "An algorithm for suffix stripping" (1980), with the extensions of NLTK: the steps have the paper's
// names.
#include "host/metric/stem.h"

#include <array>
#include <span>
#include <vector>

namespace trainhost::metric {
namespace {

bool is_vowel(char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u'; }

// Which characters are consonants: all but vowels, and but a y behind a consonant.
std::vector<bool> consonants(std::string_view word) {
  std::vector<bool> result(word.size());
  for (size_t i = 0; i < word.size(); ++i) result[i] = word[i] == 'y' ? i == 0 || !result[i - 1] : !is_vowel(word[i]);
  return result;
}

// How often a consonant follows a vowel: m of the paper.
int measure(std::string_view word) {
  const auto is_consonant = consonants(word);
  int count = 0;
  for (size_t i = 1; i < word.size(); ++i) count += !is_consonant[i - 1] && is_consonant[i];
  return count;
}

bool has_vowel(std::string_view word) {
  for (const bool consonant : consonants(word))
    if (!consonant) return true;
  return false;
}

// *d of the paper.
bool ends_in_double_consonant(std::string_view word) {
  return word.size() >= 2 && word.back() == word[word.size() - 2] && consonants(word).back();
}

// *o of the paper: consonant, vowel, consonant but w, x and y; or a vowel and a consonant alone.
bool ends_short(std::string_view word) {
  const auto is_consonant = consonants(word);
  const size_t n = word.size();
  if (n == 2) return !is_consonant[0] && is_consonant[1];
  if (n < 3 || !is_consonant[n - 3] || is_consonant[n - 2] || !is_consonant[n - 1]) return false;
  return word[n - 1] != 'w' && word[n - 1] != 'x' && word[n - 1] != 'y';
}

struct Rule {
  std::string_view suffix, replacement;
};

// The first rule whose suffix the word has is taken, if what is left before it has a measure above `least`.
void apply(std::string& word, std::span<const Rule> rules, int least) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    const std::string_view rest = std::string_view(word).substr(0, word.size() - rule.suffix.size());
    // NLTK's word before "logi" keeps its l; "ion" must follow s or t.
    const std::string_view measured = rule.suffix == "logi" ? std::string_view(word).substr(0, word.size() - 3) : rest;
    if (measure(measured) <= least) return;
    if (rule.suffix == "ion" && rest.back() != 's' && rest.back() != 't') return;
    word = std::string(rest) + std::string(rule.replacement);
    return;
  }
}

void step_1a(std::string& word) {
  if (word.ends_with("ies")) word.resize(word.size() - (word.size() == 4 ? 1 : 2));
  else if (word.ends_with("sses")) word.resize(word.size() - 2);
  else if (word.ends_with("s") && !word.ends_with("ss")) word.pop_back();
}

void step_1b(std::string& word) {
  if (word.ends_with("ied")) return word.resize(word.size() - (word.size() == 4 ? 1 : 2));
  if (word.ends_with("eed")) {
    if (measure(std::string_view(word).substr(0, word.size() - 3)) > 0) word.pop_back();
    return;
  }
  const size_t suffix = word.ends_with("ed") ? 2 : word.ends_with("ing") ? 3 : 0;
  if (suffix == 0 || !has_vowel(std::string_view(word).substr(0, word.size() - suffix))) return;
  word.resize(word.size() - suffix);
  if (word.ends_with("at") || word.ends_with("bl") || word.ends_with("iz")) {
    word += 'e';
  } else if (ends_in_double_consonant(word)) {
    const char last = word.back();
    if (last != 'l' && last != 's' && last != 'z') word.pop_back();
  } else if (measure(word) == 1 && ends_short(word)) {
    word += 'e';
  }
}

void step_1c(std::string& word) {
  if (word.size() > 2 && word.back() == 'y' && consonants(word)[word.size() - 2]) word.back() = 'i';
}

constexpr std::array kStep2 =
    std::to_array<Rule>({{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
                         {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
                         {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
                         {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
                         {"fulli", "ful"},   {"logi", "log"}});
constexpr std::array kStep3 = std::to_array<Rule>(
    {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""}});
constexpr std::array kStep4 = std::to_array<Rule>({{"al", ""},
                                                   {"ance", ""},
                                                   {"ence", ""},
                                                   {"er", ""},
                                                   {"ic", ""},
                                                   {"able", ""},
                                                   {"ible", ""},
                                                   {"ant", ""},
                                                   {"ement", ""},
                                                   {"ment", ""},
                                                   {"ent", ""},
                                                   {"ion", ""},
                                                   {"ou", ""},
                                                   {"ism", ""},
                                                   {"ate", ""},
                                                   {"iti", ""},
                                                   {"ous", ""},
                                                   {"ive", ""},
                                                   {"ize", ""}});

void step_2(std::string& word) {
  while (word.ends_with("alli") && measure(std::string_view(word).substr(0, word.size() - 4)) > 0)
    word.resize(word.size() - 2);
  apply(word, kStep2, 0);
}

void step_5(std::string& word) {
  if (word.ends_with("e")) {
    const std::string_view rest = std::string_view(word).substr(0, word.size() - 1);
    const int m = measure(rest);
    if (m > 1 || (m == 1 && !ends_short(rest))) word.pop_back();
  }
  if (word.ends_with("ll") && measure(std::string_view(word).substr(0, word.size() - 1)) > 1) word.pop_back();
}

// Words that no rule gets right.
constexpr std::array kIrregular = std::to_array<Rule>({{"sky", "sky"},
                                                       {"skies", "sky"},
                                                       {"dying", "die"},
                                                       {"lying", "lie"},
                                                       {"tying", "tie"},
                                                       {"news", "news"},
                                                       {"innings", "inning"},
                                                       {"inning", "inning"},
                                                       {"outings", "outing"},
                                                       {"outing", "outing"},
                                                       {"cannings", "canning"},
                                                       {"canning", "canning"},
                                                       {"howe", "howe"},
                                                       {"proceed", "proceed"},
                                                       {"exceed", "exceed"},
                                                       {"succeed", "succeed"}});

}  // namespace

std::string stem(std::string_view given) {
  for (const Rule& rule : kIrregular)
    if (given == rule.suffix) return std::string(rule.replacement);
  std::string word(given);
  if (word.size() <= 2) return word;
  step_1a(word);
  step_1b(word);
  step_1c(word);
  step_2(word);
  apply(word, kStep3, 0);
  apply(word, kStep4, 1);
  step_5(word);
  return word;
}

}  // namespace trainhost::metric
