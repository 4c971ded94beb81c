// Files that survive a power cut.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace trainhost::file {

// What is in these files now, and their names with the folders above them, is on the disk when it returns: many at once
// cost little more than one. One that is not there is passed over. Error{io}. Takes as long as the disk takes.
// `named`: paths whose names are on the disk already, so that no folder above them is asked again; what is synced is
// added to it.
void sync(const std::vector<std::string>& paths, std::set<std::string>& named);

}  // namespace trainhost::file
