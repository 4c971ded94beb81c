// The tokenizers of sacrebleu that need no model: mteval's 13a and international one, characters, Chinese.
#include <algorithm>

#include "host/metric/bleu.h"
#include "host/metric/characters.h"

namespace trainhost::metric {
namespace {

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_stop(char32_t c) { return c == '.' || c == ','; }

// Punctuation and symbols of ASCII but ' , - and the full stop; blanks too.
bool stands_alone(char32_t c) {
  return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

// The sides of a pair of neighbours that get blanks around: re.sub with two groups, from the left, each character in
// one pair at most.
enum class Blanks { around_second, around_first };

template <class First, class Second>
std::u32string split_pairs(const std::u32string& text, First first, Second second, Blanks blanks) {
  std::u32string result;
  result.reserve(text.size() * 2);
  for (size_t i = 0; i < text.size(); ++i) {
    if (i + 1 < text.size() && first(text[i]) && second(text[i + 1])) {
      if (blanks == Blanks::around_first) result += U' ';
      result += text[i];
      result += U' ';
      result += text[++i];
      if (blanks == Blanks::around_second) result += U' ';
    } else {
      result += text[i];
    }
  }
  return result;
}

template <class Accept>
std::u32string set_apart(const std::u32string& text, Accept accept) {
  std::u32string result;
  result.reserve(text.size() * 2);
  for (const char32_t c : text) {
    const bool apart = accept(c);
    if (apart) result += U' ';
    result += c;
    if (apart) result += U' ';
  }
  return result;
}

void replace(std::u32string& text, std::u32string_view from, std::u32string_view to) {
  for (size_t at = text.find(from); at != std::u32string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::u32string western(std::u32string text) {
  text = set_apart(text, stands_alone);
  text = split_pairs(
      text, [](char32_t c) { return !is_digit(c); }, is_stop, Blanks::around_second);
  text = split_pairs(
      text, is_stop, [](char32_t c) { return !is_digit(c); }, Blanks::around_first);
  return split_pairs(
      text, is_digit, [](char32_t c) { return c == '-'; }, Blanks::around_second);
}

std::u32string mteval13a(std::u32string text) {
  replace(text, U"<skipped>", U"");
  replace(text, U"-\n", U"");
  replace(text, U"\n", U" ");
  replace(text, U"&quot;", U"\"");
  replace(text, U"&amp;", U"&");
  replace(text, U"&lt;", U"<");
  replace(text, U"&gt;", U">");
  return western(U" " + text + U" ");
}

std::u32string international(std::u32string text) {
  text = split_pairs(
      text, [](char32_t c) { return !is_number(c); }, is_punctuation, Blanks::around_second);
  text = split_pairs(
      text, is_punctuation, [](char32_t c) { return !is_number(c); }, Blanks::around_first);
  return set_apart(text, is_symbol);
}

// sacrebleu writes two of the ranges, 20000-2A6D6 and 2F800-2FA1D, with four digits and one more character each; what
// these then hold is kept.
bool is_chinese(char32_t c) {
  static constexpr char32_t kRanges[][2] = {
      {0x2001, 0x2A6D}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x2FFF}, {0x3000, 0x303F}, {0x3100, 0x312F},
      {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x33FF}, {0x3400, 0x4DB5}, {0x4E00, 0x9FBB}, {0xF900, 0xFA2D},
      {0xFA30, 0xFA6A}, {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [c](auto& range) { return c >= range[0] && c <= range[1]; });
}

std::vector<std::u32string> words(const std::u32string& text) {
  std::vector<std::u32string> result;
  for (size_t i = 0; i < text.size();) {
    while (i < text.size() && is_space(text[i])) ++i;
    size_t end = i;
    while (end < text.size() && !is_space(text[end])) ++end;
    if (end > i) result.push_back(text.substr(i, end - i));
    i = end;
  }
  return result;
}

}  // namespace

std::vector<std::u32string> tokenize(std::string_view line, Tokenizer tokenizer, bool lowercase) {
  std::u32string text = decode(line);
  if (lowercase) text = lower(text);
  while (!text.empty() && is_space(text.back())) text.pop_back();
  switch (tokenizer) {
    case Tokenizer::mteval13a:
      return words(mteval13a(std::move(text)));
    case Tokenizer::international:
      return words(international(std::move(text)));
    case Tokenizer::characters:
      return words(set_apart(text, [](char32_t) { return true; }));
    case Tokenizer::chinese:
      return words(western(set_apart(text, is_chinese)));
    default:
      return words(text);
  }
}

}  // namespace trainhost::metric
