// The grammar as sqlparse and MLflow's checks leave it: comparisons, and ANDs between them.
#include "host/track/filter.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

#include "host/base/error.h"

namespace trainhost::track {
namespace {

using Names = std::vector<std::string_view>;

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_comparing(char c) { return std::string_view("<>=~!").find(c) != std::string_view::npos; }
bool is_quote(char c) { return c == '\'' || c == '"' || c == '`'; }

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

bool has(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string listed(const Names& names) {
  std::string text = "[";
  for (const auto name : names) text += (text.size() > 1 ? ", '" : "'") + std::string(name) + "'";
  return text + "]";
}

[[noreturn]] void fail(std::string message) { throw_usage("mlflow: " + std::move(message)); }

[[noreturn]] void fail_clause(std::string_view clause) {
  fail("Invalid clause(s) in filter string: '" + std::string(clause) + "'");
}

// What a store has to search for, and to sort by.
struct Grammar {
  Names entities;  // as errors list them
  Names attributes, numeric, aliases, lists;
  Names sorted = attributes;  // what can be sorted by
};

const Grammar& grammar_of(Searched searched) {
  static const Grammar runs = {{"metric", "parameter", "tag", "attribute", "dataset"},
                               {"artifact_uri", "end_time", "run_id", "run_name", "start_time", "status", "user_id"},
                               {"start_time", "end_time"},
                               {"created", "Created", "run name", "Run name", "Run Name"},
                               {"run_id"}};
  static const Grammar experiments = {{"attribute", "tag", "tags"},
                                      {"name", "experiment_id", "creation_time", "last_update_time"},
                                      {"creation_time", "last_update_time"},
                                      {},
                                      {"experiment_id"}};
  static const Grammar registered_models = {{"attribute", "tag", "tags"},
                                            {"name"},
                                            {},
                                            {},
                                            {"name"},
                                            {"name", "creation_timestamp", "last_updated_timestamp"}};
  static const Grammar model_versions = {
      {"attribute", "tag", "tags"}, {"name", "version_number", "run_id", "source_path"},
      {"version_number"},           {},
      {"name", "run_id"},           {"name", "version_number", "creation_timestamp", "last_updated_timestamp"}};
  static const Names text = {"name", "model_id", "model_type", "status", "source_run_id", "artifact_location"};
  static const Names times = {"creation_time", "creation_timestamp", "creation_timestamp_ms", "last_updated_timestamp",
                              "last_updated_timestamp_ms"};
  static const Grammar logged_models = [] {
    Names all = text;
    all.insert(all.end(), times.begin(), times.end());
    return Grammar{{"attributes", "metrics", "params", "tags"}, all, times, {}, text};
  }();
  switch (searched) {
    case Searched::experiments:
      return experiments;
    case Searched::registered_models:
      return registered_models;
    case Searched::model_versions:
      return model_versions;
    case Searched::logged_models:
      return logged_models;
    case Searched::runs:
      break;
  }
  return runs;
}

const Names kNumeric = {"=", "!=", "<", "<=", ">", ">="}, kText = {"=", "!=", "LIKE", "ILIKE"},
            kTextOrNull = {"=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"},
            kTextOrList = {"=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"}, kId = {"=", "!=", "IN", "NOT IN"};

std::string_view without_quotes(std::string_view text, std::string_view quotes) {
  return text.size() >= 2 && text.front() == text.back() && quotes.find(text.front()) != std::string_view::npos
             ? text.substr(1, text.size() - 2)
             : text;
}

const char* name_of(Entity entity) {
  static constexpr std::array kNames = {"attribute", "metric", "parameter", "tag", "dataset"};
  return kNames[static_cast<size_t>(entity)];
}

Entity entity_of(std::string_view text, Searched searched) {
  static const std::array<std::pair<Names, Entity>, 5> kWords = {{
      {{"attribute", "attr", "attributes", "run"}, Entity::attribute},
      {{"metric", "metrics"}, Entity::metric},
      {{"parameter", "parameters", "param", "params"}, Entity::param},
      {{"tag", "tags"}, Entity::tag},
      {{"dataset", "datasets"}, Entity::dataset},
  }};
  const std::string_view word = without_quotes(text, "`");
  const Names& valid = grammar_of(searched).entities;
  if (searched == Searched::runs || has(valid, word))
    for (const auto& [words, entity] : kWords)
      if (has(words, word)) return entity;
  fail("Invalid entity type '" + std::string(word) + "'. Valid values are " + listed(valid));
}

struct Identifier {
  Entity entity;
  std::string key;
};

Identifier identifier_of(std::string_view text, Searched searched, bool is_order = false) {
  const Grammar& grammar = grammar_of(searched);
  const Names& attributes = is_order ? grammar.sorted : grammar.attributes;
  const size_t dot = text.find('.');
  Identifier found{dot == std::string_view::npos ? Entity::attribute : entity_of(text.substr(0, dot), searched),
                   std::string(without_quotes(dot == std::string_view::npos ? text : text.substr(dot + 1), "'\"`"))};
  if (found.entity == Entity::attribute) {
    if (has(grammar.aliases, found.key))
      found.key = found.key.find("reated") != std::string::npos ? "start_time" : "run_name";
    if (!has(attributes, found.key))
      fail("Invalid attribute key '" + found.key + "' specified. Valid keys are " + listed(attributes));
  } else if (static const Names keys = {"name", "digest", "context"};
             found.entity == Entity::dataset && !has(keys, found.key)) {
    fail("Invalid dataset key '" + found.key + "' specified. Valid keys are " + listed(keys));
  }
  return found;
}

class Parser {
 public:
  Parser(std::string_view text, Searched searched) : text_(text), searched_(searched) {}

  std::vector<Condition> conditions() {
    std::vector<Condition> found;
    for (skip(); at_ < text_.size(); skip()) {
      if (take_word("AND")) continue;
      if (text_[at_] == ';' && found.size() && at_ + 1 < text_.size())
        fail("Search filter contained multiple expression '" + std::string(text_) +
             "'. Provide AND-ed expression list.");
      found.push_back(condition());
    }
    return found;
  }

  Order order() {
    const auto fail_order = [&] { fail("Invalid order_by clause '" + std::string(text_) + "'. Could not be parsed."); };
    skip();
    const auto identifier = take_identifier();
    if (!identifier) fail_order();
    skip();
    const std::string direction = upper(take_bare_word());
    skip();
    if (at_ < text_.size()) fail_order();
    if (!direction.empty() && direction != "ASC" && direction != "DESC")
      fail("Invalid ordering key in order_by clause '" + std::string(text_) + "'.");
    auto [entity, key] = identifier_of(*identifier, searched_, true);
    if (entity == Entity::dataset || (searched_ != Searched::runs && entity != Entity::attribute))
      fail(std::string("Invalid order_by entity: ") + name_of(entity));
    return {entity, std::move(key), direction != "DESC"};
  }

 private:
  enum class Kind { number_integer, number, text, other, list };
  struct Token {
    Kind kind;
    std::string_view text;
  };

  void skip() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  // The characters up to the next space, for messages.
  std::string_view rest_of_clause(size_t from) const {
    size_t end = from;
    while (end < text_.size() && !is_space(text_[end])) ++end;
    return text_.substr(from, std::max(end, from + 1) - from);
  }

  bool take_word(std::string_view word) {
    const auto next = text_.substr(at_, word.size());
    if (upper(next) != word || (at_ + word.size() < text_.size() && is_word(text_[at_ + word.size()]))) return false;
    at_ += word.size();
    return true;
  }

  std::string_view take_bare_word() {
    const size_t from = at_;
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    return text_.substr(from, at_ - from);
  }

  // A quoted part; in single and double quotes a doubled or escaped quote does not end it. Empty: there is no end.
  std::string_view take_quoted() {
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

  std::optional<std::string_view> take_identifier() {
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

  std::string take_comparator() {
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

  Token take_value() {
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

  Condition condition() {
    const size_t from = at_;
    const auto identifier = take_identifier();
    if (!identifier) fail_clause(rest_of_clause(from));
    if (static const Names kOther = {"OR", "NOT"}; has(kOther, upper(*identifier))) fail_clause(*identifier);
    if (at_ < text_.size() && !is_space(text_[at_]) && !is_comparing(text_[at_]))
      fail("Invalid comparison clause. Expected 'Identifier' found '" + std::string(rest_of_clause(from)) + "'",
           searched_);
    skip();
    if (at_ >= text_.size()) fail_clause(*identifier);
    Condition found;
    found.comparator = take_comparator();
    auto [entity, key] = identifier_of(*identifier, searched_);
    found.entity = entity;
    found.key = std::move(key);
    if (found.comparator.starts_with("IS ")) {
      if (entity != Entity::tag && (entity != Entity::param || searched_ != Searched::runs))
        fail("IS NULL / IS NOT NULL is only supported for tags and params, not for '" + std::string(name_of(entity)) +
             "' '" + found.key + "'");
    } else {
      skip();
      found.value = value_of(found, take_value());
    }
    check_comparator(found);
    return found;
  }

  [[noreturn]] static void fail(const std::string& message) { track::fail(message); }
  // A key that needs quotes is the usual mistake.
  [[noreturn]] static void fail(const std::string& message, Searched) {
    throw_usage("mlflow: " + message,
                "a key with other characters than letters, digits, _ and . stands in backticks: "
                "metrics.`val/loss`");
  }

  FilterValue value_of(const Condition& to, const Token& token) const {
    const Grammar& grammar = grammar_of(searched_);
    const bool is_number = token.kind == Kind::number || token.kind == Kind::number_integer;
    const std::string shown(token.text);
    if (to.entity == Entity::metric || (to.entity == Entity::attribute && has(grammar.numeric, to.key))) {
      if (!is_number)
        fail(to.entity == Entity::metric
                 ? "Expected numeric value type for metric. Found " + shown
                 : "Expected numeric value type for numeric attribute: " + to.key + ". Found " + shown);
      return number_of(to, token);
    }
    if (token.kind == Kind::list) {
      if (searched_ == Searched::logged_models) return list_of(token.text);
      if (to.entity == Entity::dataset || (to.entity == Entity::attribute && has(grammar.lists, to.key)))
        return list_of(token.text);
      if (to.entity == Entity::attribute)
        fail("Only " + listed(grammar.lists) + " attributes support comparison with a list of quoted string values.");
    }
    if (token.kind == Kind::text) return std::string(token.text.substr(1, token.text.size() - 2));
    if (token.kind == Kind::other && !is_digit(token.text[0]) && to.entity != Entity::dataset)
      fail("Parameter value is either not quoted or unidentified quote types used for string value " + shown +
           ". Use either single or double quotes.");
    if (to.entity == Entity::attribute) fail("Expected a quoted string value for attributes. Got value " + shown);
    if (to.entity == Entity::dataset) fail("Expected a quoted string value for dataset attributes. Got value " + shown);
    fail("Expected a quoted string value for " + std::string(name_of(to.entity)) + " (e.g. 'my-value'). Got value " +
         shown);
  }

  FilterValue number_of(const Condition& to, const Token& token) const {
    const char *first = token.text.data(), *last = first + token.text.size();
    if (token.kind == Kind::number_integer && to.entity == Entity::attribute) {
      int64_t whole = 0;
      if (std::from_chars(first, last, whole).ec == std::errc()) return whole;
    }
    if (searched_ == Searched::experiments || searched_ == Searched::model_versions)
      fail("Invalid value for numeric attribute '" + to.key + "': '" + std::string(token.text) + "'");
    double number = 0.0;
    std::from_chars(first, last, number);
    return number;
  }

  // ('a', "b"), with the escapes of a Python string.
  static std::vector<std::string> list_of(std::string_view text) {
    const std::string where = "While parsing a list in the query, expected ";
    const auto fail_form = [&] { fail(where + "a non-empty list of string values, but got ill-formed list."); };
    std::vector<std::string> items;
    bool after_comma = true;
    for (size_t i = 1; i + 1 < text.size();) {
      const char c = text[i];
      if (is_space(c)) {
        ++i;
      } else if (c == ',') {
        if (after_comma) fail_form();
        after_comma = true;
        ++i;
      } else if (c == '\'' || c == '"') {
        std::string item;
        size_t end = i + 1;
        for (; end + 1 < text.size() && text[end] != c; ++end) {
          if (text[end] == '\\' && end + 2 < text.size()) {
            const char escaped = text[++end];
            if (escaped == 'n') item += '\n';
            else if (escaped == 't') item += '\t';
            else if (escaped == '\\' || escaped == '\'' || escaped == '"') item += escaped;
            else (item += '\\') += escaped;
          } else {
            item += text[end];
          }
        }
        if (end + 1 >= text.size()) fail_form();
        if (after_comma) items.push_back(std::move(item));
        else items.back() += item;  // adjacent strings are one
        after_comma = false;
        i = end + 1;
      } else {
        fail(where + "string value, punctuation, or whitespace, but got different type in list: " + std::string(text));
      }
    }
    if (items.empty()) fail(where + "a non-empty list of string values, but got empty list");
    return items;
  }

  void check_comparator(const Condition& condition) const {
    const bool is_numeric = condition.entity == Entity::metric || (condition.entity == Entity::attribute &&
                                                                   has(grammar_of(searched_).numeric, condition.key));
    const bool is_keyed = condition.entity == Entity::tag || condition.entity == Entity::param;
    const Names& lists = grammar_of(searched_).lists;
    const Names& valid = is_numeric                                                                        ? kNumeric
                         : searched_ == Searched::logged_models                                            ? kTextOrList
                         : is_keyed && (searched_ == Searched::runs || searched_ == Searched::experiments) ? kTextOrNull
                         : is_keyed                                                                        ? kText
                         : searched_ == Searched::experiments && condition.key == "experiment_id"          ? kId
                         : searched_ == Searched::runs || has(lists, condition.key)                        ? kTextOrList
                                                                                                           : kText;
    if (!has(valid, condition.comparator))
      fail("Invalid comparator '" + condition.comparator + "' not one of " + listed(valid));
    // A list compares with IN alone, and IN with a list.
    const bool is_list = std::holds_alternative<std::vector<std::string>>(condition.value);
    if (is_list != (condition.comparator == "IN" || condition.comparator == "NOT IN")) fail_clause(text_);
  }

  std::string_view text_;
  Searched searched_;
  size_t at_ = 0;
};

}  // namespace

std::vector<Condition> parse_filter(std::string_view text, Searched searched) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_space))
    fail("Invalid filter '" + std::string(text) + "'. Could not be parsed.");
  return Parser(text, searched).conditions();
}

Order parse_order(std::string_view text, Searched searched) { return Parser(text, searched).order(); }

}  // namespace trainhost::track
