// HTTP requests: a client that keeps its connections, waits no longer than it is told and can be hurried.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/base/bound.h"
#include "host/base/error.h"

namespace trainhost::http {

struct Request {
  std::string method = "GET";
  std::string url;                                           // http:// or https://
  std::vector<std::pair<std::string, std::string>> headers;  // name, value
  std::string body;
  std::string upload;    // a file that is sent instead of `body`; PUT
  std::string download;  // a file that the body of a good answer (2xx) is written to
  std::chrono::milliseconds timeout{30'000}, connect_timeout{10'000};
  std::chrono::seconds stall{0};  // how long not a byte may come or go; 0: no bound
  bool follow = true;             // redirects, 30 at most
  // TLS as libcurl has it, unless these say else.
  bool verify = true;
  std::string ca;           // a file or folder of certificates
  std::string certificate;  // of the client, with its key: a PEM file
};

struct Answer {
  int status = 0;
  std::string body;
  std::string content_type;
  std::string retry_after;  // the header, empty where there is none
};

// What came between a request and its answer.
enum class Failure { resolve, connect, timeout, tls, stopped, local, broken };

// Names the server without user, password and query.
class RequestError : public Error {
 public:
  RequestError(Failure failure, std::string message, std::string hint = {})
      : Error(ErrorKind::io, std::move(message), std::move(hint)), failure_(failure) {}
  Failure failure() const noexcept { return failure_; }

 private:
  Failure failure_;
};

// Proxies, certificates and .netrc are those of libcurl's environment (http_proxy, NO_PROXY, SSL_CERT_FILE ...).
class Client {
 public:
  // Opens libcurl; Error{io} that names the package where it is missing.
  Client();
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Waits for the answer, of any status. One thread at a time. Throws RequestError.
  // `stop` is asked every 50 ms whether to give up (Failure::stopped).
  Answer send(const Request& request, const std::function<bool()>& stop = {});
  // Asked while an answer is waited for, and told the URL of a PUT and how much of its body has gone. Before the first
  // request.
  void set_bound(Bound bound) { bound_ = std::move(bound); }
  // From any thread: what is waited for asks its bound at once.
  void hurry() noexcept;

 private:
  struct Transfer;
  struct Handles;
  std::unique_ptr<Handles> handles_;
  Bound bound_;
};

// Text as a part of a path or a form: all but letters, digits and _.-~ as %XX.
std::string url_encoded(std::string_view text);
// A URL as messages may show it: without user, password, query and fragment.
std::string shown_url(std::string_view url);
// "Basic dXNlcjpwYXNz"
std::string basic_authorization(std::string_view user, std::string_view password);

}  // namespace trainhost::http
