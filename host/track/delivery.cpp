// Two small files, and the files that wait to be sent.
#include "host/track/delivery.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/base/error.h"
#include "host/base/file.h"

namespace trainhost::track {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr char kRemote[] = "/remote", kRun[] = "/remote/run.json", kPosition[] = "/remote/position";
constexpr size_t kDigits = 16;

std::string read_if_there(const std::string& path) {
  try {
    return file::exists(path) ? file::read(path) : "";
  } catch (const Error&) {
    return "";
  }
}

// One length for all positions: written over the last one with one call.
std::string text_of(const std::string& spool, uint64_t position) {
  std::string digits(kDigits, '0');
  for (size_t i = kDigits; position > 0; position >>= 4) digits[--i] = "0123456789abcdef"[position & 15];
  return spool + " " + digits + "\n";
}

}  // namespace

Delivery read_delivery(const std::string& folder, const std::string& spool) {
  Delivery found;
  const Json run = Json::parse(read_if_there(folder + kRun), nullptr, false);
  if (run.is_object() && run.value("run_id", Json()).is_string() &&
      run.value("experiment_id", Json()).is_number_integer())
    found.run = RemoteRun{run["run_id"].get<std::string>(), "", run["experiment_id"].get<int64_t>()};
  const std::string noted = read_if_there(folder + kPosition);
  if (noted.starts_with(spool + " ") && noted.size() == spool.size() + kDigits + 2) {
    const char* digits = noted.data() + spool.size() + 1;
    uint64_t position = 0;
    if (std::from_chars(digits, digits + kDigits, position, 16).ptr == digits + kDigits) found.position = position;
  }
  return found;
}

bool note_server_run(const std::string& folder, const RemoteRun& run) noexcept {
  try {
    file::mkdir(folder + kRemote);
    file::write_atomic(folder + kRun, Json{{"run_id", run.id}, {"experiment_id", run.experiment_id}}.dump() + "\n");
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void note_position(const std::string& folder, const std::string& spool, uint64_t position) noexcept {
  const int fd = ::open((folder + kPosition).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return;
  const std::string text = text_of(spool, position);
  [[maybe_unused]] const ssize_t written = ::pwrite(fd, text.data(), text.size(), 0);
  ::close(fd);
}

void remove_delivery(const std::string& folder) noexcept {
  std::error_code none;
  fs::remove_all(folder + kRemote, none);
}

std::string staging_place(const std::string& folder) { return folder + kRemote + "/artifacts"; }

std::string staged_path(const std::string& folder, const std::string& path) {
  if (file::exists(path)) return path;
  return folder + kRemote + "/.incoming/" + fs::path(path).filename().string();
}

}  // namespace trainhost::track
