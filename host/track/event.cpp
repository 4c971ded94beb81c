// Event, Summary, Summary.Value, HistogramProto by their field numbers.
#include "host/track/event.h"

#include <chrono>

#include "host/track/protobuf.h"

namespace trainhost::track {
namespace {

constexpr const char* kFileVersion = "brain.Event:2";

Message begin(const Moment& moment) {
  Message event;
  event.real(1, moment.wall_time);
  if (moment.step) event.integer(2, *moment.step);
  return event;
}

std::string with_value(const Message& value, const Moment& moment) {
  Message summary, event = begin(moment);
  summary.message(1, value);
  event.message(5, summary);
  return std::move(event).text();
}

}  // namespace

double now_seconds() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

std::string version_event(double wall_time) {
  Message event, source;
  source.bytes(1, "trainhost");
  event.real(1, wall_time).bytes(3, kFileVersion).message(10, source);
  return std::move(event).text();
}

std::string version_event(const Moment& moment) {
  Message event = begin(moment);
  event.bytes(3, kFileVersion);
  return std::move(event).text();
}

std::string event_of(EventPart part, std::string_view content, const Moment& moment) {
  Message event = begin(moment);
  event.bytes(static_cast<int>(part), content);
  return std::move(event).text();
}

// In one piece of memory: a training may add some of these at every step.
std::string scalar_event(std::string_view tag, float number, const Moment& moment) {
  const auto framed = [](size_t size) { return 1 + Message::length(size) + size; };
  const size_t value = framed(tag.size()) + 1 + sizeof number, summary = framed(value);
  Message event;
  event.reserve(9 + 11 + framed(summary));
  event.real(1, moment.wall_time);
  if (moment.step) event.integer(2, *moment.step);
  event.begin(5, summary).begin(1, value).bytes(1, tag).single(2, number);
  return std::move(event).text();
}

std::string histogram_event(std::string_view tag, const Histogram& histogram, const Moment& moment) {
  Message numbers, value;
  numbers.real(1, histogram.min).real(2, histogram.max).real(3, histogram.num).real(4, histogram.sum);
  numbers.real(5, histogram.sum_squares).reals(6, histogram.limits).reals(7, histogram.counts);
  value.bytes(1, tag).message(5, numbers);
  return with_value(value, moment);
}

}  // namespace trainhost::track
