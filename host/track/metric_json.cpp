// The words of Python's json and of protobuf's: NaN, Infinity, -Infinity.
#include "host/track/metric_json.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace trainhost::track {

nlohmann::json metric_json(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

double metric_value(const nlohmann::json& json) {
  if (json.is_number()) return json.get<double>();
  if (json == "Infinity") return std::numeric_limits<double>::infinity();
  if (json == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace trainhost::track
