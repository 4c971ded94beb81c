// What stands between the brackets of x[...]: items, their text form, reading and assigning.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace trainhost::tensor {

struct Slice {
  std::optional<int64_t> start, stop, step;
};
struct Ellipsis {};
struct NewAxis {};  // None: a new dimension of size 1

// One item indexes one dimension, but for Ellipsis (as many as are left), NewAxis and bool (none), and a mask
// (as many as it has).
using Index = std::variant<int64_t, bool, Slice, Ellipsis, NewAxis, at::Tensor>;
using Indices = std::vector<Index>;

// Reads "1:10:2, ..., None, -1, True, [0, 2]": items as in Python's brackets, without names and arithmetic. A tuple
// that stands alone is its items, and so is a list of lists, slices, None or "...", as PyTorch has it; `part`: the text
// is a part of a longer key, and nothing in it stands alone. `columns`: where each item begins, from 1.
// Throws Error{usage} that names the text and the column.
Indices parse_indices(std::string_view text, bool part = false, std::vector<size_t>* columns = nullptr);
// The column of the item at which indexing this tensor fails, from 1; 0: at none.
size_t failing_column(const at::Tensor& tensor, std::string_view text);
// The text of a slice as Python's repr: slice(None, 3, None).
std::string to_string(const Slice& slice);

// x[indices] with PyTorch's semantics and error texts: a view for integers, slices, None and ellipsis, a copy where a
// tensor or a bool takes part. Out of range is an IndexError (c10::IndexError), a negative step a ValueError.
at::Tensor get(const at::Tensor& tensor, const Indices& indices);
// x[i]: get with one integer, without the list.
at::Tensor get(const at::Tensor& tensor, int64_t index);

// x[indices] = value in place, the value broadcast and converted to x's dtype and device as PyTorch does; autograd
// records it.
void set(const at::Tensor& tensor, const Indices& indices, const at::Tensor& value);
void set(const at::Tensor& tensor, const Indices& indices, const at::Scalar& value);

}  // namespace trainhost::tensor
