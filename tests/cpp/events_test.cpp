// host/track: CRC-32C, records, messages, histograms and the event files of TensorBoard.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include "host/base/log.h"
#include "host/track/crc32c.h"
#include "host/track/event.h"
#include "host/track/event_file.h"
#include "host/track/protobuf.h"
#include "host/track/sender.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"

using namespace trainhost;
using namespace trainhost::track;
using namespace std::chrono_literals;

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The records of a file, as a reader that checks every checksum finds them.
std::vector<std::string> records(const std::string& bytes) {
  std::vector<std::string> found;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t size;
    uint32_t size_crc, crc;
    REQUIRE(bytes.size() - at >= 16);
    std::memcpy(&size, &bytes[at], 8);
    std::memcpy(&size_crc, &bytes[at + 8], 4);
    REQUIRE(size_crc == mask_crc(crc32c_by_table(&bytes[at], 8)));
    REQUIRE(bytes.size() - at >= 16 + size);
    std::memcpy(&crc, &bytes[at + 12 + size], 4);
    REQUIRE(crc == mask_crc(crc32c_by_table(&bytes[at + 12], size)));
    found.push_back(bytes.substr(at + 12, size));
    at += 16 + size;
  }
  return found;
}

Record event(std::string bytes) {
  Record record;
  record.kind = RecordKind::event;
  record.value = std::move(bytes);
  return record;
}

Histogram count(const std::vector<double>& values, const std::vector<double>& edges, size_t most = 0) {
  const auto found = count_between(std::span<const double>(values), std::span<const double>(edges), most);
  REQUIRE(found);
  return *found;
}

// While it lives no file of this process grows beyond so many bytes.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FileLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  sighandler_t handler_;
};

}  // namespace

TEST_CASE("CRC-32C has the values of RFC 3720, by instruction and by table") {
  std::array<unsigned char, 32> zeros{}, ones, up, down;
  ones.fill(0xff);
  for (unsigned char i = 0; i < 32; ++i) up[i] = i, down[i] = static_cast<unsigned char>(31 - i);
  const std::pair<std::string, uint32_t> vectors[] = {{std::string(zeros.begin(), zeros.end()), 0x8a9136aa},
                                                      {std::string(ones.begin(), ones.end()), 0x62a8ab43},
                                                      {std::string(up.begin(), up.end()), 0x46dd794e},
                                                      {std::string(down.begin(), down.end()), 0x113fdb5c},
                                                      {"123456789", 0xe3069283},
                                                      {"a", 0xc1d04330},
                                                      {"", 0}};
  for (const auto& [text, expected] : vectors) {
    CHECK(crc32c(text.data(), text.size()) == expected);
    CHECK(crc32c_by_table(text.data(), text.size()) == expected);
  }
  CHECK(mask_crc(0) == 0xa282ead8);
}

TEST_CASE("both ways of CRC-32C agree at every length and alignment") {
  std::string bytes(300, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (size_t from = 0; from < 9; ++from)
    for (size_t size = 0; from + size <= bytes.size(); size += 7)
      CHECK(crc32c(&bytes[from], size) == crc32c_by_table(&bytes[from], size));
}

TEST_CASE("messages are encoded as Protocol Buffers are") {
  Message inner, message;
  inner.integer(1, 150);
  CHECK(inner.text() == std::string("\x08\x96\x01", 3));
  message.message(3, inner).bytes(2, "testing").integer(1, -1).integer(5, 0);
  CHECK(message.text() == std::string("\x1a\x03\x08\x96\x01\x12\x07testing\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                      "\x28\x00",
                                      27));
  Message packed;
  const std::array<int64_t, 3> numbers{3, 270, 86942};
  packed.integers(4, numbers).single(1, 1.0f).real(2, 1.0);
  CHECK(packed.text() == std::string("\x22\x06\x03\x8e\x02\x9e\xa7\x05\x0d\x00\x00\x80\x3f\x11\x00\x00\x00\x00\x00\x00"
                                     "\xf0\x3f",
                                     22));
}

TEST_CASE("a histogram begins with an empty bucket and ends with the last that holds something") {
  const Histogram h = count({0.5, 1.5, 1.5, 3.0}, {0, 1, 2, 3, 4, 5});
  CHECK(h.limits == std::vector<double>{0, 1, 2, 3, 4});
  CHECK(h.counts == std::vector<double>{0, 1, 2, 0, 1});
  CHECK(h.min == 0.5);
  CHECK(h.max == 3.0);
  CHECK(h.num == 4);
  CHECK(h.sum == 6.5);
  CHECK(h.sum_squares == 13.75);
}

TEST_CASE("the last bucket has its upper edge, others do not; what lies outside is not counted") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const Histogram h = count({1, 2, 3, 3, -1, 4, nan, infinity, -infinity}, {1, 2, 3});
  CHECK(h.limits == std::vector<double>{1, 2, 3});
  CHECK(h.counts == std::vector<double>{0, 1, 3});
  CHECK(h.num == 9);
  CHECK(std::isnan(h.min));
  const std::vector<double> none{nan, 9}, edges{1, 2};
  CHECK(!count_between(std::span<const double>(none), std::span<const double>(edges), 0));
}

