// Number: Python's arithmetic of numbers and tensors.
#include "host/model/number.h"

#include <ATen/ScalarOps.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/rsub.h>

#include <cmath>

namespace trainhost::model {

double value_of(const at::Tensor& tensor) {
  if (tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.numel() == 1) {
    if (tensor.scalar_type() == at::kFloat) return *tensor.const_data_ptr<float>();
    if (tensor.scalar_type() == at::kDouble) return *tensor.const_data_ptr<double>();
  }
  return tensor.item<double>();
}

double Number::value() const { return is_tensor() ? value_of(tensor_) : number_; }

Number operator+(const Number& a, const Number& b) {
  if (a.is_tensor()) return b.is_tensor() ? a.tensor().add(b.tensor()) : a.tensor().add(b.scalar());
  return b.is_tensor() ? Number(b.tensor().add(a.scalar())) : Number(a.value() + b.value());
}

Number operator-(const Number& a, const Number& b) {
  if (a.is_tensor()) return b.is_tensor() ? a.tensor().sub(b.tensor()) : a.tensor().sub(b.scalar());
  return b.is_tensor() ? Number(at::rsub(b.tensor(), a.scalar())) : Number(a.value() - b.value());
}

Number operator*(const Number& a, const Number& b) {
  if (a.is_tensor()) return times(a.tensor(), b);
  return b.is_tensor() ? Number(times(b.tensor(), a)) : Number(a.value() * b.value());
}

Number operator/(const Number& a, const Number& b) {
  if (a.is_tensor()) return over(a.tensor(), b);
  return b.is_tensor() ? Number(b.tensor().reciprocal().mul(a.scalar())) : Number(a.value() / b.value());
}

Number operator-(const Number& a) { return a.is_tensor() ? Number(a.tensor().neg()) : Number(-a.value()); }

Number pow(const Number& base, const Number& exponent) {
  if (base.is_tensor())
    return exponent.is_tensor() ? base.tensor().pow(exponent.tensor()) : base.tensor().pow(exponent.scalar());
  return exponent.is_tensor() ? Number(at::pow(base.scalar(), exponent.tensor()))
                              : Number(std::pow(base.value(), exponent.value()));
}

at::Tensor times(const at::Tensor& x, const Number& n) { return n.is_tensor() ? x.mul(n.tensor()) : x.mul(n.scalar()); }

at::Tensor over(const at::Tensor& x, const Number& n) { return n.is_tensor() ? x.div(n.tensor()) : x.div(n.scalar()); }

const at::Tensor& scale(const at::Tensor& x, const Number& n) {
  return x.mul_(n.is_tensor() ? n.tensor() : at::native::wrapped_scalar_tensor(n.scalar()));
}

}  // namespace trainhost::model
