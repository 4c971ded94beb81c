// Lua in the graph, as C++ programs meet it: hooks and Functions of a script in a backward that C++ starts.
#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>
#include <ATen/record_function.h>

#include <thread>

#include "host/autograd/backward.h"
#include "host/autograd/mutation.h"
#include "host/autograd/operator_log.h"
#include "host/trainhost.h"
#include "tests/cpp/catch.h"

using namespace trainhost;

namespace {

at::Tensor leaf() { return at::ones({2}).set_requires_grad(true); }

constexpr const char* kScript = R"(
local torch = require "torch"
local Double = torch.autograd.Function("Double")
function Double.forward(_, x) return x * 2 end
function Double.backward(_, grad) return grad * 2 end
function double(x) return Double.apply(x) end
function watch(x) x:register_hook(function(grad) return grad * 10 end) end
function fail(x) x:register_hook(function() error("from the hook") end) end
)";

}  // namespace

TEST_CASE("a backward in C++ runs the script's Functions and hooks") {
  Host host;
  host.run_string(kScript);
  const at::Tensor x = leaf();
  const Value arguments[] = {Value(x)};
  host.call("watch", arguments);
  const at::Tensor y = host.call("double", arguments).at(0).as_tensor();
  y.sum().backward();
  CHECK(x.grad().equal(at::ones({2}).mul(20)));
}

TEST_CASE("an observer of operators is gone with what it observes for") {
  {
    const autograd::Mutations mutations;
    CHECK(at::hasThreadLocalCallbacks());
    auto outer = std::make_unique<autograd::OperatorLog>();
    const autograd::OperatorLog inner;
    at::ones({2});
    CHECK(outer->lines.size() == inner.lines.size());
    outer.reset();
    at::ones({2});
    CHECK(inner.lines.size() > 0);
    CHECK_THROWS_WITH(autograd::Mutations(), "allow_mutation_on_saved_tensors contexts cannot be nested");
  }
  CHECK_FALSE(at::hasThreadLocalCallbacks());
}

TEST_CASE("the error of a hook reaches C++, and the engine goes on") {
  Host host;
  host.run_string(kScript);
  const at::Tensor x = leaf();
  const Value arguments[] = {Value(x)};
  host.call("fail", arguments);
  CHECK_THROWS_WITH(x.mul(2).sum().backward(), Holds("from the hook"));
  const at::Tensor other = leaf();
  other.mul(2).sum().backward();
  CHECK(other.grad().equal(at::ones({2}).mul(2)));
}

TEST_CASE("a graph outlives the script that is in it") {
  at::Tensor y;
  {
    Host host;
    host.run_string(kScript);
    const Value arguments[] = {Value(leaf())};
    y = host.call("double", arguments).at(0).as_tensor();
  }
  CHECK_THROWS_WITH(y.sum().backward(), Holds("its Host is closed"));
}

TEST_CASE("hooks on saved tensors end with their script") {
  {
    Host host;
    host.run_string(
        "require('torch').autograd.graph.saved_tensors_hooks(function(t) return t end, function(t) return t end)");
  }
  const at::Tensor x = leaf();
  x.mul(x).sum().backward();
  CHECK(x.grad().equal(at::ones({2}).mul(2)));
}

TEST_CASE("a script's hook refuses another thread") {
  Host host;
  host.run_string(kScript);
  const at::Tensor x = leaf();
  const Value arguments[] = {Value(x)};
  host.call("watch", arguments);
  std::string why;
  std::thread([&] {
    try {
      x.mul(2).sum().backward();
    } catch (const std::exception& e) {
      why = e.what();
    }
  }).join();
  CHECK_THAT(why, Holds("cannot be called on another thread"));
}

TEST_CASE("gradients of inputs, zeros where nothing leads") {
  autograd::BackwardRequest request;
  const at::Tensor x = leaf(), z = leaf();
  request.outputs = {x.mul(3).sum()};
  request.inputs = {x, z};
  request.allow_unused = request.materialize_grads = true;
  const auto grads = autograd::run_backward(request);
  REQUIRE(grads.size() == 2);
  CHECK(grads[0].equal(at::ones({2}).mul(3)));
  CHECK(grads[1].equal(at::ones({2}).mul(0)));
}
