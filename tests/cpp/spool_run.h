// A run with a spool, and the process that logged to it and was killed.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "host/track/spool.h"
#include "tests/cpp/catch.h"

namespace trainhost::test {

using track::Record;
using track::RecordKind;
using track::Spool;

inline const std::string kRun(32, 'a');

inline Record metric(int64_t step, std::string key = "loss") {
  Record record;
  record.run = kRun;
  record.key = std::move(key);
  record.number = 0.5;
  record.step = step;
  record.timestamp = 1234;
  return record;
}

inline Record end_run() {
  Record record;
  record.kind = RecordKind::end_run;
  record.run = kRun;
  record.value = "FINISHED";
  return record;
}

inline std::vector<int64_t> drain(Spool& spool, size_t at_once = 1000) {
  std::vector<int64_t> steps;
  for (;;) {
    const auto records = spool.next(at_once);
    if (records.empty()) return steps;
    for (const Record& record : records) steps.push_back(record.step);
    spool.stored(records.back().position, records.size());
    spool.remove_spent();
  }
}

// Runs `work` in a process of its own that then dies of SIGKILL.
inline void killed(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
}

// What a process that was killed has left.
inline void leave(const std::string& folder, int records, bool ended = false) {
  killed([&] {
    Spool spool(folder, kRun, "sqlite:////x.db");
    for (int i = 0; i < records; ++i) spool.put(metric(i));
    if (ended) spool.put(end_run());
  });
}

}  // namespace trainhost::test
