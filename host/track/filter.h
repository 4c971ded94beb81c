// MLflow's filter and order texts: "metrics.loss < 0.3 AND tags.team = 'blue'", "params.`batch size` DESC".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace trainhost::track {

enum class Entity { attribute, metric, param, tag, dataset };

// monostate: IS NULL, IS NOT NULL; a list: IN, NOT IN.
using FilterValue = std::variant<std::monostate, int64_t, double, std::string, std::vector<std::string>>;

// One comparison; all of a filter hold together (AND is all that MLflow knows).
struct Condition {
  Entity entity = Entity::attribute;
  std::string key;         // aliases are translated: "created" is start_time
  std::string comparator;  // one of = != < <= > >= LIKE ILIKE IN NOT IN IS NULL IS NOT NULL, that the entity has
  FilterValue value;
};

struct Order {
  Entity entity = Entity::attribute;
  std::string key;
  bool is_ascending = true;
};

// What is searched for: it has its own attributes.
enum class Searched { runs, experiments, registered_models, model_versions, logged_models };

// Throw Error(usage) with MLflow's words for what its grammar does not have.
std::vector<Condition> parse_filter(std::string_view text, Searched searched);
Order parse_order(std::string_view text, Searched searched);

}  // namespace trainhost::track
