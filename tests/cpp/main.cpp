// The C++ tests' main: Catch2's own, and at the end the line that every suite ends with.
#define CATCH_CONFIG_RUNNER
#include <cstdio>

#include "tests/cpp/catch.h"

namespace {

#if __has_include(<catch2/catch_all.hpp>)
using Listener = Catch::EventListenerBase;
#else
using Listener = Catch::TestEventListenerBase;
#endif

Catch::Counts cases;

class CountCases : public Listener {
 public:
  using Listener::Listener;
  void testRunEnded(const Catch::TestRunStats& stats) override { cases = stats.totals.testCases; }
};
CATCH_REGISTER_LISTENER(CountCases)

// Catch2 before 3.3 knows no skipped cases.
template <class Counts>
unsigned long long skipped(const Counts& counts) {
  if constexpr (requires { counts.skipped; }) return counts.skipped;
  else return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int code = Catch::Session().run(argc, argv);
  std::printf("%llu passed, %llu failed, %llu skipped\n", static_cast<unsigned long long>(cases.passed),
              static_cast<unsigned long long>(cases.failed + cases.failedButOk), skipped(cases));
  return code;
}
