// Words, quotes and numbers as sqlparse reads them.
#include "host/track/filter_lexer.h"

#include <algorithm>
#include <cctype>

#include "host/base/error.h"

namespace trainhost::track {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_quote(char c) { return c == '\'' || c == '"' || c == '`'; }

}  // namespace

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_comparing(char c) { return std::string_view("<>=~!").find(c) != std::string_view::npos; }

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

bool has(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void fail_filter(std::string message) { throw_usage("mlflow: " + std::move(message)); }

void fail_clause(std::string_view clause) {
  fail_filter("Invalid clause(s) in filter string: '" + std::string(clause) + "'");
}

void FilterLexer::skip() {
  while (at_ < text_.size() && is_space(text_[at_])) ++at_;
}

std::string_view FilterLexer::rest_of_clause(size_t from) const {
  size_t end = from;
  while (end < text_.size() && !is_space(text_[end])) ++end;
  return text_.substr(from, std::max(end, from + 1) - from);
}

bool FilterLexer::take_word(std::string_view word) {
  const auto next = text_.substr(at_, word.size());
  if (upper(next) != word || (at_ + word.size() < text_.size() && is_word(text_[at_ + word.size()]))) return false;
  at_ += word.size();
  return true;
}

std::string_view FilterLexer::take_bare_word() {
  const size_t from = at_;
  while (at_ < text_.size() && is_word(text_[at_])) ++at_;
  return text_.substr(from, at_ - from);
}

std::string_view FilterLexer::take_quoted() {
  const size_t from = at_;
  const char quote = text_[at_];
  for (size_t i = at_ + 1; i < text_.size(); ++i) {
    if (quote != '`' && text_[i] == '\\' && i + 1 < text_.size() && text_[i + 1] == quote) {
      ++i;
    } else if (text_[i] == quote) {
      if (quote != '`' && i + 1 < text_.size() && text_[i + 1] == quote) {
        ++i;
        continue;
      }
      at_ = i + 1;
      return text_.substr(from, at_ - from);
    }
  }
  return {};
}

std::optional<std::string_view> FilterLexer::take_identifier() {
  const size_t from = at_;
  for (bool first = true;; first = false) {
    if (at_ < text_.size() && is_quote(text_[at_]) && !(first && text_[at_] == '\'')) {
      if (take_quoted().empty()) return std::nullopt;
    } else if (first && at_ < text_.size() && is_digit(text_[at_])) {
      return std::nullopt;
    } else if (take_bare_word().empty()) {
      return std::nullopt;
    }
    if (at_ >= text_.size() || text_[at_] != '.') return text_.substr(from, at_ - from);
    ++at_;
  }
}

std::string FilterLexer::take_comparator() {
  const size_t from = at_;
  while (at_ < text_.size() && is_comparing(text_[at_])) ++at_;
  if (at_ > from) return std::string(text_.substr(from, at_ - from));
  std::string words = upper(take_bare_word());
  static const Names kWords = {"LIKE", "ILIKE", "RLIKE", "IN", "IS", "NOT"};
  if (!has(kWords, words)) fail_clause(words.empty() ? rest_of_clause(from) : text_.substr(from, at_ - from));
  while (words == "IS" || words == "NOT" || words == "IS NOT") {
    skip();
    const std::string next = upper(take_bare_word());
    if (next.empty()) fail_clause(text_.substr(from, at_ - from));
    words += " " + next;
  }
  static const Names kPairs = {"IS NULL", "IS NOT NULL", "NOT IN", "NOT LIKE", "NOT ILIKE", "NOT RLIKE"};
  if (words.find(' ') != std::string::npos && !has(kPairs, words)) fail_clause(text_.substr(from, at_ - from));
  return words;
}

FilterLexer::Token FilterLexer::take_value() {
  const size_t from = at_;
  const auto here = [&] { return text_.substr(from, at_ - from); };
  if (at_ >= text_.size()) fail_clause(text_);
  if (text_[at_] == '(') {
    while (at_ < text_.size() && text_[at_] != ')') {
      if (is_quote(text_[at_]) && !take_quoted().empty()) continue;
      ++at_;
    }
    if (at_ >= text_.size()) fail_clause(here());
    ++at_;
    return {Kind::list, here()};
  }
  if (is_quote(text_[at_])) {
    const bool is_text = text_[at_] != '`';
    if (take_quoted().empty()) fail_clause(rest_of_clause(from));
    return {is_text ? Kind::text : Kind::other, here()};
  }
  size_t end = at_ + (text_[at_] == '-');
  const auto digits = [&] {
    const size_t start = end;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    return end - start;
  };
  const size_t whole = digits();
  bool is_integer = whole > 0;
  size_t fraction = 0;
  if (end < text_.size() && text_[end] == '.') {
    ++end;
    fraction = digits();
    is_integer = false;
  }
  if (whole + fraction == 0) {
    if (!is_word(text_[at_])) fail_clause(rest_of_clause(from));
    take_bare_word();
    return {Kind::other, here()};
  }
  if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
    const size_t mantissa = end;
    ++end;
    if (end < text_.size() && text_[end] == '-') ++end;
    is_integer = false;
    if (digits() == 0) end = mantissa;
  }
  at_ = end;
  if (at_ < text_.size() && is_word(text_[at_])) {
    at_ = from + rest_of_clause(from).size();
    return {Kind::other, here()};
  }
  return {is_integer ? Kind::number_integer : Kind::number, here()};
}

}  // namespace trainhost::track
