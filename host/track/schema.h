// The database's tables: made when absent, checked when there.
#pragma once

#include <string>

#include "host/track/database.h"

namespace trainhost::track {

inline constexpr const char* kSchemaRevision = "6953534de441";  // MLflow 3.0
extern const char* const kSchemaSql;

// Brings a connection to an MLflow database of any revision that we can write to: chooses the journal, creates the
// tables and the Default experiment (artifacts in `artifact_root`/0) in an empty file. Safe when many processes do it
// at once. Throws Error(tracking) that says what is missing in a file it cannot use.
void prepare_database(Database& database, const std::string& artifact_root);
// The journal of this connection: WAL, or the rollback journal on network file systems.
void set_journal(Database& database);

}  // namespace trainhost::track
