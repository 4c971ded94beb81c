// The samplers. The permutation's generator is our own, so that no library's update changes an old run's order.
#include "host/data/sampler.h"

#include <numeric>
#include <utility>

namespace trainhost::data {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): every 64-bit start gives a full-period sequence.
class SplitMix {
 public:
  explicit SplitMix(uint64_t state) : state_(state) {}
  uint64_t next() noexcept {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound), without bias (Lemire 2019).
  uint64_t below(uint64_t bound) noexcept {
    auto product = static_cast<unsigned __int128>(next()) * bound;
    if (static_cast<uint64_t>(product) < bound) {
      const uint64_t least = -bound % bound;
      while (static_cast<uint64_t>(product) < least) product = static_cast<unsigned __int128>(next()) * bound;
    }
    return static_cast<uint64_t>(product >> 64);
  }

 private:
  uint64_t state_;
};

class Sequential final : public Sampler {
 public:
  explicit Sequential(int64_t size) : size_(size) {}
  int64_t size() const noexcept override { return size_; }
  std::vector<int64_t> order(uint64_t) const override {
    std::vector<int64_t> indices(static_cast<size_t>(size_));
    std::iota(indices.begin(), indices.end(), 0);
    return indices;
  }

 private:
  int64_t size_;
};

class Random final : public Sampler {
 public:
  Random(int64_t size, uint64_t seed) : size_(size), seed_(seed) {}
  int64_t size() const noexcept override { return size_; }
  std::vector<int64_t> order(uint64_t epoch) const override {
    // Seed and epoch are each mixed before they meet: seed 1 at epoch 1 is not seed 2 at epoch 0.
    SplitMix random(SplitMix(seed_).next() ^ SplitMix(~epoch).next());
    std::vector<int64_t> indices(static_cast<size_t>(size_));
    std::iota(indices.begin(), indices.end(), 0);
    for (size_t left = indices.size(); left > 1; --left) std::swap(indices[left - 1], indices[random.below(left)]);
    return indices;
  }

 private:
  int64_t size_;
  uint64_t seed_;
};

class Indices final : public Sampler {
 public:
  explicit Indices(std::vector<int64_t> indices) : indices_(std::move(indices)) {}
  int64_t size() const noexcept override { return static_cast<int64_t>(indices_.size()); }
  std::vector<int64_t> order(uint64_t) const override { return indices_; }

 private:
  std::vector<int64_t> indices_;
};

}  // namespace

Sampler::~Sampler() = default;

std::shared_ptr<const Sampler> sequential_sampler(int64_t size) { return std::make_shared<Sequential>(size); }
std::shared_ptr<const Sampler> random_sampler(int64_t size, uint64_t seed) {
  return std::make_shared<Random>(size, seed);
}
std::shared_ptr<const Sampler> index_sampler(std::vector<int64_t> indices) {
  return std::make_shared<Indices>(std::move(indices));
}

}  // namespace trainhost::data
