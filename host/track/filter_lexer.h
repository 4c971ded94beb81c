// The words of MLflow's filter and order texts, one after the other.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainhost::track {

using Names = std::vector<std::string_view>;

bool has(const Names& names, std::string_view name);
std::string upper(std::string_view text);
bool is_space(char c);
bool is_digit(char c);
bool is_comparing(char c);  // of < > = ~ !
// Error(usage), as MLflow's.
[[noreturn]] void fail_filter(std::string message);
[[noreturn]] void fail_clause(std::string_view clause);

class FilterLexer {
 public:
  explicit FilterLexer(std::string_view text) : text_(text) {}

  enum class Kind { number_integer, number, text, other, list };
  struct Token {
    Kind kind;
    std::string_view text;
  };

  std::string_view text() const { return text_; }
  size_t at() const { return at_; }
  bool at_end() const { return at_ >= text_.size(); }
  char next() const { return text_[at_]; }
  void skip();  // spaces
  // The characters up to the next space, for messages.
  std::string_view rest_of_clause(size_t from) const;
  // If it is what comes next, in whatever case.
  bool take_word(std::string_view word);
  std::string_view take_bare_word();
  // Parts with dots between them, quoted or not; nothing: what comes is none.
  std::optional<std::string_view> take_identifier();
  // One of = < ..., or words in capitals: "NOT IN". Throws.
  std::string take_comparator();
  Token take_value();

 private:
  // A quoted part; in single and double quotes a doubled or escaped quote does not end it. Empty: there is no end.
  std::string_view take_quoted();

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace trainhost::track
