// MLflow's environment variables, ~/.mlflow/credentials.
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "host/track/server.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string trimmed(const std::string& text) {
  const size_t from = text.find_first_not_of(" \t\r\n");
  return from == std::string::npos ? "" : text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

[[noreturn]] void fail(const char* name, const std::string& expected) {
  throw_usage(std::string("mlflow: the environment variable ") + name + " must be " + expected);
}

bool is_true(const char* name, bool otherwise) {
  const std::string value = lower(trimmed(variable(name)));
  if (value.empty()) return otherwise;
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  fail(name, "true, false, 1 or 0");
}

std::optional<double> number(const char* name) {
  const std::string value = trimmed(variable(name));
  if (value.empty()) return std::nullopt;
  double result = 0.0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size() || !(result >= 0.0) || result > 1e6)
    fail(name, "a number of 0 or more");
  return result;
}

std::chrono::milliseconds seconds(const char* name, double otherwise) {
  return std::chrono::milliseconds(std::lround(number(name).value_or(otherwise) * 1000.0));
}

// The section [mlflow] of an INI file, as Python's configparser reads it.
std::pair<std::string, std::string> credentials_of_file() {
  std::pair<std::string, std::string> found;
  std::ifstream file(variable("HOME") + "/.mlflow/credentials");
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    line = trimmed(line);
    if (line.starts_with('[')) inside = line == "[mlflow]";
    const size_t equals = line.find_first_of("=:");
    if (!inside || equals == std::string::npos || line.starts_with('#') || line.starts_with(';')) continue;
    const std::string name = lower(trimmed(line.substr(0, equals))), value = trimmed(line.substr(equals + 1));
    if (name == "mlflow_tracking_username") found.first = value;
    if (name == "mlflow_tracking_password") found.second = value;
  }
  return found;
}

void authorize(ServerOptions& options) {
  if (is_true("MLFLOW_TRACKING_AWS_SIGV4", false))
    throw_usage("mlflow: MLFLOW_TRACKING_AWS_SIGV4 is not supported: requests are not signed for AWS",
                "MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN, authorize");
  if (!trimmed(variable("MLFLOW_TRACKING_AUTH")).empty())
    throw_usage("mlflow: MLFLOW_TRACKING_AUTH names a plugin of Python's mlflow, which cannot be loaded here",
                "MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN, authorize");
  std::string user = variable("MLFLOW_TRACKING_USERNAME"), password = variable("MLFLOW_TRACKING_PASSWORD");
  const std::string token = variable("MLFLOW_TRACKING_TOKEN");
  if (user.empty() || password.empty()) {
    const auto [user_of_file, password_of_file] = credentials_of_file();
    if (user.empty()) user = user_of_file;
    if (password.empty()) password = password_of_file;
  }
  std::string value;
  if (!user.empty() && !password.empty()) value = http::basic_authorization(user, password);
  else if (!token.empty()) value = "Bearer " + token;
  if (value.find_first_of("\r\n") != std::string::npos) fail("MLFLOW_TRACKING_TOKEN", "one line");
  if (!value.empty()) options.headers.emplace_back("Authorization", value);
}

}  // namespace

std::string ServerOptions::workspace_of_environment() {
  std::string workspace = trimmed(variable("MLFLOW_WORKSPACE"));
  if (workspace.find_first_of("\r\n") != std::string::npos) fail("MLFLOW_WORKSPACE", "one line");
  return workspace;
}

ServerOptions ServerOptions::of_environment(const std::string& url, const std::string& workspace) {
  ServerOptions options;
  options.url = url;
  while (options.url.ends_with('/')) options.url.pop_back();
  authorize(options);
  if (!workspace.empty()) options.headers.emplace_back("X-MLFLOW-WORKSPACE", workspace);
  options.verify = !is_true("MLFLOW_TRACKING_INSECURE_TLS", false);
  options.ca = variable("MLFLOW_TRACKING_SERVER_CERT_PATH");
  if (!options.verify && !options.ca.empty())
    throw_usage(
        "mlflow: MLFLOW_TRACKING_INSECURE_TLS is true, so MLFLOW_TRACKING_SERVER_CERT_PATH must not be set: the "
        "certificate would not be looked at");
  for (const char* name : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"})
    if (options.ca.empty()) options.ca = variable(name);
  options.certificate = variable("MLFLOW_TRACKING_CLIENT_CERT_PATH");
  options.timeout = seconds("MLFLOW_HTTP_REQUEST_TIMEOUT", 120.0);
  options.artifact_timeout = seconds("MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT", 0.0);
  options.max_retries = static_cast<int>(std::min(number("MLFLOW_HTTP_REQUEST_MAX_RETRIES").value_or(7.0), 10.0));
  options.backoff_factor = number("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR");
  options.backoff_jitter = number("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER").value_or(options.backoff_factor ? 1.0 : 0.1);
  options.respect_retry_after = is_true("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", true);
  return options;
}

}  // namespace trainhost::track
