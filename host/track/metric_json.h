// A metric's value as MLflow writes it in JSON: NaN and the infinities are words.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace trainhost::track {

nlohmann::json metric_json(double value);
double metric_value(const nlohmann::json& json);

}  // namespace trainhost::track
