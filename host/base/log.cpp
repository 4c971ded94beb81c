// The one file that knows spdlog (its fmt and the one LibTorch carries do not compile together).
#include "host/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace trainhost::log {
namespace {

// Not in spdlog's registry: an embedding program may use spdlog itself.
spdlog::logger& logger() {
  static spdlog::logger instance = [] {
    spdlog::logger made("trainhost", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made.set_pattern("%^%l%$: %v");
    made.set_level(spdlog::level::off);
    made.flush_on(spdlog::level::trace);
    return made;
  }();
  return instance;
}

spdlog::string_view_t view(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void debug(std::string_view message) { logger().log(spdlog::level::debug, view(message)); }
void info(std::string_view message) { logger().log(spdlog::level::info, view(message)); }
void warn(std::string_view message) { logger().log(spdlog::level::warn, view(message)); }
void error(std::string_view message) { logger().log(spdlog::level::err, view(message)); }

void set_level(Level level) noexcept {
  switch (level) {
    case Level::debug:
      return logger().set_level(spdlog::level::debug);
    case Level::info:
      return logger().set_level(spdlog::level::info);
    case Level::warn:
      return logger().set_level(spdlog::level::warn);
    case Level::error:
      return logger().set_level(spdlog::level::err);
    case Level::off:
      return logger().set_level(spdlog::level::off);
  }
}

Level level() noexcept {
  switch (logger().level()) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return Level::debug;
    case spdlog::level::info:
      return Level::info;
    case spdlog::level::warn:
      return Level::warn;
    case spdlog::level::err:
    case spdlog::level::critical:
      return Level::error;
    default:
      return Level::off;
  }
}

}  // namespace trainhost::log
