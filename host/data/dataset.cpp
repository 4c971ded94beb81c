// Dataset's default collation, Subset and ConcatDataset.
#include "host/data/dataset.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <string>
#include <utility>

#include "host/base/error.h"

namespace trainhost::data {

Dataset::~Dataset() = default;

void Dataset::check_index(int64_t index) const {
  if (index < 0 || index >= size())
    throw_usage("sample index " + std::to_string(index) + " is out of range, expected 0 to " +
                std::to_string(size() - 1));
}

Batch Dataset::gather(std::span<const int64_t> indices) const {
  std::vector<std::vector<at::Tensor>> fields;
  for (size_t row = 0; row < indices.size(); ++row) {
    const std::string where = "sample " + std::to_string(indices[row]) + ": ";
    try {
      Sample sample = get(indices[row]);
      if (row == 0) fields.resize(sample.size());
      if (sample.size() != fields.size())
        throw_usage("expected " + std::to_string(fields.size()) + " fields as in the samples before, got " +
                    std::to_string(sample.size()));
      for (size_t f = 0; f < fields.size(); ++f) fields[f].push_back(std::move(sample[f]));
    } catch (const Error& e) {
      throw Error(e.kind(), where + e.message(), e.hint(), e.type());
    } catch (const c10::Error& e) {
      throw Error(ErrorKind::internal, where + e.what_without_backtrace());
    } catch (const std::exception& e) {
      throw Error(ErrorKind::internal, where + e.what());
    }
  }
  Batch batch;
  for (const auto& field : fields) batch.push_back(at::stack(field));
  return batch;
}

Subset::Subset(std::shared_ptr<const Dataset> dataset, std::vector<int64_t> indices)
    : dataset_(std::move(dataset)), indices_(std::move(indices)) {
  const int64_t count = dataset_->size();
  for (const int64_t index : indices_)
    if (index < 0 || index >= count)
      throw_usage("Subset: index " + std::to_string(index) + " is out of range, expected 0 to " +
                  std::to_string(count - 1));
}

Sample Subset::get(int64_t index) const {
  check_index(index);
  return dataset_->get(indices_[static_cast<size_t>(index)]);
}

Batch Subset::gather(std::span<const int64_t> indices) const {
  std::vector<int64_t> mapped(indices.size());
  for (size_t i = 0; i < indices.size(); ++i) {
    check_index(indices[i]);
    mapped[i] = indices_[static_cast<size_t>(indices[i])];
  }
  return dataset_->gather(mapped);
}

ConcatDataset::ConcatDataset(std::vector<std::shared_ptr<const Dataset>> datasets) : datasets_(std::move(datasets)) {
  if (datasets_.empty()) throw_usage("ConcatDataset: expected at least one dataset, got none");
  int64_t end = 0;
  for (const auto& dataset : datasets_) ends_.push_back(end += dataset->size());
}

Sample ConcatDataset::get(int64_t index) const {
  check_index(index);
  const auto d = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin());
  return datasets_[d]->get(index - (d == 0 ? 0 : ends_[d - 1]));
}

// Each dataset gathers its own share in one call; the shares are then put back into the order asked for.
Batch ConcatDataset::gather(std::span<const int64_t> indices) const {
  std::vector<std::vector<int64_t>> shares(datasets_.size()), rows(datasets_.size());
  for (size_t row = 0; row < indices.size(); ++row) {
    check_index(indices[row]);
    const auto d = static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), indices[row]) - ends_.begin());
    shares[d].push_back(indices[row] - (d == 0 ? 0 : ends_[d - 1]));
    rows[d].push_back(static_cast<int64_t>(row));
  }
  std::vector<Batch> parts;
  std::vector<int64_t> place(indices.size());
  int64_t next = 0;
  for (size_t d = 0; d < datasets_.size(); ++d) {
    if (shares[d].empty()) continue;
    parts.push_back(datasets_[d]->gather(shares[d]));
    for (const int64_t row : rows[d]) place[static_cast<size_t>(row)] = next++;
  }
  if (parts.size() == 1) return std::move(parts.front());
  Batch batch;
  for (size_t f = 0; f < parts.front().size(); ++f) {
    std::vector<at::Tensor> field;
    for (const Batch& part : parts) {
      if (part.size() != parts.front().size())
        throw_usage("ConcatDataset: expected " + std::to_string(parts.front().size()) +
                    " fields in every dataset, got " + std::to_string(part.size()));
      field.push_back(part[f]);
    }
    const at::Tensor all = at::cat(field);
    batch.push_back(all.index_select(0, at::tensor(place, at::kLong).to(all.device())));
  }
  return batch;
}

}  // namespace trainhost::data
