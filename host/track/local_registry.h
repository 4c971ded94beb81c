// Calls about registered models and their versions, answered from a database.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "host/track/database.h"
#include "host/track/store.h"

namespace trainhost::track {

// The call METHOD registered-models/ACTION of MLflow's REST API; no answer: there is no such call.
std::optional<nlohmann::json> call_registered_models(Database& database, const std::string& method,
                                                     const std::string& action, const nlohmann::json& request);
// The call model-versions/ACTION.
std::optional<nlohmann::json> call_model_versions(Database& database, const std::string& action,
                                                  const nlohmann::json& request);

// What both are made of. Throw NotFound, Error(usage).
// The name of a registered model that there is.
std::string existing_model(Database& database, const nlohmann::json& request);
// A version, with its tags and aliases.
nlohmann::json read_version(Database& database, const std::string& name, int64_t version);
// The highest version of each stage that is named; none named: of every stage.
nlohmann::json latest_versions(Database& database, const std::string& name, const std::vector<std::string>& stages);
// A row of registry tags, checked.
void check_registry_tag(const nlohmann::json& tag);
nlohmann::json read_tags(Statement& rows);
// A registered model has changed.
void touch_model(Database& database, const std::string& name);

}  // namespace trainhost::track
