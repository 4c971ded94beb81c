// Map-style datasets: samples by index, batches by a list of indices.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace trainhost::data {

// One tensor a field: {image, label}.
using Sample = std::vector<at::Tensor>;
// The same fields with a first dimension more, the samples of the batch.
using Batch = std::vector<at::Tensor>;

// Samples 0 ... size() - 1. Immutable while a loader reads it: `get` and `gather` are called from several threads.
class Dataset {
 public:
  virtual ~Dataset();
  virtual int64_t size() const noexcept = 0;
  // Throws Error{usage} for an index out of range.
  virtual Sample get(int64_t index) const = 0;
  // The samples at `indices`, in that order. This one stacks what `get` returns; an error of `get` gets the
  // sample's index in front of its message.
  virtual Batch gather(std::span<const int64_t> indices) const;

 protected:
  void check_index(int64_t index) const;
};

// Turns stored numbers into what a model wants while a batch is put together, so that 60,000 images stay bytes in
// memory: float32 (x / divisor - mean[c]) / std[c], bit-equal to torchvision's ToTensor and Normalize for
// divisor 255. `mean` and `std` are empty, or hold one number or one for each entry of the sample's first dimension.
struct Transform {
  double divisor = 1.0;
  std::vector<double> mean, std;
};

// A tensor whose first dimension counts samples. Without `transform` the dtype stays as it is.
struct Column {
  at::Tensor tensor;
  std::optional<Transform> transform = std::nullopt;
};

// The i-th rows of several tensors. Shares the memory of contiguous tensors; copies others once.
// Tensors on a device give batches on that device. Error{usage} unless all first dimensions are equal.
class TensorDataset final : public Dataset {
 public:
  explicit TensorDataset(std::vector<Column> columns);
  int64_t size() const noexcept override { return size_; }
  Sample get(int64_t index) const override;
  Batch gather(std::span<const int64_t> indices) const override;
  const std::vector<Column>& columns() const noexcept { return columns_; }

 private:
  std::vector<Column> columns_;
  int64_t size_ = 0;
};

// The samples of `dataset` at `indices`; an index out of range is found here.
class Subset final : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> dataset, std::vector<int64_t> indices);
  int64_t size() const noexcept override { return static_cast<int64_t>(indices_.size()); }
  Sample get(int64_t index) const override;
  Batch gather(std::span<const int64_t> indices) const override;
  const std::vector<int64_t>& indices() const noexcept { return indices_; }

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::vector<int64_t> indices_;
};

// Several datasets with the same fields, one after the other.
class ConcatDataset final : public Dataset {
 public:
  explicit ConcatDataset(std::vector<std::shared_ptr<const Dataset>> datasets);
  int64_t size() const noexcept override { return ends_.back(); }
  Sample get(int64_t index) const override;
  Batch gather(std::span<const int64_t> indices) const override;

 private:
  std::vector<std::shared_ptr<const Dataset>> datasets_;
  std::vector<int64_t> ends_;
};

}  // namespace trainhost::data
