// Fields out of JSON, as protobuf takes them: numbers may be text.
#include "host/track/request.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "host/base/error.h"

namespace trainhost::track {
namespace {

using Json = nlohmann::json;

[[noreturn]] void fail(const char* name, const char* expected, const Json& got) {
  throw_usage(std::string("mlflow: Invalid value ") + got.dump(-1, ' ', false, Json::error_handler_t::replace) +
              " for parameter '" + name + "' supplied: expected " + expected);
}

const Json* find(const Json& request, const char* name) {
  const auto found = request.find(name);
  return found == request.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

std::string text_field(const Json& request, const char* name) {
  const Json* found = find(request, name);
  if (!found) return "";
  if (!found->is_string()) fail(name, "a string", *found);
  return found->get<std::string>();
}

int64_t integer_field(const Json& request, const char* name, int64_t absent) {
  const Json* found = find(request, name);
  if (!found) return absent;
  if (found->is_number_integer()) return found->get<int64_t>();
  int64_t value = 0;
  if (found->is_string()) {
    const std::string& digits = found->get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc() && end == digits.data() + digits.size()) return value;
  }
  fail(name, "an integer", *found);
}

const Json& list_field(const Json& request, const char* name) {
  static const Json none = Json::array();
  const Json* found = find(request, name);
  if (!found) return none;
  if (!found->is_array()) fail(name, "a list", *found);
  return *found;
}

std::vector<std::string> texts_field(const Json& request, const char* name) {
  std::vector<std::string> texts;
  for (const Json& item : list_field(request, name)) {
    if (!item.is_string()) fail(name, "a list of strings", item);
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

CallPath method_of(const std::string& call) {
  if (const size_t space = call.find(' '); space != std::string::npos)
    return {call.substr(0, space), call.substr(space + 1)};
  const std::string_view action = std::string_view(call).substr(call.find('/') + 1);
  return {action.starts_with("get") || action == "list" ? "GET" : "POST", call};
}

int64_t experiment_number(const std::string& id) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc() || end != id.data() + id.size() || id.empty())
    throw_usage("mlflow: Invalid experiment ID '" + id + "': it must be an integer");
  return number;
}

Query query_of(const Json& request, const char* view) {
  Query query;
  const std::string stages = text_field(request, view);
  if (!stages.empty() && stages != "ACTIVE_ONLY" && stages != "DELETED_ONLY" && stages != "ALL")
    throw_usage("mlflow: Invalid view type '" + stages + "', expected ACTIVE_ONLY, DELETED_ONLY or ALL");
  query.active = stages != "DELETED_ONLY";
  query.deleted = stages == "DELETED_ONLY" || stages == "ALL";
  query.filter = text_field(request, "filter");
  query.order_by = texts_field(request, "order_by");
  query.max_results = integer_field(request, "max_results", 1000);
  query.page_token = text_field(request, "page_token");
  return query;
}

}  // namespace trainhost::track
