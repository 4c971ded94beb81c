// What the tracking queue carries: one thing that was logged, and one thing that went wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "host/base/error.h"

namespace trainhost::track {

enum class RecordKind : uint8_t {
  start_run,
  resume_run,
  metric,
  param,
  tag,
  delete_tag,
  text,
  file,
  end_run,
  event,
  spooled,
  inputs
};

constexpr std::string_view kOrphan = "orphan";

// A logged thing, complete in itself: strings and numbers only, so that it can be written to disk, sent twice (every
// sink stores it once) and read by another process. What the fields mean by kind:
//   kind        key            value          extra        number  step           timestamp (ms since the epoch)
//   start_run   run name       artifact_uri   user         -       experiment_id  start   (of a server: value = the
//                              experiment's name, which counts where the id is below 0)
//   resume_run  -              -              -            -       -              -
//   metric      metric key     a model's id   its dataset  value   step           of the point   (extra: the dataset's
//                              name and digest, a line each; both are mostly empty)
//   param, tag  key            text           -            -       -              of the call
//   delete_tag  key            -              -            -       -              of the call
//   text        artifact path  content        -            -       -              of the call
//   file        artifact path  staged file    source file  -       size in bytes  of the source's last change (ns)
//   inputs      -              JSON           -            -       -              of the call    (the list of datasets
//                              of MLflow's call runs/log-inputs)
//   end_run     -              status         -            -       -              end
//   event       -              encoded event  -            -       -              -   (of a TensorBoard file)
//   spooled     -              -              -            -       -              -   (more in the spool of the run)
// An end_run whose `extra` is kOrphan is of a run that its process has left: it ends what still runs alone.
struct Record {
  RecordKind kind = RecordKind::metric;
  std::string run;  // run_uuid: 32 hex
  std::string key;
  std::string value;
  std::string extra;
  double number = 0.0;
  int64_t step = 0;
  int64_t timestamp = 0;
  // Where it comes from, if it comes from a spool: the spool's id, and the position there of what follows it. A sink
  // that keeps the position of what it has stored is never given that again.
  std::string spool;
  uint64_t position = 0;

  // Memory it takes while it waits, about.
  size_t bytes() const noexcept { return sizeof(Record) + run.size() + key.size() + value.size() + extra.size(); }
};

// Something that went wrong behind the back of the script, or that it should know. Never a dead training.
struct Event {
  ErrorKind kind = ErrorKind::tracking;
  std::string run;      // empty: not about one run
  std::string message;  // one line
  std::string hint;
};

// Now, in milliseconds since the epoch.
int64_t now_ms();
// 32 random hex digits.
std::string new_id();

}  // namespace trainhost::track
