// Our own threads: quiet ones, that never take a signal from the program.
#pragma once

#include <functional>
#include <thread>

namespace trainhost {

// Starts a thread named `name` (15 characters at most) that blocks every signal but those of a crash and runs `work`,
// which must not throw. Throws std::system_error if the system has no thread left; the caller's signals are as before.
std::thread start_thread(const char* name, std::function<void()> work);

}  // namespace trainhost
