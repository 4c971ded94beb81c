// Requests, answers and their errors as MLflow's REST API has them.
#include "host/track/server.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>

#include "host/track/text.h"

namespace trainhost::track {
namespace {

constexpr std::array kPassing = {408, 429, 500, 502, 503, 504};
const std::string kArtifacts = "/api/2.0/mlflow-artifacts/artifacts";
constexpr double kMostPause = 30.0, kMostRetryAfter = 300.0, kFirstPause = 0.1;

// Seconds, or a date.
std::optional<double> retry_after_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  double seconds = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) return std::clamp(seconds, 0.0, kMostRetryAfter);
  std::tm when{};
  if (!strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when)) return std::nullopt;
  return std::clamp(static_cast<double>(timegm(&when) - std::time(nullptr)), 0.0, kMostRetryAfter);
}

std::string one_line(std::string text) {
  bool ignored;
  text = cut(clean_utf8(text), 300, ignored);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

std::string encoded_path(const std::string& path) {
  std::string result;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (at) result += '/';
    result += http::url_encoded(std::string_view(path).substr(at, end - at));
    at = end + 1;
  }
  return result;
}

}  // namespace

http::Request Server::request(const char* method, const std::string& url) const {
  http::Request request;
  request.method = method;
  request.url = url;
  request.headers = options_.headers;
  request.verify = options_.verify;
  request.ca = options_.ca;
  request.certificate = options_.certificate;
  request.timeout = options_.timeout;
  if (deadline_ != deadline_.max()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
    request.timeout = std::clamp(left, std::chrono::milliseconds(1), request.timeout);
  }
  request.connect_timeout = std::min(request.timeout, std::chrono::milliseconds(30'000));
  return request;
}

http::Answer Server::send(const http::Request& request, const Stop& stop) {
  try {
    http::Answer answer = client_.send(request, stop);
    if (answer.status / 100 != 2) fail(answer);
    return answer;
  } catch (const http::RequestError& e) {
    if (e.failure() == http::Failure::stopped) throw Error(ErrorKind::interrupted, "interrupted");
    throw ServerError("mlflow: the tracking server cannot be reached: " + e.message(), e.hint(), 0,
                      e.failure() == http::Failure::connect || e.failure() == http::Failure::resolve ? kUnreached : "",
                      e.failure() != http::Failure::local);
  }
}

Server::Json Server::parse(const http::Answer& answer) const {
  Json body = Json::parse(answer.body, nullptr, false);
  if (!body.is_object())
    throw ServerError("mlflow: " + http::shown_url(options_.url) + " answers something else than JSON (" +
                          one_line(answer.content_type) + "): is it a tracking server?",
                      "", answer.status, "", true);
  return body;
}

void Server::fail(const http::Answer& answer) const {
  const std::string where =
      "mlflow: the tracking server " + http::shown_url(options_.url) + " answers " + std::to_string(answer.status);
  if (answer.status == 401 || answer.status == 403)
    throw ServerError(where + (answer.status == 401 ? ": it does not know the user" : ": permission denied"),
                      "MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN, say who asks", answer.status,
                      "", false);
  const Json body = Json::parse(answer.body, nullptr, false);
  std::string code, message;
  const auto text = [&](const char* name) {
    const auto found = body.is_object() ? body.find(name) : body.end();
    return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (body.is_object()) {
    code = text("error_code");
    message = text("message");
  }
  // What is no error of MLflow's comes from something before it: the server may be on its way back.
  const bool passing =
      std::find(kPassing.begin(), kPassing.end(), answer.status) != kPassing.end() ||
      (code.empty() && answer.status != 413 && answer.status != 400 && answer.status != 405 && answer.status != 501);
  const auto wish = options_.respect_retry_after ? retry_after_of(answer.retry_after) : std::nullopt;
  throw ServerError(where + (message.empty() ? "" : ": " + one_line(message)),
                    code.empty() && answer.status == 404 ? "is it a tracking server?" : "", answer.status, code,
                    passing, wish);
}

Server::Json Server::post(const std::string& path, const Json& body, const Stop& stop, const char* method) {
  http::Request asked = request(method, options_.url + "/api/2.0/mlflow/" + path);
  asked.headers.emplace_back("Content-Type", "application/json");
  asked.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return parse(send(asked, stop));
}

Server::Json Server::get(const std::string& path, const std::vector<std::pair<std::string, std::string>>& query,
                         const Stop& stop) {
  std::string url = options_.url + "/api/2.0/mlflow/" + path;
  char before = '?';
  for (const auto& [name, value] : query) {
    url += before + name + "=" + http::url_encoded(value);
    before = '&';
  }
  return parse(send(request("GET", url), stop));
}

bool Server::takes(const std::string& uri) {
  return uri.starts_with("mlflow-artifacts:") || uri.starts_with("http://") || uri.starts_with("https://");
}

// Where a server keeps what `uri` names.
std::string Server::artifacts_url(const std::string& uri) const {
  constexpr std::string_view kScheme = "mlflow-artifacts:";
  if (!uri.starts_with(kScheme)) return uri;
  std::string rest = uri.substr(kScheme.size()), host = options_.url;
  if (rest.starts_with("//")) {  // of a server of artifacts that has its own address
    const size_t end = std::min(rest.find('/', 2), rest.size());
    if (end > 2) host = options_.url.substr(0, options_.url.find("://")) + ":" + rest.substr(0, end);
    rest = rest.substr(end);
  }
  return host + kArtifacts + rest;
}

http::Request Server::artifact_request(const char* method, const std::string& url) const {
  http::Request asked = request(method, url);
  asked.timeout = options_.artifact_timeout.count() ? options_.artifact_timeout : std::chrono::hours(24);
  asked.stall = std::chrono::seconds(120);
  return asked;
}

void Server::put_artifact(const std::string& uri, const std::string& path, const std::string& file,
                          const std::string& text, const Stop& stop) {
  http::Request asked = artifact_request("PUT", artifacts_url(uri) + "/" + encoded_path(path));
  asked.headers.emplace_back("Content-Type", "application/octet-stream");
  asked.upload = file;
  asked.body = text;
  const http::Answer answer = send(asked, stop);
  if (!answer.body.empty()) parse(answer);  // a page that something before the server has made
}

std::vector<StoredArtifact> Server::list_artifacts(const std::string& uri, const std::string& path, const Stop& stop) {
  // The folder is a part of the query, the rest of the address is that of the call.
  std::string url = artifacts_url(uri), folder = path;
  if (const size_t at = url.find(kArtifacts); at != std::string::npos) {
    const std::string root = url.substr(std::min(at + kArtifacts.size() + 1, url.size()));
    folder = root + (root.empty() || path.empty() ? "" : "/") + path;
    url.resize(at + kArtifacts.size());
  }
  const Json answer = parse(send(request("GET", url + "?path=" + http::url_encoded(folder)), stop));
  std::vector<StoredArtifact> found;
  for (const Json& file : answer.value("files", Json::array())) {
    const Json size = file.value("file_size", Json());
    found.push_back({file.value("path", ""), file.value("is_dir", false),
                     size.is_number()   ? size.get<int64_t>()
                     : size.is_string() ? std::strtoll(size.get_ref<const std::string&>().c_str(), nullptr, 10)
                                        : 0});
  }
  return found;
}

void Server::get_artifact(const std::string& uri, const std::string& path, const std::string& target,
                          const Stop& stop) {
  http::Request asked = artifact_request("GET", artifacts_url(uri) + "/" + encoded_path(path));
  asked.download = target;
  send(asked, stop);
}

std::chrono::milliseconds Server::pause(int attempt, const ServerError& error) const {
  thread_local std::minstd_rand random{std::random_device{}()};
  double seconds = error.retry_after().value_or(-1.0);
  if (seconds < 0.0)
    seconds =
        std::min(options_.backoff_factor.value_or(kFirstPause) * std::exp2(std::min(attempt - 1, 30)), kMostPause);
  seconds += std::uniform_real_distribution<double>(0.0, options_.backoff_jitter)(random);
  return std::chrono::milliseconds(std::lround(seconds * 1000.0));
}

}  // namespace trainhost::track
