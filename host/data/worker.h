// The threads that a loader works with: quiet ones.
#pragma once

#include <functional>
#include <thread>

namespace trainhost::data {

// Starts a thread that blocks every signal but those of a crash, uses one thread for what it computes with LibTorch
// (and leaves every other thread's number alone), records no gradients, and runs `work`, which must not throw.
std::thread start_worker(std::function<void()> work);

}  // namespace trainhost::data
