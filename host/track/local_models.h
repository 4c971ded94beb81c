// Calls about LoggedModels, answered from a database.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "host/track/database.h"

namespace trainhost::track {

// Where a LoggedModel has its files, and the run that made it; nothing if there is none, or a deleted one.
struct ModelPlace {
  std::string artifact_location, source_run_id;
};
std::optional<ModelPlace> find_model(Database& database, const std::string& model_id);
// Inside a transaction of the caller's: [{key, value}].
void set_model_tags(Database& database, const std::string& model_id, const nlohmann::json& tags);

// The call METHOD logged-models/PATH of MLflow's REST API; no answer: there is no such call.
std::optional<nlohmann::json> call_models(Database& database, const std::string& method, const std::string& path,
                                          const nlohmann::json& request);
// runs/outputs: the models that a run has made. One that is linked already stays as it is.
void link_outputs(Database& database, const std::string& run, const nlohmann::json& models);

}  // namespace trainhost::track
