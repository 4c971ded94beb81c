// Index expressions: their text form, and reading and assigning as x[...] in Python. Values and error texts were
// compared with PyTorch 2.13; tests/parity/test_index.py does so for hundreds of random expressions.
#include "host/tensor/indexing.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <string>

#include "host/base/error.h"
#include "host/tensor/print.h"
#include "tests/cpp/catch.h"

using namespace trainhost::tensor;

namespace {

at::Tensor cube() { return at::arange(24).reshape({2, 3, 4}); }
at::Tensor read(const char* expression) { return get(cube(), parse_indices(expression)); }

// The message of what `call` throws, without C++ backtraces; empty if it throws nothing.
template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const trainhost::Error& error) {
    return error.message();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("an expression is read item by item", "[indexing]") {
  const Indices items = parse_indices(" 1:10:2, ..., None,-1 ,True,:, ::-2, None:3");
  REQUIRE(items.size() == 8);
  CHECK(to_string(std::get<Slice>(items[0])) == "slice(1, 10, 2)");
  CHECK(std::holds_alternative<Ellipsis>(items[1]));
  CHECK(std::holds_alternative<NewAxis>(items[2]));
  CHECK(std::get<int64_t>(items[3]) == -1);
  CHECK(std::get<bool>(items[4]));
  CHECK(to_string(std::get<Slice>(items[5])) == "slice(None, None, None)");
  CHECK(to_string(std::get<Slice>(items[6])) == "slice(None, None, -2)");
  CHECK(to_string(std::get<Slice>(items[7])) == "slice(None, 3, None)");
  CHECK(parse_indices("None,").size() == 1);
}

TEST_CASE("a wrong expression names the column", "[indexing]") {
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {"", "tensor index \"\": expected an index at column 1, got the end"},
      {"1, x:2",
       "expected an integer, a slice such as 1:10:2, '...', None, True, False or a list at column 4, got 'x:2'"},
      {"1 2", "expected ',' or the end at column 3, got '2'"},
      {"1:2:3:4", "expected ',' or the end at column 6, got ':4'"},
      {"-, 1", "expected a number after the sign at column 1, got '-, 1'"},
      {"-None", "bad operand type for unary -: 'NoneType' at column 1"},
      {"0, 01", "leading zeros in decimal integer literals are not permitted at column 4"},
      {"1_, 0", "expected a number at column 1"},
      {"(1:2)", "expected ',' or ')' at column 3, got ':2)'"},
      {"1:2.0", "slice indices must be integers or None at column 3"},
      {"0, [1, [2]]", "'list' object cannot be interpreted as an integer at column 8"},
      {",1", "at column 1, got ',1'"},
      {"Nonesuch", "at column 1"},
      {"99999999999999999999", "Overflow when unpacking long long at column 1"},
  };
  for (const auto& wrong : kCases) {
    INFO(wrong.text);
    CHECK_THAT(message_of([&] { parse_indices(wrong.text); }), Holds(wrong.message));
  }
}

TEST_CASE("reading gives views with PyTorch's shapes", "[indexing]") {
  const at::Tensor x = cube();
  CHECK(get(x, int64_t{-1}).data_ptr() == x[1].data_ptr());
  CHECK(get(x, parse_indices("1, ::2")).is_alias_of(x));
  CHECK(read("..., -1").sizes().vec() == std::vector<int64_t>{2, 3});
  CHECK(read("None, 0, None").sizes().vec() == std::vector<int64_t>{1, 1, 3, 4});
  CHECK(read("1, 1:, 2").equal(at::arange(18, 23, 4)));
  CHECK(read("True").sizes().vec() == std::vector<int64_t>{1, 2, 3, 4});
  CHECK(read("False").sizes().vec() == std::vector<int64_t>{0, 2, 3, 4});
  CHECK(get(x, {x.gt(20)}).equal(at::arange(21, 24)));
  const at::Tensor rows = at::arange(2), columns = at::arange(2).mul(2);
  CHECK(get(x, {rows, rows, columns}).equal(at::arange(0, 36, 18)));
  CHECK(get(x, {rows, Ellipsis{}, columns}).sizes().vec() == std::vector<int64_t>{2, 3});
}

TEST_CASE("reading out of range is PyTorch's error", "[indexing]") {
  CHECK(message_of([] { read("5"); }) == "index 5 is out of bounds for dimension 0 with size 2");
  CHECK(message_of([] { get(cube(), int64_t{-3}); }) == "index -3 is out of bounds for dimension 0 with size 2");
  CHECK(message_of([] { read("0, 0, 0, 0"); }) == "too many indices for tensor of dimension 3");
  CHECK(message_of([] { read("::-1"); }) == "step must be greater than zero");
  CHECK(message_of([] { read("::0"); }) == "slice step cannot be zero");
  CHECK_THAT(message_of([] { get(at::full({}, 1), int64_t{0}); }), Holds("invalid index of a 0-dim tensor"));
  CHECK_THROWS_AS(read("5"), c10::IndexError);
}

TEST_CASE("assignment broadcasts and converts", "[indexing]") {
  at::Tensor x = at::zeros({2, 3});
  set(x, parse_indices("0"), at::Scalar(int64_t{2}));
  set(x, parse_indices(":, 1"), at::arange(5, 7));
  set(x, {x.eq(0)}, at::Scalar(-1.5));
  CHECK(trainhost::tensor::to_string(x) ==
        "tensor([[ 2.0000,  5.0000,  2.0000],\n        [-1.5000,  6.0000, -1.5000]])");
  at::Tensor whole = at::zeros({2}, at::kLong);
  set(whole, parse_indices("0"), at::Scalar(2.9));
  CHECK(whole.equal(at::arange(2).flip(0).mul(2)));
  CHECK_THAT(message_of([] { set(at::zeros({2}, at::kByte), parse_indices("0"), at::Scalar(300)); }),
             Holds("cannot be converted to type uint8_t without overflow"));
  CHECK_THAT(message_of([] {
               set(at::zeros({2, 3}), parse_indices("0"), at::zeros({2}));
             }),
             Holds("must match the existing size"));
}

TEST_CASE("assignment is recorded by autograd", "[indexing]") {
  const at::Tensor weight = at::full({2}, 3.0).requires_grad_(), value = at::full({}, 5.0).requires_grad_();
  const at::Tensor x = weight.mul(2);
  set(x, parse_indices("0"), value);
  set(x, {at::arange(1, 2)}, at::Scalar(1.0));
  x.mul(10).sum().backward();
  CHECK(weight.grad().equal(at::zeros({2})));
  CHECK(value.grad().item<double>() == 10.0);
  CHECK_THAT(message_of([&] { set(weight, parse_indices("0"), at::Scalar(1.0)); }), Holds("leaf Variable"));
}
