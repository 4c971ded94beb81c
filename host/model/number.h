// A hyperparameter: a number, or a tensor of one element, with Python's arithmetic of both.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace trainhost::model {

// What one reads as a number costs nothing; a tensor goes through operators, in its own dtype and with its history.
class Number {
 public:
  Number(double number = 0) : number_(number) {}                         // NOLINT: a number is one
  Number(at::Tensor tensor) : number_(0), tensor_(std::move(tensor)) {}  // NOLINT
  bool is_tensor() const noexcept { return tensor_.defined(); }
  const at::Tensor& tensor() const noexcept { return tensor_; }
  double value() const;
  at::Scalar scalar() const { return value(); }
  // Without dimensions, where it is a tensor.
  Number squeezed() const { return is_tensor() && tensor_.dim() != 0 ? Number(tensor_.squeeze()) : *this; }

 private:
  double number_;
  at::Tensor tensor_;
};

Number operator+(const Number& a, const Number& b);
Number operator-(const Number& a, const Number& b);
Number operator*(const Number& a, const Number& b);
Number operator/(const Number& a, const Number& b);
Number operator-(const Number& a);
Number pow(const Number& base, const Number& exponent);

// x * n, x / n, x *= n as Python computes them: in place LibTorch's own product with a Scalar rounds that to x's dtype.
at::Tensor times(const at::Tensor& x, const Number& n);
at::Tensor over(const at::Tensor& x, const Number& n);
const at::Tensor& scale(const at::Tensor& x, const Number& n);

// The value of a tensor of one element, read where it lies if it is a real number in memory.
double value_of(const at::Tensor& tensor);

}  // namespace trainhost::model
