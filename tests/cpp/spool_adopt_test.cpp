// What is found of a spool after a kill, a power cut, a flipped bit.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "host/base/file.h"
#include "host/track/frame.h"
#include "host/track/run_folder.h"
#include "host/track/spool.h"
#include "tests/cpp/catch.h"
#include "tests/cpp/folder.h"
#include "tests/cpp/spool_run.h"

using namespace trainhost;
using namespace trainhost::track;
using namespace trainhost::test;
namespace fs = std::filesystem;

TEST_CASE("spool: what a killed process has left is taken over, but for half a record; one that lives keeps its own") {
  const test::Folder folder;
  const std::string runs = folder / "runs";
  leave(runs, 5);
  {
    std::ofstream torn(runs + "/" + kRun + "/spool/0000000000000000.log", std::ios::app | std::ios::binary);
    std::string frame;
    append_frame(frame, metric(5));
    torn << frame.substr(0, frame.size() - 3);
  }
  CHECK(RunFolder(runs, kRun).is_left());
  CHECK_FALSE(RunFolder(runs, "none").is_left());
  const auto spool = Spool::adopt(runs, kRun);
  REQUIRE(spool);
  CHECK_FALSE(RunFolder(runs, kRun).is_left());
  CHECK(spool->store() == "sqlite:////x.db");
  CHECK(spool->waiting() == 5);
  CHECK_FALSE(spool->ended());
  CHECK_FALSE(Spool::adopt(runs, kRun));  // it is this process's own now
  killed([&] {
    if (Spool::adopt(runs, kRun)) ::_exit(1);  // and of no other
  });
  spool->put(end_run());
  CHECK(drain(*spool).size() == 6);
  CHECK(spool->remove());
  CHECK_FALSE(fs::exists(runs));
}

TEST_CASE("spool: a store that has some of it is not given that again") {
  const test::Folder folder;
  leave(folder / "runs", 10, true);
  const auto spool = Spool::adopt(folder / "runs", kRun);
  REQUIRE(spool);
  CHECK(spool->ended());
  const auto records = spool->next(5);  // the segment's first frame is no record
  REQUIRE(records.size() == 4);
  CHECK(spool->skip(records.back().position) == 4);
  CHECK(spool->waiting() == 7);
  CHECK(drain(*spool) == std::vector<int64_t>{4, 5, 6, 7, 8, 9, 0});
}

TEST_CASE("spool: a store that has more than the file, whose end a power cut has taken, is given none of it again") {
  const test::Folder folder;
  const std::string runs = folder / "runs", first = runs + "/" + kRun + "/spool/0000000000000000.log";
  const bool ended = GENERATE(false, true);
  leave(runs, 10, ended);
  const std::string whole = file::read(first);
  const size_t header = read_frame(whole)->second, each = read_frame(std::string_view(whole).substr(header))->second;
  fs::resize_file(first, header + 4 * each + 3);
  std::string id;
  {
    const auto spool = Spool::adopt(runs, kRun);
    REQUIRE(spool);
    id = spool->id();
    CHECK(spool->skip(whole.size()) == 4);
    CHECK(spool->waiting() == 0);
    CHECK(drain(*spool).empty());
    CHECK_FALSE(spool->ended());
    CHECK(spool->put(metric(77)) == Spool::Put::kept);
  }
  // What is logged from then on is new to the store, also if the process is killed before it has stored it.
  killed([&] {
    const auto spool = Spool::adopt(runs, kRun);
    if (!spool || spool->id() != id || spool->skip(whole.size()) != 0 || spool->waiting() != 1) ::_exit(1);
  });
  const auto spool = Spool::adopt(runs, kRun);
  REQUIRE(spool);
  CHECK(spool->id() == id);
  CHECK(spool->store() == "sqlite:////x.db");
  CHECK(spool->skip(whole.size()) == 0);
  spool->put(end_run());
  CHECK(drain(*spool) == std::vector<int64_t>{77, 0});
  CHECK(spool->remove());
  CHECK_FALSE(fs::exists(runs));
}

