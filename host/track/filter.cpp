// The grammar as sqlparse and MLflow's checks leave it: comparisons, and ANDs between them.
#include "host/track/filter.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "host/base/error.h"
#include "host/track/filter_lexer.h"

namespace trainhost::track {
namespace {

std::string listed(const Names& names) {
  std::string text = "[";
  for (const auto name : names) text += (text.size() > 1 ? ", '" : "'") + std::string(name) + "'";
  return text + "]";
}

// What a store has to search for, and to sort by.
struct Grammar {
  Names entities;  // as errors list them
  Names attributes, numeric, aliases, lists;
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
  return searched == Searched::runs ? runs : experiments;
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
  fail_filter("Invalid entity type '" + std::string(word) + "'. Valid values are " + listed(valid));
}

struct Identifier {
  Entity entity;
  std::string key;
};

Identifier identifier_of(std::string_view text, Searched searched, bool with_aliases = true) {
  const Grammar& grammar = grammar_of(searched);
  const size_t dot = text.find('.');
  Identifier found{dot == std::string_view::npos ? Entity::attribute : entity_of(text.substr(0, dot), searched),
                   std::string(without_quotes(dot == std::string_view::npos ? text : text.substr(dot + 1), "'\"`"))};
  if (found.entity == Entity::attribute) {
    if (with_aliases && has(grammar.aliases, found.key))
      found.key = found.key.find("reated") != std::string::npos ? "start_time" : "run_name";
    if (!has(grammar.attributes, found.key))
      fail_filter("Invalid attribute key '" + found.key + "' specified. Valid keys are " + listed(grammar.attributes));
  } else if (static const Names keys = {"name", "digest", "context"};
             found.entity == Entity::dataset && !has(keys, found.key)) {
    fail_filter("Invalid dataset key '" + found.key + "' specified. Valid keys are " + listed(keys));
  }
  return found;
}

class Parser {
 public:
  Parser(std::string_view text, Searched searched) : words_(text), searched_(searched) {}

  std::vector<Condition> conditions() {
    std::vector<Condition> found;
    for (words_.skip(); !words_.at_end(); words_.skip()) {
      if (words_.take_word("AND")) continue;
      if (words_.next() == ';' && found.size() && words_.at() + 1 < words_.text().size())
        fail("Search filter contained multiple expression '" + std::string(words_.text()) +
             "'. Provide AND-ed expression list.");
      found.push_back(condition());
    }
    return found;
  }

  Order order() {
    const auto fail_order = [&] {
      fail("Invalid order_by clause '" + std::string(words_.text()) + "'. Could not be parsed.");
    };
    words_.skip();
    const auto identifier = words_.take_identifier();
    if (!identifier) fail_order();
    words_.skip();
    const std::string direction = upper(words_.take_bare_word());
    words_.skip();
    if (!words_.at_end()) fail_order();
    if (!direction.empty() && direction != "ASC" && direction != "DESC")
      fail("Invalid ordering key in order_by clause '" + std::string(words_.text()) + "'.");
    auto [entity, key] = identifier_of(*identifier, searched_);
    if (entity == Entity::dataset || (searched_ == Searched::experiments && entity != Entity::attribute))
      fail(std::string("Invalid order_by entity: ") + name_of(entity));
    return {entity, std::move(key), direction != "DESC"};
  }

 private:
  Condition condition() {
    const size_t from = words_.at();
    const auto identifier = words_.take_identifier();
    if (!identifier) fail_clause(words_.rest_of_clause(from));
    if (static const Names kOther = {"OR", "NOT"}; has(kOther, upper(*identifier))) fail_clause(*identifier);
    if (!words_.at_end() && !is_space(words_.next()) && !is_comparing(words_.next()))
      fail("Invalid comparison clause. Expected 'Identifier' found '" + std::string(words_.rest_of_clause(from)) + "'",
           searched_);
    words_.skip();
    if (words_.at_end()) fail_clause(*identifier);
    Condition found;
    found.comparator = words_.take_comparator();
    auto [entity, key] = identifier_of(*identifier, searched_);
    found.entity = entity;
    found.key = std::move(key);
    if (found.comparator.starts_with("IS ")) {
      if (entity != Entity::tag && (entity != Entity::param || searched_ == Searched::experiments))
        fail("IS NULL / IS NOT NULL is only supported for tags and params, not for '" + std::string(name_of(entity)) +
             "' '" + found.key + "'");
    } else {
      words_.skip();
      found.value = value_of(found, words_.take_value());
    }
    check_comparator(found);
    return found;
  }

