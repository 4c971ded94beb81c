// A disk that is full is waited for, a folder that is gone is not.
#include "host/track/file_sink.h"

#include "host/base/file.h"

namespace trainhost::track {

size_t FileSink::write(std::span<const Record> records, const Report& report) {
  for (size_t done = 0; done < records.size(); ++done) {
    const Record& record = records[done];
    try {
      file::write_atomic(record.key, record.value);
      failing_ = false;
    } catch (const Error& e) {
      if (file::is_folder(file::folder_of(record.key)) && !file::is_folder(record.key)) {
        failing_ = true;
        if (done > 0) return done;
        throw_io("tensorboard: " + e.message());
      }
      report({ErrorKind::io, "", "tensorboard: " + e.message(), "the file is set aside"});
    }
  }
  return records.size();
}

}  // namespace trainhost::track
