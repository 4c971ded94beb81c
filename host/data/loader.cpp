// Loader and its iterators: the epoch's plan, and the ring of batches that the workers fill in order.
#include "host/data/loader.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "host/base/error.h"
#include "host/data/worker.h"
#include "host/tensor/cuda.h"

namespace trainhost::data {

struct Loader::Plan {
  std::shared_ptr<const Dataset> dataset;
  std::shared_ptr<const Sampler> sampler;
  std::vector<int64_t> ends;  // where each batch ends in the epoch's order; none: batches of one size
  int64_t used = 0;           // of the epoch's samples, in batches of one size
  LoaderOptions options;

  int64_t batches() const noexcept {
    return ends.empty() ? used / options.batch_size + (used % options.batch_size != 0)
                        : static_cast<int64_t>(ends.size());
  }
  int64_t begin_of(int64_t batch) const noexcept {
    if (ends.empty()) return batch >= batches() ? used : batch * options.batch_size;
    return batch == 0 ? 0 : ends[static_cast<size_t>(batch) - 1];
  }
  std::span<const int64_t> indices(const std::vector<int64_t>& order, int64_t batch) const {
    const int64_t begin = begin_of(batch);
    return std::span(order).subspan(static_cast<size_t>(begin), static_cast<size_t>(begin_of(batch + 1) - begin));
  }
  Batch make(const std::vector<int64_t>& order, int64_t batch) const {
    Batch made = dataset->gather(indices(order, batch));
    if (options.pin_memory && tensor::cuda_is_available())
      for (at::Tensor& field : made)
        if (field.is_cpu()) field = field.pin_memory();
    return made;
  }
};

namespace {

int64_t used_samples(int64_t samples, const LoaderOptions& options) {
  if (options.batch_size < 1)
    throw_usage("DataLoader: 'batch_size' must be at least 1, got " + std::to_string(options.batch_size));
  return options.drop_last ? samples - samples % options.batch_size : samples;
}

std::vector<int64_t> given_ends(const std::vector<int64_t>& sizes, int64_t samples) {
  std::vector<int64_t> ends;
  int64_t end = 0;
  for (const int64_t size : sizes) {
    if (size < 1) throw_usage("DataLoader: a batch of 'batch_sampler' is empty");
    ends.push_back(end += size);
  }
  if (end != samples)
    throw_usage("DataLoader: the batches hold " + std::to_string(end) + " samples, the sampler gives " +
                std::to_string(samples));
  return ends;
}

}  // namespace

Loader::Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Sampler> sampler, LoaderOptions options)
    : options_(options) {
  if (options.workers < 0)
    throw_usage("DataLoader: 'workers' must be at least 0, got " + std::to_string(options.workers));
  if (options.prefetch < 1)
    throw_usage("DataLoader: 'prefetch' must be at least 1, got " + std::to_string(options.prefetch));
  const int64_t used = used_samples(sampler->size(), options);
  plan_ = std::make_shared<const Plan>(Plan{std::move(dataset), std::move(sampler), {}, used, options});
}

Loader::Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Sampler> sampler,
               std::vector<int64_t> batch_sizes, LoaderOptions options)
    : Loader(dataset, sampler, options) {
  auto ends = given_ends(batch_sizes, sampler->size());
  plan_ = std::make_shared<const Plan>(Plan{std::move(dataset), std::move(sampler), std::move(ends), 0, options});
}

int64_t Loader::batches() const noexcept { return plan_->batches(); }

std::shared_ptr<LoaderIterator> Loader::start() {
  const Position from = next_;
  auto iterator = std::make_shared<LoaderIterator>(plan_, from);
  next_ = {from.epoch + 1, 0};
  current_ = iterator->progress_;
  return iterator;
}

Position Loader::position() const { return current_ && current_->counts ? current_->position : next_; }

void Loader::seek(Position position) {
  if (position.batch < 0 || position.batch > batches())
    throw_usage("DataLoader: an epoch has " + std::to_string(batches()) + " batches, cannot go on after batch " +
                std::to_string(position.batch));
  next_ = position;
  current_.reset();
}

// Batches are taken in turn by whichever worker is free and put into a ring by number, so the consumer sees them in
// order whatever the number of workers. The ring bounds how far the workers run ahead.
struct LoaderIterator::Workers {
  struct Slot {
    bool ready = false;
    Batch batch;
    std::exception_ptr error;
  };

