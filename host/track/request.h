// What a call of MLflow's REST API brings: its fields, and the errors of those that are wrong.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/track/search.h"

namespace trainhost::track {

// Empty, the default, an empty list where a field is absent or null. Throw Error(usage) for another type.
std::string text_field(const nlohmann::json& request, const char* name);
int64_t integer_field(const nlohmann::json& request, const char* name, int64_t absent = 0);  // digits in a string too
const nlohmann::json& list_field(const nlohmann::json& request, const char* name);
std::vector<std::string> texts_field(const nlohmann::json& request, const char* name);

// "DELETE model-versions/delete" as its method and its path. Where the path stands alone: GET of what reads, else POST.
struct CallPath {
  std::string method, path;
};
CallPath method_of(const std::string& call);

// An experiment's id, a number in the database. Throws Error(usage).
int64_t experiment_number(const std::string& id);
// The fields of runs/search and experiments/search, which differ in the name of `view`.
Query query_of(const nlohmann::json& request, const char* view);

}  // namespace trainhost::track
