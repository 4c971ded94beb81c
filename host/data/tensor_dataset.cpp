// TensorDataset: rows copied, or turned into float32 on the way, straight into the batch.
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <cstring>
#include <string>
#include <utility>

#include "host/base/error.h"
#include "host/data/dataset.h"

namespace trainhost::data {
namespace {

std::string name_of_column(size_t column) { return "TensorDataset: tensor " + std::to_string(column + 1); }

int64_t row_elements(const at::Tensor& tensor) {
  int64_t count = 1;
  for (int64_t d = 1; d < tensor.dim(); ++d) count *= tensor.size(d);
  return count;
}

void check_transform(const Column& column, size_t number) {
  const Transform& t = *column.transform;
  const int64_t channels = column.tensor.dim() > 1 ? column.tensor.size(1) : 1;
  if (column.tensor.is_complex() || column.tensor.scalar_type() == at::kBool)
    throw Error(ErrorKind::dtype, name_of_column(number) + ": a transform needs integer or float numbers, got " +
                                      std::string(column.tensor.dtype().name()));
  if (t.divisor == 0) throw_usage(name_of_column(number) + ": 'divisor' must not be 0");
  for (const auto* list : {&t.mean, &t.std})
    if (list->size() > 1 && static_cast<int64_t>(list->size()) != channels)
      throw_usage(name_of_column(number) + ": 'mean' and 'std' need 1 number or one for each of the " +
                  std::to_string(channels) + " channels, got " + std::to_string(list->size()));
  for (const double s : t.std)
    if (s == 0) throw_usage(name_of_column(number) + ": 'std' must not be 0");
}

// One row, a plane (= entry of the sample's first dimension) at a time. Divisions and not products with the
// inverse: that is what keeps the result bit-equal to ToTensor and Normalize.
template <class From>
void transform_row(const From* from, float* to, int64_t planes, int64_t plane, const Transform& t) {
  const auto divisor = static_cast<float>(t.divisor);
  for (int64_t c = 0; c < planes; ++c, from += plane, to += plane) {
    if (t.mean.empty() && t.std.empty()) {
      for (int64_t i = 0; i < plane; ++i) to[i] = static_cast<float>(from[i]) / divisor;
      continue;
    }
    const auto of = [c](const std::vector<double>& list, double otherwise) {
      return static_cast<float>(list.empty() ? otherwise : list[list.size() > 1 ? static_cast<size_t>(c) : 0]);
    };
    const float mean = of(t.mean, 0.0), std = of(t.std, 1.0);
    for (int64_t i = 0; i < plane; ++i) to[i] = (static_cast<float>(from[i]) / divisor - mean) / std;
  }
}

template <class From>
void transform_rows(const Column& column, std::span<const int64_t> indices, float* to) {
  const auto* from = static_cast<const From*>(column.tensor.const_data_ptr());
  const int64_t elements = row_elements(column.tensor);
  const int64_t planes = column.tensor.dim() > 1 ? column.tensor.size(1) : 1;
  const int64_t plane = planes > 0 ? elements / planes : 0;
  for (const int64_t index : indices) {
    transform_row(from + index * elements, to, planes, plane, *column.transform);
    to += elements;
  }
}

at::Tensor transform_on_device(at::Tensor rows, const Transform& t) {
  std::vector<int64_t> along(static_cast<size_t>(rows.dim()), 1);
  if (along.size() > 1) along[1] = -1;
  const auto list = [&](const std::vector<double>& values) {
    return at::tensor(values, at::kFloat).to(rows.device()).view(along);
  };
  rows = rows.to(at::kFloat).div(t.divisor);
  if (!t.mean.empty()) rows = rows.sub(list(t.mean));
  if (!t.std.empty()) rows = rows.div(list(t.std));
  return rows;
}

at::Tensor gather_column(const Column& column, std::span<const int64_t> indices) {
  const at::Tensor& source = column.tensor;
  if (!source.is_cpu()) {
    const at::Tensor index = at::tensor(at::IntArrayRef(indices.data(), indices.size()), at::kLong);
    at::Tensor rows = source.index_select(0, index.to(source.device()));
    return column.transform ? transform_on_device(std::move(rows), *column.transform) : rows;
  }
  std::vector<int64_t> shape = source.sizes().vec();
  shape[0] = static_cast<int64_t>(indices.size());
  if (!column.transform) {
    at::Tensor rows = at::empty(shape, source.options());
    const size_t bytes = static_cast<size_t>(row_elements(source)) * source.element_size();
    const auto* from = static_cast<const char*>(source.const_data_ptr());
    auto* to = static_cast<char*>(rows.mutable_data_ptr());
    if (bytes == 0) return rows;
    for (const int64_t index : indices) {
      std::memcpy(to, from + static_cast<size_t>(index) * bytes, bytes);
      to += bytes;
    }
    return rows;
  }
  at::Tensor rows = at::empty(shape, source.options().dtype(at::kFloat));
  auto* to = rows.mutable_data_ptr<float>();
  switch (source.scalar_type()) {
    case at::kByte:
      transform_rows<uint8_t>(column, indices, to);
      return rows;
    case at::kChar:
      transform_rows<int8_t>(column, indices, to);
      return rows;
    case at::kShort:
      transform_rows<int16_t>(column, indices, to);
      return rows;
    case at::kInt:
      transform_rows<int32_t>(column, indices, to);
      return rows;
    case at::kLong:
      transform_rows<int64_t>(column, indices, to);
      return rows;
    case at::kFloat:
      transform_rows<float>(column, indices, to);
      return rows;
    case at::kDouble:
      transform_rows<double>(column, indices, to);
      return rows;
    default: {
      // half, bfloat16 and the rest: through float32, once a batch
      at::Tensor wide = source.index_select(0, at::tensor(at::IntArrayRef(indices.data(), indices.size()), at::kLong));
      return transform_on_device(std::move(wide), *column.transform);
    }
  }
}

}  // namespace

TensorDataset::TensorDataset(std::vector<Column> columns) : columns_(std::move(columns)) {
  if (columns_.empty()) throw_usage("TensorDataset: expected at least one tensor, got none");
  for (size_t i = 0; i < columns_.size(); ++i) {
    at::Tensor& tensor = columns_[i].tensor;
    if (!tensor.defined() || tensor.layout() != at::kStrided || tensor.is_quantized())
      throw_usage(name_of_column(i) + ": expected a dense tensor");
    if (tensor.dim() == 0)
      throw Error(ErrorKind::shape, name_of_column(i) + ": expected at least one dimension, got a 0-dimensional one");
    if (i == 0) size_ = tensor.size(0);
    if (tensor.size(0) != size_)
      throw Error(ErrorKind::shape, name_of_column(i) + ": expected " + std::to_string(size_) +
                                        " samples as in tensor 1, got " + std::to_string(tensor.size(0)));
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous();
    if (columns_[i].transform) check_transform(columns_[i], i);
  }
}

Sample TensorDataset::get(int64_t index) const {
  Sample sample = gather(std::span(&index, 1));
  for (at::Tensor& field : sample) field = field.select(0, 0);
  return sample;
}

Batch TensorDataset::gather(std::span<const int64_t> indices) const {
  for (const int64_t index : indices) check_index(index);
  Batch batch;
  batch.reserve(columns_.size());
  for (const Column& column : columns_) batch.push_back(gather_column(column, indices));
  return batch;
}

}  // namespace trainhost::data
