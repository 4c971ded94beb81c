// Rows of MLflow's tables as values.
#pragma once

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

}  // namespace trainhost::track
