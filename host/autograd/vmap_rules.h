// Batching rules that LibTorch leaves to Python.
#pragma once

namespace trainhost::autograd {

// Registers them, once; before the first vmap. Without them the operators run example by example.
void install_vmap_rules();

}  // namespace trainhost::autograd
