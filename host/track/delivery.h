// What a tracking server has of a run's spool: noted beside the spool, for a server cannot keep it with the records.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "host/track/remote_runs.h"

namespace trainhost::track {

struct Delivery {
  uint64_t position = 0;         // up to here the server has answered
  std::optional<RemoteRun> run;  // once it has answered runs/create; without artifact_uri
};

// `folder`: of the run; what is here lies in its folder `remote`.

// Of the spool of that id; what is damaged or of another spool is not there.
Delivery read_delivery(const std::string& folder, const std::string& spool);
// Survives a power cut: a second creation would be a second run. False: the disk does not take it.
bool note_server_run(const std::string& folder, const RemoteRun& run) noexcept;
// May be lost: a server stores once what comes again.
void note_position(const std::string& folder, const std::string& spool, uint64_t position) noexcept;
// The notes, and what was staged of artifacts.
void remove_delivery(const std::string& folder) noexcept;

// Beside this path files of the run are staged: see stage_file.
std::string staging_place(const std::string& folder);
// A staged file where it is now: the folder may have been moved since.
std::string staged_path(const std::string& folder, const std::string& path);

}  // namespace trainhost::track