  [[noreturn]] static void fail(const std::string& message) { fail_filter(message); }
  // A key that needs quotes is the usual mistake.
  [[noreturn]] static void fail(const std::string& message, Searched) {
    throw_usage("mlflow: " + message,
                "a key with other characters than letters, digits, _ and . stands in backticks: "
                "metrics.`val/loss`");
  }

  FilterValue value_of(const Condition& to, const FilterLexer::Token& token) const {
    const Grammar& grammar = grammar_of(searched_);
    const bool is_number = token.kind == FilterLexer::Kind::number || token.kind == FilterLexer::Kind::number_integer;
    const std::string shown(token.text);
    if (to.entity == Entity::metric || (to.entity == Entity::attribute && has(grammar.numeric, to.key))) {
      if (!is_number)
        fail(to.entity == Entity::metric
                 ? "Expected numeric value type for metric. Found " + shown
                 : "Expected numeric value type for numeric attribute: " + to.key + ". Found " + shown);
      return number_of(to, token);
    }
    if (token.kind == FilterLexer::Kind::list) {
      if (to.entity == Entity::dataset || (to.entity == Entity::attribute && has(grammar.lists, to.key)))
        return list_of(token.text);
      if (to.entity == Entity::attribute)
        fail("Only " + listed(grammar.lists) + " attributes support comparison with a list of quoted string values.");
    }
    if (token.kind == FilterLexer::Kind::text) return std::string(token.text.substr(1, token.text.size() - 2));
    if (token.kind == FilterLexer::Kind::other && !is_digit(token.text[0]) && to.entity != Entity::dataset)
      fail("Parameter value is either not quoted or unidentified quote types used for string value " + shown +
           ". Use either single or double quotes.");
    if (to.entity == Entity::attribute) fail("Expected a quoted string value for attributes. Got value " + shown);
    if (to.entity == Entity::dataset) fail("Expected a quoted string value for dataset attributes. Got value " + shown);
    fail("Expected a quoted string value for " + std::string(name_of(to.entity)) + " (e.g. 'my-value'). Got value " +
         shown);
  }

  FilterValue number_of(const Condition& to, const FilterLexer::Token& token) const {
    const char *first = token.text.data(), *last = first + token.text.size();
    if (token.kind == FilterLexer::Kind::number_integer && to.entity == Entity::attribute) {
      int64_t whole = 0;
      if (std::from_chars(first, last, whole).ec == std::errc()) return whole;
    }
    if (searched_ == Searched::experiments)
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
    const Names& valid = is_numeric                                                               ? kNumeric
                         : condition.entity == Entity::tag || condition.entity == Entity::param   ? kTextOrNull
                         : searched_ == Searched::experiments && condition.key == "experiment_id" ? kId
                         : searched_ == Searched::experiments                                     ? kText
                                                                                                  : kTextOrList;
    if (!has(valid, condition.comparator))
      fail("Invalid comparator '" + condition.comparator + "' not one of " + listed(valid));
    // A list compares with IN alone, and IN with a list.
    const bool is_list = std::holds_alternative<std::vector<std::string>>(condition.value);
    if (is_list != (condition.comparator == "IN" || condition.comparator == "NOT IN")) fail_clause(words_.text());
  }

  FilterLexer words_;
  const Searched searched_;
};

}  // namespace

std::vector<Condition> parse_filter(std::string_view text, Searched searched) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_space))
    fail_filter("Invalid filter '" + std::string(text) + "'. Could not be parsed.");
  return Parser(text, searched).conditions();
}

Order parse_order(std::string_view text, Searched searched) { return Parser(text, searched).order(); }

}  // namespace trainhost::track
