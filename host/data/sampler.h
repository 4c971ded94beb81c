// The order in which samples are read: a function of (seed, epoch) alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace trainhost::data {

// The sample indices of one epoch. Immutable, callable from any thread.
class Sampler {
 public:
  virtual ~Sampler();
  virtual int64_t size() const noexcept = 0;
  virtual std::vector<int64_t> order(uint64_t epoch) const = 0;
};

// 0, 1, ... size - 1, in every epoch.
std::shared_ptr<const Sampler> sequential_sampler(int64_t size);
// A permutation of 0 ... size - 1 that depends on (size, seed, epoch) and on nothing else: the same on every machine,
// with every LibTorch, for every number of workers.
std::shared_ptr<const Sampler> random_sampler(int64_t size, uint64_t seed);
// The given indices, in every epoch.
std::shared_ptr<const Sampler> index_sampler(std::vector<int64_t> indices);

}  // namespace trainhost::data
