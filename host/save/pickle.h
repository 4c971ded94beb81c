// A document as a pickle of protocol 2, as Python's torch.save writes it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "host/save/document.h"

namespace trainhost::save {

// One of each storage that the document's tensors use, in the order of their keys "0", "1" ...
struct Pickled {
  std::string bytes;
  std::vector<at::Tensor> storages;  // a tensor on each: its whole storage is meant
};

// Error{usage} for a tuple that holds itself and tensors that PyTorch's files cannot hold, Error{dtype} for dtypes.
Pickled pickle(const Document& document);

}  // namespace trainhost::save
