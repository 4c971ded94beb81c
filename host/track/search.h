// Searching a database as MLflow searches it: filters and orders become SQL whose values are all bound.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "host/track/database.h"

namespace trainhost::track {

struct Query {
  std::string filter;
  std::vector<std::string> order_by;
  bool active = true, deleted = false;  // the stages that are looked at
  int64_t max_results = 1000;
  std::string page_token;
};

struct Page {
  std::vector<std::string> ids;  // in order
  std::string next_page_token;   // empty: there is no more
};

// Throw Error(usage) for a filter, an order, a number of results or a token that is none. LIKE minds the case only on a
// connection with `PRAGMA case_sensitive_like = ON`, as MLflow has it.
Page search_runs(Database& database, const std::vector<int64_t>& experiments, const Query& query);
Page search_experiments(Database& database, const Query& query);
// Of registered models their names; of versions their rowids, best first as MLflow sorts them.
Page search_registered_models(Database& database, const Query& query);
Page search_model_versions(Database& database, const Query& query);

// LoggedModels are sorted by fields with a direction, of the metrics on one dataset too.
struct ModelOrder {
  std::string field, dataset_name, dataset_digest;
  bool is_ascending = true;
};
struct ModelQuery {
  std::vector<int64_t> experiments;
  std::vector<std::pair<std::string, std::string>> datasets;  // name and digest; empty digest: any
  std::vector<ModelOrder> order_by;
};
// `query.order_by` is not looked at.
Page search_logged_models(Database& database, const ModelQuery& models, const Query& query);

// Page tokens as MLflow writes them: how many rows to skip, in JSON, in base 64.
std::string page_token(int64_t offset);
int64_t offset_of(const std::string& token);

}  // namespace trainhost::track