TEST_CASE("the quick way to the default buckets is the slow one, at their edges too") {
  const auto& edges = default_edges();
  std::vector<double> values{0.0, -0.0, 1e-300, -1e-300, 1e30, -1e30, 5e-324, 0.1, -0.1};
  for (const double edge : edges)
    for (const double value : {edge, std::nextafter(edge, 1e300), std::nextafter(edge, -1e300)})
      values.push_back(value);
  const auto quick = count_by_default(std::span<const double>(values), 0);
  const Histogram slow = count(values, edges);
  REQUIRE(quick);
  CHECK(quick->counts == slow.counts);
  CHECK(quick->limits == slow.limits);
}

TEST_CASE("an event file has a first event, whole records, and what came before each flush") {
  const test::Folder folder;
  const auto files = std::make_shared<EventFiles>();
  EventFile file(files, folder / "a/b", ".end");
  CHECK(file.path().starts_with(folder / "a/b/events.out.tfevents."));
  CHECK(file.path().ends_with(".end"));
  REQUIRE(records(read(file.path())).size() == 1);
  CHECK(records(read(file.path()))[0].find("brain.Event:2") != std::string::npos);
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < 700; ++k) file.add(scalar_event("loss", 0.5f, {k, 1.0}));
    REQUIRE(file.flush(10s) == EventFile::Flushed::yes);
    CHECK(records(read(file.path())).size() == static_cast<size_t>(1 + 700 * (i + 1)));
  }
}

TEST_CASE("settle waits for what was added to all files of the process") {
  const test::Folder folder;
  EventFiles::settle();
  const auto files = EventFiles::shared();
  EventFile a(files, folder / "a", ""), b(files, folder / "b", "");
  for (int k = 0; k < 700; ++k) {
    a.add(scalar_event("loss", 0.5f, {k, 1.0}));
    b.add(scalar_event("loss", 0.5f, {k, 1.0}));
  }
  EventFiles::settle();
  CHECK(records(read(a.path())).size() == 701);
  CHECK(records(read(b.path())).size() == 701);
}

TEST_CASE("what was added to a file that is let go is written, and its place is taken again") {
  const test::Folder folder;
  const auto files = std::make_shared<EventFiles>();
  std::vector<std::string> paths;
  for (int i = 0; i < 200; ++i) {
    EventFile file(files, folder / "x", "");
    file.add(scalar_event("loss", 1, {i, 1.0}));
    paths.push_back(file.path());
  }
  EventFile last(files, folder / "x", "");
  last.add("end");
  REQUIRE(last.flush(10s) == EventFile::Flushed::yes);
  size_t whole = 0;
  for (int tries = 0; tries < 500 && whole < paths.size(); ++tries, std::this_thread::sleep_for(10ms)) {
    whole = 0;
    for (const auto& path : paths) whole += records(read(path)).size() == 2;
  }
  CHECK(whole == paths.size());
  size_t open = 0;
  for (int tries = 0; tries < 500; ++tries, std::this_thread::sleep_for(10ms)) {
    open = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      open += std::filesystem::read_symlink(entry.path(), gone).string().starts_with(folder / "x/");
    }
    if (open == 1) break;
  }
  CHECK(open == 1);
}

TEST_CASE("a disk that refuses leaves whole records, and the rest follows when it does not") {
  const test::Folder folder;
  EventSink sink(folder / "events");
  std::vector<Record> batch;
  for (int i = 0; i < 10; ++i) batch.push_back(event(std::string(84, static_cast<char>('a' + i))));  // 100 bytes each
  const auto report = [](const Event&) {};
  {
    const FileLimit limit(350);
    CHECK(sink.write(batch, report) == 3);
    CHECK(sink.is_failing());
    CHECK_THROWS_WITH(sink.write(std::span(batch).subspan(3), report),
                      Holds("tensorboard: cannot write '" + (folder / "events") + "'"));
    CHECK(records(read(folder / "events")).size() == 3);
  }
  CHECK(sink.write(std::span(batch).subspan(3), report) == 7);
  CHECK(!sink.is_failing());
  const auto found = records(read(folder / "events"));
  REQUIRE(found.size() == 10);
  for (int i = 0; i < 10; ++i) CHECK(found[static_cast<size_t>(i)][0] == 'a' + i);
}

