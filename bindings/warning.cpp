// LibTorch's warnings on the way to the log.
#include <c10/util/Exception.h>

#include <set>
#include <string>

#include "bindings/bindings.h"
#include "host/base/log.h"
#include "host/vm/traceback.h"

namespace trainhost::bindings {

struct WarningScope::Handler final : c10::WarningHandler {
  explicit Handler(lua_State* L) : lua(L), guard(this) {}

  void process(const c10::Warning& warning) override {
    const std::string line = vm::user_line(lua);
    const auto& from = warning.source_location();
    if (c10::WarningUtils::get_warnAlways()) {
      log::warn((line.empty() ? "" : line + ": ") + warning.msg());
      return;
    }
    if (!seen.insert(line + " " + from.file + ":" + std::to_string(from.line)).second) return;
    log::warn((line.empty() ? "" : line + ": ") + warning.msg());
  }

  lua_State* lua;
  std::set<std::string> seen;
  c10::WarningUtils::WarningHandlerGuard guard;
};

WarningScope::WarningScope(lua_State* L) : handler_(std::make_unique<Handler>(L)) {}
WarningScope::~WarningScope() = default;

}  // namespace trainhost::bindings
