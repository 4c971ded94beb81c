// The events of TensorBoard's files that are written often: made in one go, without a copy of their parts.
// (tensorboard/compat/proto/{event,summary,histogram}.proto.)
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "host/track/histogram.h"

namespace trainhost::track {

// When: nil steps are left out, as PyTorch leaves them out.
struct Moment {
  std::optional<int64_t> step;
  double wall_time = 0.0;  // seconds since 1970
};

double now_seconds();

// What an event is about: the field that holds it.
enum class EventPart { graph_def = 4, summary = 5, session_log = 7, tagged_run_metadata = 8 };

// The first event of each file.
std::string version_event(double wall_time);
// The same in the middle of a file, at the step from which on older events are to be forgotten.
std::string version_event(const Moment& moment);
// `content`: the encoded message (bytes, for a graph).
std::string event_of(EventPart part, std::string_view content, const Moment& moment);
std::string scalar_event(std::string_view tag, float value, const Moment& moment);
std::string histogram_event(std::string_view tag, const Histogram& histogram, const Moment& moment);

}  // namespace trainhost::track
