// A store looked at from outside: what runs have logged. Nothing is written.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/track/store.h"

namespace trainhost::track {

// `address`: the path of an MLflow database, or the URL of a tracking server. Of MLflow's calls those that change
// nothing are answered. Throws Error(tracking): no such file, or none of MLflow's. A database is held open, and what
// its writer leaves beside it too: ask and let go.
std::unique_ptr<Store> open_to_read(const std::string& address);

// The points of a metric by their time, without the first `skip`. Infinite is what was logged so.
std::vector<Metric> points(Store& store, const std::string& run_id, const std::string& key, int64_t skip = 0);

}  // namespace trainhost::track
