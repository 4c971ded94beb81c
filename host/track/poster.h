// Messages to a server that need no answer: posted by a thread of their own, behind the back of the training.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "host/base/http.h"
#include "host/track/queue.h"

namespace trainhost::track {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Posts the `value` of each record once, whatever becomes of it; reports each kind of failure once.
class PostSink : public Sink {
 public:
  // `name` begins the reports. Error{io} without libcurl.
  PostSink(std::string name, std::string url, Headers headers);
  size_t write(std::span<const Record> records, const Report& report) override;
  void flush() override {}
  void set_bound(Bound bound) override { client_.set_bound(std::move(bound)); }
  void hurry() noexcept override { client_.hurry(); }
  bool is_bounded() const noexcept override { return true; }

 private:
  std::string name_;
  http::Request request_;
  http::Client client_;
  std::set<std::string> reported_;
};

// Any thread.
class Poster {
 public:
  // Warnings go to the log.
  Poster(std::string name, std::string url, Headers headers);
  // What waits is sent within two seconds, and within the end of the process; the log says what was not.
  ~Poster();
  Poster(const Poster&) = delete;
  Poster& operator=(const Poster&) = delete;

  // Returns at once.
  void post(std::string body);
  // Waits until all has been posted, for `limit` at most; returns how many have not.
  size_t flush(std::chrono::milliseconds limit);

 private:
  std::string name_;
  Queue queue_;
  Queue::Lane lane_ = 0;
};

}  // namespace trainhost::track
