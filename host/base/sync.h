// Files that survive a power cut.
#pragma once

#include <string>
#include <vector>

namespace trainhost::file {

// What is in these files now, and their names with all folders above them, is on the disk when it returns: many at once
// cost little more than one. One that is not there is passed over. Error{io}. Takes as long as the disk takes.
void sync(const std::vector<std::string>& paths);

}  // namespace trainhost::file