TEST_CASE("a flush does not wait for a disk that refuses, and adding goes on") {
  const test::Folder folder;
  QueueOptions options;
  options.first_pause = 1s;
  const auto files = std::make_shared<EventFiles>(options);
  EventFile file(files, folder / "x", "");
  {
    const FileLimit limit(100);
    file.add(std::string(200, 'x'));
    EventFile::Flushed done = EventFile::Flushed::not_yet;
    for (int tries = 0; tries < 1000 && done == EventFile::Flushed::not_yet; ++tries) done = file.flush(20ms);
    CHECK(done == EventFile::Flushed::failing);
    file.add("more");
  }
  EventFile::Flushed done = EventFile::Flushed::failing;
  for (int tries = 0; tries < 1000 && done != EventFile::Flushed::yes; ++tries) done = file.flush(20ms);
  CHECK(done == EventFile::Flushed::yes);
  CHECK(records(read(file.path())).size() == 3);
}

TEST_CASE("a folder that cannot be is an io error with its name") {
  const test::Folder folder;
  folder.put("file", "x");
  const auto files = std::make_shared<EventFiles>();
  try {
    EventFile file(files, folder / "file/below", "");
    FAIL("made a folder below a file");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::io);
    CHECK(e.message().find(folder / "file") != std::string::npos);
  }
}

TEST_CASE("whole files are written by the thread; one whose folder is gone is set aside, a full disk is waited for") {
  const test::Folder folder;
  QueueOptions options;
  options.first_pause = 10ms;
  const auto files = std::make_shared<EventFiles>(options);
  CHECK(files->flush_files(1ms) == EventFiles::Flushed::yes);
  files->write_file(folder / "gone/a.tsv", "lost");
  files->write_file(folder / "b.tsv", "kept");
  REQUIRE(files->flush_files(10s) == EventFiles::Flushed::yes);
  CHECK(read(folder / "b.tsv") == "kept");
  {
    const FileLimit limit(100);
    files->write_file(folder / "b.tsv", std::string(200, 'x'));
    EventFiles::Flushed done = EventFiles::Flushed::not_yet;
    for (int tries = 0; tries < 1000 && done == EventFiles::Flushed::not_yet; ++tries) done = files->flush_files(20ms);
    CHECK(done == EventFiles::Flushed::failing);
    CHECK(read(folder / "b.tsv") == "kept");
  }
  EventFiles::Flushed done = EventFiles::Flushed::failing;
  for (int tries = 0; tries < 1000 && done != EventFiles::Flushed::yes; ++tries) done = files->flush_files(20ms);
  CHECK(done == EventFiles::Flushed::yes);
  CHECK(read(folder / "b.tsv").size() == 200);
}

TEST_CASE("who waits for room for a file holds up nobody else") {
  // Holds the thread of all files up, as a disk does.
  class Disk : public Sink {
   public:
    size_t write(std::span<const Record> records, const Report&) override {
      busy = true;
      while (busy) std::this_thread::sleep_for(1ms);
      return records.size();
    }
    void flush() override {}
    std::atomic<bool> busy{false};
  };
  const test::Folder folder;
  const auto sender = std::make_shared<Sender>(0ms);
  const auto disk = std::make_shared<Disk>();
  Queue other(
      {}, [](const Event&) {}, sender);
  other.push(other.add(disk), event("x"));
  while (!disk->busy) std::this_thread::sleep_for(1ms);
  QueueOptions options;
  options.capacity = 1000;
  options.patience = 5s;
  const auto files = std::make_shared<EventFiles>(options, sender);
  files->write_file(folder / "a", std::string(900, 'a'));
  std::atomic<bool> written{false};
  std::thread writer([&] {
    files->write_file(folder / "b", std::string(900, 'b'));
    written = true;
  });
  std::this_thread::sleep_for(20ms);
  CHECK(files->flush_files(0ms) == EventFiles::Flushed::not_yet);
  CHECK_FALSE(written);
  disk->busy = false;
  writer.join();
  CHECK(files->flush_files(10s) == EventFiles::Flushed::yes);
  CHECK(read(folder / "b").size() == 900);
}