TEST_CASE("spool: a flipped bit loses its record alone, wherever it is, and a copy of the segment stays") {
  const bool segmented = GENERATE(false, true);
  const test::Folder folder;
  const std::string runs = folder / "runs", first = runs + "/" + kRun + "/spool/0000000000000000.log";
  killed([&] {
    SpoolOptions options;
    if (segmented) options.segment = 1000;
    Spool spool(runs, kRun, "sqlite:////x.db", options);
    for (int i = 0; i < 30; ++i) spool.put(metric(i));
  });
  const std::string whole = file::read(first);
  const size_t header = read_frame(whole)->second, each = read_frame(std::string_view(whole).substr(header))->second;
  for (size_t byte = 0; byte < each; ++byte) {
    const test::Folder copy;
    const std::string there = copy / "runs", segment = there + "/" + kRun + "/spool/0000000000000000.log";
    fs::create_directories(there);
    fs::copy(runs, there, fs::copy_options::recursive);
    std::string bad = whole;
    bad[header + 3 * each + byte] = static_cast<char>(bad[header + 3 * each + byte] ^ 0x40);
    file::write_atomic(segment, bad);
    const auto spool = Spool::adopt(there, kRun);
    REQUIRE(spool);
    CHECK(spool->waiting() == 29);
    CHECK(file::read(segment + ".damaged") == bad);
    spool->put(end_run());
    const auto steps = drain(*spool);
    REQUIRE(steps.size() == 30);
    CHECK(steps[2] == 2);
    CHECK(steps[3] == 4);
    CHECK(steps[28] == 29);
    CHECK(spool->remove());
    CHECK(fs::exists(segment + ".damaged"));
    CHECK_FALSE(fs::exists(segment));
    CHECK_FALSE(Spool::adopt(there, kRun));
  }
}

TEST_CASE("spool: the last record damaged but whole is no torn one") {
  const test::Folder folder;
  const std::string runs = folder / "runs", first = runs + "/" + kRun + "/spool/0000000000000000.log";
  leave(runs, 5);
  std::string bytes = file::read(first);
  bytes.back() ^= 1;
  file::write_atomic(first, bytes);
  const auto spool = Spool::adopt(runs, kRun);
  REQUIRE(spool);
  CHECK(spool->waiting() == 4);
  CHECK(file::read(first + ".damaged") == bytes);
  spool->put(end_run());
  CHECK(drain(*spool) == std::vector<int64_t>{0, 1, 2, 3, 0});
  CHECK(spool->remove());
}

TEST_CASE("spool: what is damaged or cut off while it is read is passed over once") {
  const test::Folder folder;
  const std::string runs = folder / "runs", first = runs + "/" + kRun + "/spool/0000000000000000.log";
  SpoolOptions options;
  options.segment = 1000;
  Spool spool(runs, kRun, "sqlite:////x.db", options);
  for (int i = 0; i < 30; ++i) spool.put(metric(i));
  const std::string whole = file::read(first);
  std::string bad = whole.substr(0, whole.size() - 10);  // the last record of the segment
  bad[read_frame(whole)->second + 4] ^= 1;               // the length of the first one
  file::write_atomic(first, bad);
  const auto steps = drain(spool);
  CHECK(steps.size() == 28);
  CHECK(steps.front() == 1);
  CHECK(steps.back() == 29);
  spool.put(end_run());
  CHECK(drain(spool).size() == 1);
  CHECK(spool.remove());
}

TEST_CASE("spool: one that does not say any more where it belongs stays") {
  const test::Folder folder;
  const std::string runs = folder / "runs", first = runs + "/" + kRun + "/spool/0000000000000000.log";
  leave(runs, 5);
  std::string bytes = file::read(first);
  bytes[20] ^= 1;
  file::write_atomic(first, bytes);
  CHECK_THROWS_WITH(Spool::adopt(runs, kRun), Holds("does not say which store"));
  CHECK(file::read(first) == bytes);
}
