// Messages for people, on stderr. Quiet until a program asks for a level.
#pragma once

#include <string_view>

namespace trainhost::log {

enum class Level { debug, info, warn, error, off };

// Safe from any thread. One line each: "warning: message".
void debug(std::string_view message);
void info(std::string_view message);
void warn(std::string_view message);
void error(std::string_view message);

// The least level that is shown. `off` at first: an embedded host prints nothing.
void set_level(Level level) noexcept;
Level level() noexcept;

}  // namespace trainhost::log
