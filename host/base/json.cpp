// JSON through nlohmann::json, with errors that name the file.
#include "host/base/json.h"

#include <nlohmann/json.hpp>

#include "host/base/error.h"
#include "host/base/file.h"

namespace trainhost::json {

nlohmann::json parse(std::string_view text, const std::string& what) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    throw_io(what + ": not JSON at byte " + std::to_string(e.byte));
  }
}

nlohmann::json read(const std::string& path) { return parse(file::read(path), path); }

void write(const std::string& path, const nlohmann::json& value) {
  file::write_atomic(path, value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace trainhost::json
