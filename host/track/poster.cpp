// One request for each message, one report for each kind of failure.
#include "host/track/poster.h"

#include "host/base/log.h"
#include "host/track/end.h"

namespace trainhost::track {
namespace {

constexpr auto kTimeout = std::chrono::seconds(10), kConnect = std::chrono::seconds(5), kEnd = std::chrono::seconds(2);

void log_line(const Event& event) {
  log::warn(event.hint.empty() ? event.message : event.message + " (" + event.hint + ")");
}

// A script is never held up: what does not fit into memory is dropped.
QueueOptions options_of(const std::string& name) {
  QueueOptions options;
  options.name = name;
  options.droppable = "messages";
  options.patience = options.linger = std::chrono::milliseconds(0);
  return options;
}

}  // namespace

PostSink::PostSink(std::string name, std::string url, Headers headers) : name_(std::move(name)) {
  request_.method = "POST";
  request_.url = std::move(url);
  request_.headers = std::move(headers);
  request_.timeout = kTimeout;
  request_.connect_timeout = kConnect;
}

size_t PostSink::write(std::span<const Record> records, const Report& report) {
  const auto once = [&](const std::string& kind, const std::string& message, std::string hint) {
    if (reported_.insert(kind).second)
      report(
          {ErrorKind::io, "", name_ + ": " + message, "training goes on; further failures of this kind are not told"});
  };
  request_.body = records.front().value;
  try {
    const http::Answer answer = client_.send(request_);
    if (answer.status >= 400)
      once("status " + std::to_string(answer.status),
           "the server at " + http::shown_url(request_.url) + " answers " + std::to_string(answer.status), "");
  } catch (const http::RequestError& e) {
    once("failure " + std::to_string(static_cast<int>(e.failure())), "could not reach the server: " + e.message(),
         e.hint());
  }
  return 1;
}

Poster::Poster(std::string name, std::string url, Headers headers) : name_(name), queue_(options_of(name), log_line) {
  lane_ = queue_.add(std::make_shared<PostSink>(std::move(name), std::move(url), std::move(headers)));
}

Poster::~Poster() {
  if (const size_t left = queue_.close(End::of_process()->at_most(kEnd)))
    log::warn(name_ + ": " + std::to_string(left) + " messages could not be sent before the end");
}

void Poster::post(std::string body) {
  Record record;
  record.kind = RecordKind::event;
  record.value = std::move(body);
  queue_.push(lane_, std::move(record));
}

size_t Poster::flush(std::chrono::milliseconds limit) { return queue_.flush(limit, lane_) ? 0 : queue_.waiting(); }

}  // namespace trainhost::track
