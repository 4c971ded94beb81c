// Shortest decimal digits, laid out as Python does.
#include "host/tensor/number_text.h"

#include <charconv>
#include <cmath>

namespace trainhost::tensor {

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char text[64];
  const double size = std::fabs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  auto end =
      std::to_chars(text, text + sizeof text, value, plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string result(text, end.ptr);
  if (plain && result.find('.') == std::string::npos) result += ".0";
  return result;
}

std::string number_text(std::complex<double> value) {
  // A part is written without ".0"; a real part of +0 is left out.
  const auto part = [](double side) {
    std::string text = number_text(side);
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
  };
  const std::string imaginary = part(value.imag()) + "j";
  if (value.real() == 0 && !std::signbit(value.real())) return imaginary;
  return "(" + part(value.real()) + (imaginary[0] == '-' ? "" : "+") + imaginary + ")";
}

}  // namespace trainhost::tensor
