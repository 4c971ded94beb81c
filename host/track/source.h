// Where a run comes from: the user, the script, the git repository; and a name for a run that has none.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trainhost::track {

using Tags = std::vector<std::pair<std::string, std::string>>;

// The name of the user, as Python's getpass.getuser().
std::string user_name();
// mlflow.user, mlflow.source.name, mlflow.source.type and, if the script (or the working folder, if it is empty) lies
// in a git repository with a commit, mlflow.source.git.{commit, branch, repoURL}. Reads files only, runs no git.
Tags source_tags(const std::string& script);
// "nimble-otter-482": an adjective, an animal, a number, 20 characters at most.
std::string random_run_name();

}  // namespace trainhost::track
