// When what is under way must be over.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace trainhost {

// Asked at every turn by who works, and told how many bytes of what have moved so far ("", 0: nothing moves): the time
// may move on with them.
using Bound = std::function<std::chrono::steady_clock::time_point(const std::string& what, uint64_t bytes)>;

}  // namespace trainhost
