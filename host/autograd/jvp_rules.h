// Forward derivatives that LibTorch leaves to Python.
#pragma once

namespace trainhost::autograd {

// Makes them known, once; before the first forward derivative. Without them jvp, jacfwd and hessian stop at the
// backward of softmax, of cross-entropy and of the normalizations. What LibTorch has itself stays as it is.
void install_jvp_rules();

}  // namespace trainhost::autograd
