// The datasets of a run in MLflow's tables.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "host/track/database.h"

namespace trainhost::track {

// Stores the list of datasets of MLflow's call runs/log-inputs: each dataset once in an experiment, by name and digest,
// each link of a run to one once. Inside a transaction of the caller's; may be repeated.
void store_inputs(Database& database, const std::string& run, const nlohmann::json& datasets);
// The same list back, as runs/get has it.
nlohmann::json read_inputs(Database& database, const std::string& run);

}  // namespace trainhost::track
