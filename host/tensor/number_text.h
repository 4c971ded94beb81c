// Numbers as Python writes them.
#pragma once

#include <complex>
#include <string>

namespace trainhost::tensor {

// Python's str(float): the shortest text that reads back equal.
std::string number_text(double value);
// Python's str(complex): "(1+2j)", "2j".
std::string number_text(std::complex<double> value);

}  // namespace trainhost::tensor