  Workers(const Loader::Plan& plan, const std::vector<int64_t>& order, int64_t first)
      : plan(plan),
        order(order),
        slots(static_cast<size_t>(
            std::min(plan.batches() - first, int64_t{plan.options.workers} * plan.options.prefetch))) {
    taken = handed = first;
    const auto useful = std::min<int64_t>(plan.options.workers, plan.batches() - first);
    try {
      for (int64_t i = 0; i < useful; ++i) threads.push_back(start_worker([this] { work(); }));
    } catch (...) {  // a thread could not be started: join those that were
      stop();
      throw;
    }
  }
  ~Workers() { stop(); }

  Slot& slot(int64_t batch) { return slots[static_cast<size_t>(batch) % slots.size()]; }

  void work() noexcept {
    std::unique_lock lock(mutex);
    for (;;) {
      space.wait(lock, [&] {
        return stopped || taken >= plan.batches() || taken < handed + static_cast<int64_t>(slots.size());
      });
      if (stopped || taken >= plan.batches()) return;
      const int64_t batch = taken++;
      lock.unlock();
      Slot made{true, {}, {}};
      try {
        made.batch = plan.make(order, batch);
      } catch (...) {  // carried to the consumer's thread; no Lua runs here
        made.error = std::current_exception();
      }
      lock.lock();
      slot(batch) = std::move(made);
      if (batch == handed) ready.notify_one();
    }
  }

  Batch next() {
    std::unique_lock lock(mutex);
    Slot& due = slot(handed);
    ready.wait(lock, [&] { return due.ready; });
    Slot got = std::exchange(due, Slot{});
    ++handed;
    lock.unlock();
    space.notify_one();
    if (got.error) std::rethrow_exception(got.error);
    return std::move(got.batch);
  }

  void stop() noexcept {
    {
      std::lock_guard lock(mutex);
      stopped = true;
    }
    space.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }

  const Loader::Plan& plan;
  const std::vector<int64_t>& order;
  std::mutex mutex;
  std::condition_variable space, ready;
  std::vector<Slot> slots;
  int64_t taken = 0, handed = 0;
  bool stopped = false;
  std::vector<std::thread> threads;
};

LoaderIterator::LoaderIterator(std::shared_ptr<const Loader::Plan> plan, Position from)
    : plan_(std::move(plan)),
      order_(plan_->sampler->order(from.epoch)),
      progress_(std::make_shared<Progress>(Progress{from})) {
  if (plan_->dataset && plan_->options.workers > 0 && from.batch < plan_->batches())
    workers_ = std::make_unique<Workers>(*plan_, order_, from.batch);
}

LoaderIterator::~LoaderIterator() { close(); }

std::optional<Batch> LoaderIterator::next() {
  if (!open_ || progress_->position.batch >= plan_->batches()) {
    close();
    return std::nullopt;
  }
  try {
    Batch batch = workers_ ? workers_->next() : plan_->make(order_, progress_->position.batch);
    ++progress_->position.batch;
    return batch;
  } catch (...) {
    close(true);
    throw;
  }
}

std::optional<std::vector<int64_t>> LoaderIterator::next_indices() {
  if (!open_ || progress_->position.batch >= plan_->batches()) {
    close();
    return std::nullopt;
  }
  const auto indices = plan_->indices(order_, progress_->position.batch);
  return std::vector<int64_t>(indices.begin(), indices.end());
}

void LoaderIterator::close(bool failed) noexcept {
  if (!open_) return;
  open_ = false;
  progress_->counts = failed;
  workers_.reset();
}

namespace {

std::optional<at::Generator> given(const at::Generator* generator) {
  return generator ? std::optional<at::Generator>(*generator) : std::nullopt;
}

}  // namespace

int64_t draw_seed(const at::Generator* generator) {
  return at::empty({}, at::kLong).random_(given(generator)).item<int64_t>();
}

std::vector<int64_t> permutation(int64_t size, const at::Generator* generator) {
  const at::Tensor order = at::randperm(size, given(generator), at::kLong, std::nullopt, std::nullopt, std::nullopt);
  const auto* first = order.const_data_ptr<int64_t>();
  return {first, first + size};
}

std::vector<int64_t> permutation(int64_t size, uint64_t seed) {
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return permutation(size, &generator);
}

}  // namespace trainhost::data
