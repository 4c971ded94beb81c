// The rules of MLflow's mlflow/utils/validation.py, checked at the call.
#include "host/track/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "host/base/error.h"
#include "host/base/utf8.h"

namespace trainhost::track {
namespace {

// MLflow's stores keep no NUL.
size_t sequence_at(std::string_view text, size_t at) { return text[at] == 0 ? 0 : utf8_sequence(text, at); }

size_t characters(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

// As Python's posixpath.normpath.
std::string normal_path(std::string_view path) {
  std::vector<std::string_view> parts;
  const bool absolute = path.starts_with('/');
  size_t at = 0;
  while (at <= path.size()) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..") parts.pop_back();
    else if (part != ".." || !absolute) parts.push_back(part);
  }
  std::string result = absolute ? "/" : "";
  for (size_t i = 0; i < parts.size(); ++i) result.append(i ? "/" : "").append(parts[i]);
  return result.empty() ? "." : result;
}

std::string quoted(std::string_view text) {
  bool ignored;
  return "'" + cut(clean_utf8(text), 80, ignored) + "'";
}

}  // namespace

void check_key(std::string_view what, std::string_view key) {
  const std::string where = "mlflow: invalid " + std::string(what) + " name " + quoted(key) + ": ";
  for (size_t i = 0; i < key.size();) {
    const size_t length = sequence_at(key, i);
    const char c = key[i];
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (length == 0 || (length == 1 && !word && std::string_view("_-. :/").find(c) == std::string_view::npos))
      throw_usage(where +
                  "names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), "
                  "colon (:) and slashes (/)");
    i += length;
  }
  const std::string normal = normal_path(key);
  if (normal != key || normal == "." || normal.starts_with("..") || normal.starts_with('/'))
    throw_usage(where +
                "names may be treated as files and must not resolve to other names; this one would resolve to " +
                quoted(normal));
  if (const size_t length = characters(key); length > kMaxKey)
    throw_usage(where + "it has " + std::to_string(length) + " characters, at most " + std::to_string(kMaxKey) +
                " are allowed");
}

void check_artifact_path(std::string_view path) {
  const std::string normal = normal_path(path);
  if (normal != path || normal == "." || normal.starts_with("..") || normal.starts_with('/') ||
      clean_utf8(path) != path)
    throw_usage("mlflow: invalid artifact path " + quoted(path) +
                ": expected a relative path with '/' between names and without '..', such as 'plots/loss.svg'");
}

std::string clean_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  const auto ascii = static_cast<size_t>(
      std::find_if(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; }) - text.begin());
  result.append(text.substr(0, ascii));
  for (size_t i = ascii; i < text.size();) {
    const size_t length = sequence_at(text, i);
    if (length) result.append(text.substr(i, length));
    else result.append("\xEF\xBF\xBD");
    i += length ? length : 1;
  }
  return result;
}

std::string cut(std::string text, size_t most, bool& was_cut) {
  was_cut = false;
  if (text.size() <= most) return text;
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (count++ == most) {
      was_cut = true;
      text.resize(i);
      break;
    }
  }
  return text;
}

std::string python_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto scientific = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(scientific.ptr - buffer));
  const size_t e = text.find('e');
  int exponent = 0;
  const size_t digits_at = e + 1 + (text[e + 1] == '+');
  std::from_chars(text.data() + digits_at, text.data() + text.size(), exponent);
  // Python writes an exponent from 1e16 on and below 1e-4.
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string result(buffer, fixed.ptr);
  if (result.find('.') == std::string::npos) result += ".0";
  return result;
}

std::string without_credentials(const std::string& url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const size_t host = scheme + 3;
  const size_t at = url.substr(0, url.find('/', host)).rfind('@');
  return at == std::string::npos || at < host ? url : url.substr(0, host) + url.substr(at + 1);
}

}  // namespace trainhost::track
