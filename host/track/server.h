// A tracking server: where it is, who asks, and its calls over HTTP.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "host/base/http.h"
#include "host/track/store.h"

namespace trainhost::track {

// How a server is reached, from MLflow's environment variables.
struct ServerOptions {
  std::string url;                                           // without a '/' at the end
  std::vector<std::pair<std::string, std::string>> headers;  // authorization, workspace
  bool verify = true;
  std::string ca, certificate;
  std::chrono::milliseconds timeout{120'000}, artifact_timeout{0};  // 0: none
  int max_retries = 7;
  std::optional<double> backoff_factor;  // seconds
  double backoff_jitter = 1.0;           // seconds
  bool respect_retry_after = true;

  // MLFLOW_TRACKING_USERNAME, _PASSWORD, _TOKEN, _INSECURE_TLS ...; Error{usage} for what cannot be meant. `workspace`:
  // empty: that of the server's choice.
  static ServerOptions of_environment(const std::string& url, const std::string& workspace);
  // MLFLOW_WORKSPACE; Error{usage} if it is not one line.
  static std::string workspace_of_environment();
};

// The code of an error where nobody was there: what was asked cannot have been done.
inline constexpr char kUnreached[] = "UNREACHED";

// What a server answered, or why it did not.
class ServerError : public Error {
 public:
  ServerError(std::string message, std::string hint, int status, std::string code, bool passing,
              std::optional<double> retry_after = std::nullopt)
      : Error(ErrorKind::tracking, std::move(message), std::move(hint)),
        status_(status),
        code_(std::move(code)),
        passing_(passing),
        retry_after_(retry_after) {}
  int status() const noexcept { return status_; }                     // 0: no answer
  const std::string& code() const noexcept { return code_; }          // MLflow's error_code: "RESOURCE_DOES_NOT_EXIST"
  bool is_passing() const noexcept { return passing_; }               // worth another try later
  std::optional<double> retry_after() const { return retry_after_; }  // seconds, as the server asks

 private:
  int status_;
  std::string code_;
  bool passing_;
  std::optional<double> retry_after_;
};

// One connection, kept alive. One thread at a time, but for `hurry`.
class Server {
 public:
  explicit Server(ServerOptions options) : options_(std::move(options)) {}

  using Stop = std::function<bool()>;
  using Json = nlohmann::json;
  // POST (or another method) api/2.0/mlflow/PATH with a JSON body. Throws ServerError.
  Json post(const std::string& path, const Json& body, const Stop& stop = {}, const char* method = "POST");
  // GET api/2.0/mlflow/PATH?name=value...
  Json get(const std::string& path, const std::vector<std::pair<std::string, std::string>>& query,
           const Stop& stop = {});
  // A file, or a text, as an artifact; `uri`: of the run's artifacts, mlflow-artifacts: or http(s):.
  void put_artifact(const std::string& uri, const std::string& path, const std::string& file, const std::string& text,
                    const Stop& stop = {});
  // The files and folders of one folder of these, their names alone; one file, into another.
  std::vector<StoredArtifact> list_artifacts(const std::string& uri, const std::string& path, const Stop& stop);
  void get_artifact(const std::string& uri, const std::string& path, const std::string& target, const Stop& stop);
  static bool takes(const std::string& artifact_uri);

  // The pause before try number `attempt` (1, 2 ...), with jitter; the server's own wish where it has one.
  std::chrono::milliseconds pause(int attempt, const ServerError& error) const;
  // Requests are over by then.
  void set_deadline(std::chrono::steady_clock::time_point deadline) { deadline_ = deadline; }
  void set_bound(Bound bound) { client_.set_bound(std::move(bound)); }
  void hurry() noexcept { client_.hurry(); }
  const ServerOptions& options() const noexcept { return options_; }

 private:
  http::Request request(const char* method, const std::string& url) const;
  http::Request artifact_request(const char* method, const std::string& url) const;
  std::string artifacts_url(const std::string& uri) const;
  http::Answer send(const http::Request& request, const Stop& stop);
  Json parse(const http::Answer& answer) const;
  [[noreturn]] void fail(const http::Answer& answer) const;

  ServerOptions options_;
  http::Client client_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace trainhost::track
