// Rows of MLflow's tables as values.
#pragma once

#include <string>
#include <vector>

#include "host/track/database.h"
#include "host/track/store.h"

namespace trainhost::track {

// The columns of `runs` that make a RunInfo, in its order.
inline constexpr const char kRunColumns[] =
    "run_uuid, name, user_id, status, artifact_uri, lifecycle_stage, experiment_id, start_time, end_time";
RunInfo run_of(const Statement& row);

// A row of the columns of kMetricColumns; infinities are the largest numbers, as the tables and MLflow have them.
inline constexpr const char kMetricColumns[] = "key, value, is_nan, step, timestamp";
Metric metric_of(const Statement& row);

// All points of one metric; `order`: columns of the table `metrics`.
std::vector<Metric> points_of(Database& database, const std::string& run_id, const std::string& key, const char* order);

}  // namespace trainhost::track
