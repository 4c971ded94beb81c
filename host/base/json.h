// JSON files and texts for C++; Lua values go through bindings/json.cpp.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace trainhost::json {

// `what` names the text in the error (kind io): "checkpoint/state.json: not JSON: ...".
nlohmann::json parse(std::string_view text, const std::string& what);
nlohmann::json read(const std::string& path);
// Keys sorted, two spaces, a final newline; written atomically.
void write(const std::string& path, const nlohmann::json& value);

}  // namespace trainhost::json
