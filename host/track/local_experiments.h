// Calls about experiments, answered from a database.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "host/track/database.h"
#include "host/track/store.h"

namespace trainhost::track {

// The experiment whose column `where` (name, experiment_id) has that value.
std::optional<Experiment> find_experiment(Database& database, const char* where, const SqlValue& value);
// Makes one, inside a transaction of the caller's; `location` empty: `artifact_root`/ID.
Experiment create_experiment(Database& database, const std::string& name, std::string location,
                             const std::string& artifact_root);

// The call experiments/ACTION of MLflow's REST API; no answer: there is no such call.
std::optional<nlohmann::json> call_experiments(Database& database, const std::string& artifact_root,
                                               const std::string& action, const nlohmann::json& request);

}  // namespace trainhost::track
