// Tags that MLflow sets by itself, and random names.
#include "host/track/source.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <string_view>

#include "host/track/record.h"
#include "host/track/text.h"

namespace trainhost::track {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string first_line(std::string text) {
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  return text;
}

// The folder of the repository's data: .git, or what a .git file (a worktree, a submodule) points at.
std::optional<fs::path> git_folder(fs::path at) {
  std::error_code error;
  for (;; at = at.parent_path()) {
    const fs::path git = at / ".git";
    if (fs::is_directory(git, error)) return git;
    if (const auto text = read(git); text && text->starts_with("gitdir: "))
      return (at / first_line(text->substr(8))).lexically_normal();
    if (!at.has_relative_path()) return std::nullopt;
  }
}

std::optional<std::string> commit_of(const fs::path& git, const fs::path& shared, const std::string& ref) {
  for (const fs::path& folder : {git, shared})
    if (const auto text = read(folder / ref)) return first_line(*text);
  const auto packed = read(shared / "packed-refs");
  if (!packed) return std::nullopt;
  std::istringstream lines(*packed);
  for (std::string line; std::getline(lines, line);)
    if (line.size() > 41 && line[40] == ' ' && line.substr(41) == ref) return line.substr(0, 40);
  return std::nullopt;
}

// The url of the first remote in a git config.
std::optional<std::string> remote_of(const fs::path& shared) {
  const auto config = read(shared / "config");
  if (!config) return std::nullopt;
  std::istringstream lines(*config);
  bool remote = false;
  for (std::string line; std::getline(lines, line);) {
    const size_t start = line.find_first_not_of(" \t");
    if (start == std::string::npos) continue;
    if (line[start] == '[') {
      remote = line.compare(start, 8, "[remote ") == 0;
    } else if (remote && line.compare(start, 3, "url") == 0) {
      const size_t equals = line.find('=', start);
      if (equals == std::string::npos) continue;
      const size_t value = line.find_first_not_of(" \t", equals + 1);
      if (value != std::string::npos) return without_credentials(first_line(line.substr(value)));
    }
  }
  return std::nullopt;
}

void add_git(Tags& tags, const fs::path& folder) {
  const auto git = git_folder(folder);
  if (!git) return;
  fs::path shared = *git;
  if (const auto common = read(*git / "commondir")) shared = (*git / first_line(*common)).lexically_normal();
  const auto head = read(*git / "HEAD");
  if (!head) return;
  std::string ref = first_line(*head), branch;
  std::optional<std::string> commit = ref;
  if (ref.starts_with("ref: ")) {
    ref = ref.substr(5);
    commit = commit_of(*git, shared, ref);
    if (ref.starts_with("refs/heads/")) branch = ref.substr(11);
  }
  if (!commit || commit->size() < 40) return;
  tags.emplace_back("mlflow.source.git.commit", *commit);
  if (!branch.empty()) tags.emplace_back("mlflow.source.git.branch", branch);
  if (const auto url = remote_of(shared)) tags.emplace_back("mlflow.source.git.repoURL", *url);
}

std::mt19937_64& generator() {
  thread_local std::mt19937_64 engine = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return engine;
}

constexpr auto kAdjectives = std::to_array<std::string_view>(
    {"able",    "amber",   "ample",  "apt",    "avid",    "bold",   "brave",  "bright", "brisk",   "calm",   "candid",
     "careful", "cheery",  "clever", "crisp",  "curious", "daring", "deft",   "eager",  "earnest", "even",   "fair",
     "fine",    "fleet",   "fluent", "fond",   "frank",   "gentle", "glad",   "golden", "grand",   "handy",  "happy",
     "hardy",   "honest",  "humble", "jolly",  "keen",    "kind",   "level",  "light",  "likely",  "lively", "lucid",
     "lucky",   "mellow",  "merry",  "mild",   "modest",  "neat",   "nimble", "noble",  "patient", "placid", "plucky",
     "polite",  "prompt",  "proud",  "quick",  "quiet",   "rapid",  "ready",  "robust", "rosy",    "serene", "sharp",
     "silent",  "sincere", "sleek",  "smart",  "smooth",  "snug",   "solid",  "spry",   "steady",  "stout",  "subtle",
     "sunny",   "sure",    "swift",  "tender", "tidy",    "trim",   "trusty", "upbeat", "valiant", "vivid",  "warm",
     "wise",    "witty",   "zesty"});
constexpr auto kAnimals = std::to_array<std::string_view>(
    {"ant",     "auk",    "badger", "bat",    "bear",   "beaver", "bee",   "bison", "boar",  "carp",   "cat",
     "colt",    "crab",   "crane",  "crow",   "deer",   "dingo",  "dog",   "dove",  "duck",  "eagle",  "eel",
     "egret",   "elk",    "falcon", "ferret", "finch",  "fox",    "frog",  "gecko", "goat",  "goose",  "gull",
     "hare",    "hawk",   "heron",  "horse",  "hound",  "ibex",   "ibis",  "jay",   "kite",  "koala",  "lark",
     "lemur",   "lion",   "llama",  "loon",   "lynx",   "marten", "mink",  "mole",  "moose", "moth",   "mouse",
     "newt",    "ocelot", "orca",   "otter",  "owl",    "panda",  "perch", "pika",  "pony",  "puffin", "puma",
     "quail",   "rabbit", "raven",  "robin",  "rook",   "salmon", "seal",  "shrew", "skate", "snail",  "snipe",
     "sparrow", "squid",  "stag",   "stork",  "swan",   "swift",  "tapir", "teal",  "tern",  "tiger",  "toad",
     "trout",   "turtle", "viper",  "vole",   "walrus", "whale",  "wolf",  "wren",  "yak",   "zebra"});

}  // namespace

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string new_id() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id(32, '0');
  for (size_t i = 0; i < id.size(); i += 16) {
    uint64_t bits = generator()();
    for (size_t j = 0; j < 16; ++j, bits >>= 4) id[i + j] = kHex[bits & 15];
  }
  return id;
}

std::string user_name() {
  for (const char* variable : {"LOGNAME", "USER", "LNAME", "USERNAME"})
    if (const char* value = std::getenv(variable); value && *value) return value;
  passwd entry, *found = nullptr;
  std::array<char, 4096> buffer;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found) return found->pw_name;
  return "unknown";
}

Tags source_tags(const std::string& script) {
  Tags tags = {{"mlflow.user", user_name()},
               {"mlflow.source.name", script.empty() ? "<console>" : script},
               {"mlflow.source.type", "LOCAL"}};
  std::error_code error;
  const fs::path here = fs::current_path(error);
  add_git(tags, script.empty() ? here : (here / script).lexically_normal().parent_path());
  return tags;
}

std::string random_run_name() {
  auto& engine = generator();
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(engine); };
  std::string name(kAdjectives[below(kAdjectives.size())]);
  name.append("-").append(kAnimals[below(kAnimals.size())]).append("-").append(std::to_string(below(1001)));
  return name;
}

}  // namespace trainhost::track
