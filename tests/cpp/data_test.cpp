// IDX files, datasets, samplers and the loader with its worker threads.
#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <dirent.h>
#include <signal.h>
#include <zlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <thread>

#include "host/base/error.h"
#include "host/data/dataset.h"
#include "host/data/idx.h"
#include "host/data/loader.h"
#include "host/data/sampler.h"
#include "tests/cpp/catch.h"

namespace {

using namespace trainhost;
using namespace trainhost::data;
namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("trainhost-data-" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string put(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return (path / name).string();
  }
};

std::string idx(unsigned char type, const std::vector<uint32_t>& shape, const std::string& data) {
  std::string bytes{'\0', '\0', static_cast<char>(type), static_cast<char>(shape.size())};
  for (const uint32_t size : shape)
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(size >> shift));
  return bytes + data;
}

std::string gzip(const std::string& bytes) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, bytes.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string message_of(const std::function<void()>& f, ErrorKind kind) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(name_of(e.kind()) == name_of(kind));
    return e.message();
  }
  FAIL("expected an Error");
  return {};
}

std::string read_error(const std::string& path) {
  return message_of([&] { read_idx(path); }, ErrorKind::io);
}

bool has(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

std::vector<int64_t> values(const at::Tensor& t) {
  const auto flat = t.to(at::kLong).contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

std::vector<int64_t> run(Loader& loader) {
  std::vector<int64_t> seen;
  const auto pass = loader.start();
  while (auto batch = pass->next())
    for (const int64_t v : values((*batch)[0])) seen.push_back(v);
  return seen;
}

std::shared_ptr<Dataset> numbers(int64_t count) {
  return std::make_shared<TensorDataset>(std::vector<Column>{{at::arange(count, at::kLong)}});
}

int threads_of_this_process() {
  int count = 0;
  DIR* dir = opendir("/proc/self/task");
  while (const dirent* entry = readdir(dir)) count += entry->d_name[0] != '.';
  closedir(dir);
  return count;
}

// Samples made by a function, as an embedding program would add its own.
struct Made final : Dataset {
  std::function<at::Tensor(int64_t)> make;
  int64_t count;
  Made(int64_t count, std::function<at::Tensor(int64_t)> make) : make(std::move(make)), count(count) {}
  int64_t size() const noexcept override { return count; }
  Sample get(int64_t index) const override { return {make(index)}; }
};

TEST_CASE("a loader of batches of one size keeps no list of them") {
  LoaderOptions options;
  options.batch_size = 7;
  Loader loader(nullptr, sequential_sampler(int64_t{1} << 40), options);
  CHECK(loader.batches() == (int64_t{1} << 40) / 7 + 1);
  options.drop_last = true;
  CHECK(Loader(nullptr, sequential_sampler(int64_t{1} << 40), options).batches() == (int64_t{1} << 40) / 7);
}

}  // namespace

TEST_CASE("idx: every element type is read in native order", "[data]") {
  Folder folder;
  CHECK(values(read_idx(folder.put("u8", idx(0x08, {2, 2}, std::string("\x01\x02\xff\x00", 4))))) ==
        std::vector<int64_t>{1, 2, 255, 0});
  CHECK(values(read_idx(folder.put("i8", idx(0x09, {2}, "\xff\x05")))) == std::vector<int64_t>{-1, 5});
  CHECK(values(read_idx(folder.put("i16", idx(0x0B, {2}, std::string("\x01\x02\xff\xfe", 4))))) ==
        std::vector<int64_t>{258, -2});
  CHECK(values(read_idx(folder.put("i32", idx(0x0C, {1}, std::string("\x00\x01\x00\x02", 4))))) ==
        std::vector<int64_t>{65538});
  const auto f32 = read_idx(folder.put("f32", idx(0x0D, {1}, std::string("\x3f\xc0\x00\x00", 4))));
  CHECK(f32.item<float>() == 1.5f);
  const auto f64 = read_idx(folder.put("f64", idx(0x0E, {}, std::string("\xc0\x04\x00\x00\x00\x00\x00\x00", 8))));
  CHECK(f64.dim() == 0);
  CHECK(f64.item<double>() == -2.5);
  CHECK(read_idx(folder.put("none", idx(0x08, {0, 28, 28}, ""))).sizes() == at::IntArrayRef({0, 28, 28}));
  const auto packed = read_idx(folder.put("gz", gzip(idx(0x08, {3}, "abc"))));
  CHECK(values(packed) == std::vector<int64_t>{'a', 'b', 'c'});
}

TEST_CASE("idx: a damaged file is an io error that names file and expectation", "[data]") {
  Folder folder;
  const std::string good = idx(0x08, {2, 3}, "abcdef");
  has(read_error((folder.path / "absent").string()), "cannot be opened: No such file");
  has(read_error(folder.path.string()), "is not a regular file");
  has(read_error(folder.put("empty", "")), "4 bytes");
  has(read_error(folder.put("magic",
                            "PK\x08\x01"
                            "bcdefgh")),
      "magic");
  has(read_error(folder.put("type", idx(0x0A, {1}, "a"))), "element type 10");
  has(read_error(folder.put("dims", idx(0x08, std::vector<uint32_t>(17, 1), "a"))), "17 dimensions");
  has(read_error(folder.put("header", good.substr(0, 9))), "cut short in its sizes");
  has(read_error(folder.put("short", good.substr(0, good.size() - 1))), "promises 6 bytes");
  has(read_error(folder.put("long", good + "x")), "the file holds 7");
  has(read_error(folder.put("huge", idx(0x0E, {0xffffffff, 0xffffffff, 0xffffffff}, ""))), "too large");
  const std::string packed = gzip(good);
  has(read_error(folder.put("cut.gz", packed.substr(0, packed.size() - 5))), "gzip");
  has(read_error(folder.put("long.gz", gzip(good + "x"))), "holds more");
  has(read_error(folder.put("short.gz", gzip(good.substr(0, 14)))), "holds 2");
  std::string flipped = packed;
  flipped[flipped.size() - 6] ^= 1;  // the CRC
  has(read_error(folder.put("crc.gz", flipped)), "damaged");
  has(read_error(folder.put("bomb.gz", gzip(idx(0x08, {1u << 30}, "")))), "100 times");
}

TEST_CASE("idx: a flipped bit or a cut in a gzip file gives an error or the same data", "[data]") {
  Folder folder;
  std::string data(3000, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>((i * i) >> 3);
  const std::string packed = gzip(idx(0x08, {30, 100}, data));
  const auto good = read_idx(folder.put("good", packed));
  int errors = 0, equal = 0;
  const auto attempt = [&](const std::string& bytes) {
    try {
      const auto got = read_idx(folder.put("bad", bytes));
      REQUIRE(at::equal(got, good));
      ++equal;
    } catch (const Error& e) {
      REQUIRE(e.kind() == ErrorKind::io);
      ++errors;
    }
  };
  for (size_t k = 0; k < 400; ++k) {
    std::string bytes = packed;
    const size_t bit = k * 2654435761u % (bytes.size() * 8);
    bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    attempt(bytes);
  }
  for (size_t k = 0; k < 100; ++k) attempt(packed.substr(0, packed.size() * k / 100));
  CHECK(errors > 450);
  CHECK(errors + equal == 500);
}

TEST_CASE("tensor dataset: gathers rows, shares memory and checks its tensors", "[data]") {
  const auto x = at::arange(12, at::kFloat).view({4, 3});
  const auto y = at::tensor({5, 6, 7, 8});
  const TensorDataset set({{x}, {y}});
  CHECK(set.size() == 4);
  CHECK(set.columns()[0].tensor.data_ptr() == x.data_ptr());
  const auto batch = set.gather(std::vector<int64_t>{2, 0, 2});
  CHECK(values(batch[0]) == std::vector<int64_t>{6, 7, 8, 0, 1, 2, 6, 7, 8});
  CHECK(values(batch[1]) == std::vector<int64_t>{7, 5, 7});
  const auto sample = set.get(3);
  CHECK(sample[0].sizes() == at::IntArrayRef({3}));
  CHECK(sample[1].dim() == 0);
  const TensorDataset turned({{x.t()}});
  CHECK(values(turned.get(1)[0]) == std::vector<int64_t>{1, 4, 7, 10});
  has(message_of([&] { set.get(4); }, ErrorKind::usage), "sample index 4 is out of range, expected 0 to 3");
  has(message_of([&] { TensorDataset({{x}, {at::arange(3)}}); }, ErrorKind::shape), "expected 4 samples");
  has(message_of([] { TensorDataset({{at::scalar_tensor(1)}}); }, ErrorKind::shape), "0-dimensional");
  has(message_of([] { TensorDataset(std::vector<Column>{}); }, ErrorKind::usage), "at least one tensor");
}

TEST_CASE("tensor dataset: the transform equals the tensor arithmetic bit for bit", "[data]") {
  const auto bytes = at::arange(2 * 3 * 5, at::kInt).mul(7).to(at::kByte).view({2, 3, 5});
  const std::vector<double> mean{0.485, 0.456, 0.406}, std{0.229, 0.224, 0.225};
  const auto along = [](const std::vector<double>& v) { return at::tensor(v, at::kFloat).view({1, 3, 1}); };
  const TensorDataset scaled({{bytes, Transform{255, {}, {}}}});
  const TensorDataset normal({{bytes, Transform{255, mean, std}}});
  const TensorDataset single({{bytes, Transform{1, {0.5}, {0.25}}}});
  const std::vector<int64_t> both{0, 1};
  const auto unit = bytes.to(at::kFloat).div(255);
  CHECK(at::equal(scaled.gather(both)[0], unit));
  CHECK(at::equal(normal.gather(both)[0], unit.sub(along(mean)).div(along(std))));
  CHECK(at::equal(single.gather(both)[0], bytes.to(at::kFloat).sub(0.5).div(0.25)));
  for (const auto type : {at::kChar, at::kShort, at::kInt, at::kLong, at::kFloat, at::kDouble, at::kHalf}) {
    const auto same = bytes.clamp_max(100).to(type);
    const TensorDataset set({{same, Transform{255, mean, std}}});
    CHECK(at::equal(set.gather(both)[0], same.to(at::kFloat).div(255).sub(along(mean)).div(along(std))));
  }
  const auto make = [&](Transform t) { TensorDataset({{bytes, t}}); };
  has(message_of([&] { make({255, {1, 2}, {}}); }, ErrorKind::usage), "one for each of the 3 channels, got 2");
  has(message_of([&] { make({0, {}, {}}); }, ErrorKind::usage), "'divisor' must not be 0");
  has(message_of([&] { make({1, {}, {0}}); }, ErrorKind::usage), "'std' must not be 0");
}

TEST_CASE("subset and concat: indices go to the right dataset in the right order", "[data]") {
  const auto ten = numbers(10);
  const auto odd = std::make_shared<Subset>(ten, std::vector<int64_t>{1, 3, 5});
  CHECK(values(odd->gather(std::vector<int64_t>{2, 0})[0]) == std::vector<int64_t>{5, 1});
  has(message_of([&] { Subset(ten, {10}); }, ErrorKind::usage), "index 10 is out of range");
  const ConcatDataset all({odd, numbers(0), ten});
  CHECK(all.size() == 13);
  CHECK(values(all.gather(std::vector<int64_t>{12, 0, 3, 2, 1, 4})[0]) == std::vector<int64_t>{9, 1, 0, 5, 3, 1});
  CHECK(all.get(3)[0].item<int64_t>() == 0);
  CHECK(all.get(2)[0].item<int64_t>() == 5);
}

TEST_CASE("sampler: a permutation of its own for every seed and epoch, always the same", "[data]") {
  const auto order = [](uint64_t seed, uint64_t epoch) { return random_sampler(1000, seed)->order(epoch); };
  auto sorted = order(1, 0);
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == sequential_sampler(1000)->order(0));
  CHECK(order(1, 0) == order(1, 0));
  std::set<std::vector<int64_t>> distinct;
  for (uint64_t seed = 0; seed < 10; ++seed)
    for (uint64_t epoch = 0; epoch < 10; ++epoch) distinct.insert(order(seed, epoch));
  CHECK(distinct.size() == 100);
  // Golden: stored checkpoints of earlier versions rely on this very order.
  CHECK(random_sampler(8, 1)->order(0) == std::vector<int64_t>{2, 3, 1, 0, 7, 5, 6, 4});
  // Every position takes every value about equally often: 2,000 shuffles of 5, expected 400 each.
  std::vector<int> count(25);
  for (uint64_t epoch = 0; epoch < 2000; ++epoch) {
    const auto five = random_sampler(5, 7)->order(epoch);
    for (size_t i = 0; i < 5; ++i) ++count[i * 5 + static_cast<size_t>(five[i])];
  }
  for (const int c : count) CHECK(std::abs(c - 400) < 100);
}

TEST_CASE("loader: the order depends on seed and epoch, not on the number of workers", "[data]") {
  const auto set = numbers(103);
  std::vector<std::vector<int64_t>> epochs;
  for (const int workers : {0, 1, 2, 5}) {
    Loader loader(set, random_sampler(103, 9), {10, false, workers, 2, false});
    CHECK(loader.batches() == 11);
    const auto first = run(loader), second = run(loader);
    CHECK(first.size() == 103);
    CHECK(first != second);
    epochs.push_back(first);
    epochs.push_back(second);
  }
  for (size_t i = 2; i < epochs.size(); ++i) CHECK(epochs[i] == epochs[i % 2]);
  Loader dropped(set, sequential_sampler(103), {10, true, 0, 2, false});
  CHECK(dropped.batches() == 10);
  CHECK(run(dropped).size() == 100);
  Loader shares(set, index_sampler({5, 4, 3, 2}), {3, 1}, {1, false, 2, 2, false});
  const auto pass = shares.start();
  CHECK(values((*pass->next())[0]) == std::vector<int64_t>{5, 4, 3});
  CHECK(values((*pass->next())[0]) == std::vector<int64_t>{2});
  CHECK(!pass->next());
  CHECK(!pass->next());
}

TEST_CASE("loader: goes on at any batch as if it had not stopped", "[data]") {
  const auto set = numbers(50);
  for (const int workers : {0, 2}) {
    const LoaderOptions options{4, false, workers, 2, false};
    Loader whole(set, random_sampler(50, 3), options);
    run(whole);
    CHECK(whole.position() == Position{1, 0});
    const auto second = run(whole), third = run(whole);
    for (int64_t stop = 0; stop <= 13; ++stop) {
      Loader first(set, random_sampler(50, 3), options);
      run(first);
      const auto pass = first.start();
      std::vector<int64_t> seen;
      for (int64_t b = 0; b < stop; ++b)
        for (const int64_t v : values((*pass->next())[0])) seen.push_back(v);
      const Position at = first.position();
      CHECK(at == Position{1, stop});
      Loader resumed(set, random_sampler(50, 3), options);
      resumed.seek(at);
      CHECK(resumed.position() == at);
      for (const int64_t v : run(resumed)) seen.push_back(v);
      CHECK(seen == second);
      CHECK(run(resumed) == third);
    }
  }
  Loader loader(set, sequential_sampler(50), {4, false, 0, 2, false});
  has(message_of([&] { loader.seek({0, 14}); }, ErrorKind::usage), "an epoch has 13 batches");
  auto pass = loader.start();
  pass->next();
  pass->close();
  CHECK(loader.position() == Position{1, 0});  // a break: the next loop begins the next epoch
  pass = loader.start();
  pass->next();
  pass->close(true);
  pass.reset();
  CHECK(loader.position() == Position{1, 1});  // an error in the loop: a checkpoint still knows where it was
}

TEST_CASE("loader: stops at any time, joins its threads and runs no further ahead than allowed", "[data]") {
  const int before = threads_of_this_process();
  std::atomic<int> made{0};
  const auto slow = std::make_shared<Made>(1000, [&](int64_t i) {
    ++made;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    return at::full({2}, i, at::kLong);
  });
  for (int stop = 0; stop < 12; ++stop) {
    Loader loader(slow, sequential_sampler(1000), {1, false, 3, 2, false});
    const auto pass = loader.start();
    CHECK(threads_of_this_process() == before + 3);
    for (int b = 0; b < stop; ++b) CHECK((*pass->next())[0][0][0].item<int64_t>() == b);
    if (stop % 2) pass->close();
  }
  CHECK(threads_of_this_process() == before);
  made = 0;
  Loader loader(slow, sequential_sampler(1000), {1, false, 3, 2, false});
  const auto pass = loader.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK(made == 6);
}

TEST_CASE("loader: a worker's error comes when its batch is due and names the sample", "[data]") {
  for (const int workers : {0, 2}) {
    const auto bad = std::make_shared<Made>(100, [](int64_t i) {
      if (i == 37) throw std::runtime_error("no such image");
      return at::full({1}, i, at::kLong);
    });
    Loader loader(bad, sequential_sampler(100), {10, false, workers, 4, false});
    const auto pass = loader.start();
    for (int b = 0; b < 3; ++b) REQUIRE(pass->next());
    CHECK(message_of([&] { pass->next(); }, ErrorKind::internal) == "sample 37: no such image");
    CHECK(!pass->next());
  }
}

TEST_CASE("loader: workers compute with one thread, block signals and leave the others alone", "[data]") {
  at::set_num_threads(2);
  std::atomic<int> inside{0}, unblocked{0};
  const auto probe = std::make_shared<Made>(20, [&](int64_t) {
    inside = std::max(inside.load(), at::get_num_threads());
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM}) unblocked += !sigismember(&mask, s);
    return at::rand({1});
  });
  Loader loader(probe, sequential_sampler(20), {5, false, 2, 2, false});
  const auto pass = loader.start();
  while (pass->next()) {
  }
  CHECK(inside == 1);
  CHECK(unblocked == 0);
  CHECK(at::get_num_threads() == 2);
  int elsewhere = 0;
  std::thread([&] { elsewhere = at::get_num_threads(); }).join();
  CHECK(elsewhere == 2);
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  CHECK(!sigismember(&mask, SIGINT));
}
