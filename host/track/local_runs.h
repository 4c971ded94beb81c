// Calls about runs, answered from a database.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "host/track/database.h"
#include "host/track/sink.h"
#include "host/track/store.h"

namespace trainhost::track {

std::optional<StoredRun> read_run(Database& database, const std::string& run_id);

// The call runs/ACTION of MLflow's REST API; no answer: there is no such call. What is logged goes through `sink`, as
// all that is logged does.
std::optional<nlohmann::json> call_runs(Database& database, Sink& sink, const std::string& action,
                                        const nlohmann::json& request);
// metrics/get-history.
nlohmann::json metric_history(Database& database, const nlohmann::json& request);

}  // namespace trainhost::track
