// The artifacts of a store that keeps them in folders here.
#include <algorithm>
#include <filesystem>

#include "host/base/http.h"
#include "host/track/artifact.h"
#include "host/track/store.h"

namespace trainhost::track {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const std::string& uri) {
  const auto folder = uri.empty() ? std::nullopt : local_folder(uri);
  if (!folder)
    throw Error(ErrorKind::io, "mlflow: the artifacts in '" + http::shown_url(uri) + "' cannot be reached from here",
                "a folder, or those that a tracking server keeps, can");
  return *folder;
}

}  // namespace

std::vector<StoredArtifact> Store::list_artifacts(const std::string& uri, const std::string& path) {
  const fs::path root = folder_of(uri), folder = root / path;
  std::vector<StoredArtifact> found;
  std::error_code error;
  if (!fs::is_directory(folder, error)) return found;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const bool is_folder = entry.is_directory(error);
    const std::string name = entry.path().filename().string();
    found.push_back({path.empty() ? name : path + "/" + name, is_folder,
                     is_folder ? 0 : static_cast<int64_t>(entry.file_size(error))});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return found;
}

void Store::get_artifact(const std::string& uri, const std::string& path, const std::string& target) {
  const fs::path source = folder_of(uri) / path;
  std::error_code error;
  if (!fs::is_regular_file(source, error)) throw NotFound("mlflow: No such artifact: '" + path + "'");
  fs::copy_file(source, target, fs::copy_options::overwrite_existing, error);
  if (error) throw Error(ErrorKind::io, "mlflow: cannot write '" + target + "': " + error.message());
}

void Store::put_artifact(const std::string& uri, const std::string& path, const std::string& source,
                         const std::string& content) {
  const std::string folder = folder_of(uri).string();
  if (source.empty()) publish_text(content, folder, path);
  else publish_file(stage_file(source, folder), folder, path);
  remove_staging(folder);
}

}  // namespace trainhost::track
