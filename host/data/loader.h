// The loader: batches of a dataset in a reproducible order, put together ahead of time by threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "host/data/dataset.h"
#include "host/data/sampler.h"

namespace trainhost::data {

struct LoaderOptions {
  int64_t batch_size = 1;
  bool drop_last = false;
  int workers = 0;          // threads; 0: batches are made by the thread that asks for them
  int prefetch = 2;         // batches each worker may be ahead
  bool pin_memory = false;  // no effect where there is no CUDA device
};

// Where a loader stands: `batch` batches of epoch `epoch` have been handed out. Both count from 0.
struct Position {
  uint64_t epoch = 0;
  int64_t batch = 0;
  bool operator==(const Position&) const = default;
};

// How far one pass has come. `counts`: this is where its loader stands.
struct Progress {
  Position position;
  bool counts = true;
};

class LoaderIterator;

// Belongs to one thread, as its iterators do; only the workers inside run elsewhere.
class Loader {
 public:
  // `dataset` may be null for samples that the host cannot read: the iterators then give indices alone.
  Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Sampler> sampler, LoaderOptions options);
  // Batches of given sizes: consecutive shares of the sampler's order. `options.batch_size` is not used.
  Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Sampler> sampler,
         std::vector<int64_t> batch_sizes, LoaderOptions options);

  int64_t batches() const noexcept;
  const LoaderOptions& options() const noexcept { return options_; }

  // Begins the next epoch (the first is 0), or goes on at the position given to `seek`.
  std::shared_ptr<LoaderIterator> start();
  // What a checkpoint stores. While an iterator is open: its epoch and how many batches it has handed out.
  // After its end or a break: the next epoch. After an error in the loop: as if it were still open.
  Position position() const;
  // Error{usage} for a batch that an epoch does not have.
  void seek(Position position);

 private:
  friend class LoaderIterator;
  struct Plan;  // what iterators share: dataset, order, batch ends, options
  std::shared_ptr<const Plan> plan_;
  LoaderOptions options_;
  Position next_;
  std::shared_ptr<const Progress> current_;
};

// One pass over one epoch. `close` (also by the destructor) stops and joins the workers at any time.
class LoaderIterator {
 public:
  LoaderIterator(std::shared_ptr<const Loader::Plan> plan, Position from);
  ~LoaderIterator();
  LoaderIterator(const LoaderIterator&) = delete;
  LoaderIterator& operator=(const LoaderIterator&) = delete;

  // The next batch, nullopt at the end of the epoch. An error of a worker is thrown here, when its batch is due.
  std::optional<Batch> next();
  // The next batch's sample indices, for a loader without dataset. The batch counts as handed out with `advance`.
  std::optional<std::vector<int64_t>> next_indices();
  void advance() noexcept { ++progress_->position.batch; }
  // `failed`: the loop ends with an error, so that the loader's position stays.
  void close(bool failed = false) noexcept;

  Position position() const noexcept { return progress_->position; }

 private:
  friend class Loader;
  struct Workers;
  std::shared_ptr<const Loader::Plan> plan_;
  std::vector<int64_t> order_;
  std::shared_ptr<Progress> progress_;
  bool open_ = true;
  std::unique_ptr<Workers> workers_;
};

// One number from a generator (null: LibTorch's default one), in [0, 2^63).
int64_t draw_seed(const at::Generator* generator = nullptr);
// torch.randperm(size), from a generator (null: the default one).
std::vector<int64_t> permutation(int64_t size, const at::Generator* generator = nullptr);
// The same from a new generator with that seed.
std::vector<int64_t> permutation(int64_t size, uint64_t seed);

}  // namespace trainhost::data
