// Modules and optimizers below Lua: slots, order, state, foreign modules; and C++ modules handed to Lua.
#include "host/model/module.h"
#include "host/tensor/uninitialized.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/api/include/torch/nn/modules/linear.h>

#include <lua.hpp>

#include "bindings/bindings.h"
#include "bindings/model.h"
#include "host/base/error.h"
#include "host/model/optimizer.h"
#include "host/vm/state.h"
#include "tests/cpp/catch.h"

using namespace trainhost;
using model::Slot;

namespace {

at::Tensor parameter(at::IntArrayRef sizes) { return at::ones(sizes).set_requires_grad(true); }

std::vector<std::string> names(const model::NamedTensors& all) {
  std::vector<std::string> out;
  for (const auto& [name, _] : all) out.push_back(name);
  return out;
}

using Names = std::vector<std::string>;

std::string run(vm::State& state, const std::string& code) {
  const int count = state.run_string(code, "=test");
  std::string text = count ? luaL_tolstring(state.lua(), -1, nullptr) : "";
  lua_settop(state.lua(), 0);
  return text;
}

}  // namespace

TEST_CASE("a scripted module is read by C++ code like any other") {
  const auto net = model::make_module("Net");
  const auto child = model::make_module("Child");
  model::set_parameter(*child, "weight", parameter({2, 3}));
  model::set_buffer(*net, "count", at::zeros({1}), true);
  model::set_child(*net, "child", child);
  model::set_parameter(*net, "scale", parameter({2}));

  CHECK(net->name() == "Net");
  CHECK(net->parameters().size() == 2);
  CHECK(net->named_parameters().keys() == Names{"scale", "child.weight"});
  CHECK(net->named_buffers().keys() == Names{"count"});
  CHECK(names(model::parameters(*net)) == Names{"scale", "child.weight"});
  CHECK(names(model::own_state(*net)) == Names{"scale", "count"});
  net->eval();
  CHECK_FALSE(child->is_training());
  net->to(at::kDouble);
  CHECK(child->parameters()[0].scalar_type() == at::kDouble);
}

TEST_CASE("slots are replaced in place and removed") {
  const auto net = model::make_module("Net");
  for (const char* name : {"a", "b", "c"}) model::set_buffer(*net, name, at::zeros({1}), true);
  model::set_parameter(*net, "p", parameter({1}));
  model::set_child(*net, "m", model::make_module("M"));

  model::set_buffer(*net, "b", at::ones({2}), true);
  CHECK(names(model::buffers(*net)) == Names{"a", "b", "c"});
  CHECK(model::tensor_at(*net, "b").numel() == 2);
  model::remove_slot(*net, "a");
  CHECK(net->named_buffers().keys() == Names{"b", "c"});
  CHECK(net->named_parameters().keys() == Names{"p"});
  CHECK(net->named_children().keys() == Names{"m"});

  model::set_buffer(*net, "p", at::zeros({1}), false);  // another kind under the same name
  CHECK(model::slot_of(*net, "p") == Slot::buffer);
  CHECK(net->parameters().empty());
  CHECK(names(model::own_state(*net)) == Names{"b", "c"});
  model::remove_slot(*net, "m");
  CHECK(model::slot_of(*net, "m") == Slot::none);
  model::set_buffer(*net, "late", at::Tensor(), true);
  model::remove_slot(*net, "b");
  model::set_buffer(*net, "late", at::zeros({1}), true);
  CHECK(names(model::buffers(*net)) == Names{"c", "p", "late"});
}

TEST_CASE("tensors and modules reached twice are listed once") {
  const auto net = model::make_module("Net");
  const auto child = model::make_module("Child");
  const at::Tensor shared = parameter({1});
  model::set_parameter(*net, "w", shared);
  model::set_parameter(*child, "v", shared);
  model::set_child(*net, "one", child);
  model::set_child(*net, "two", child);
  CHECK(names(model::parameters(*net)) == Names{"w"});
  CHECK(model::modules(net).size() == 2);
  CHECK(model::children(*net).size() == 1);
  CHECK(model::children(*net, /*unique=*/false).size() == 2);
  CHECK(names(model::parameters(*net, true, false)) == Names{"w", "one.v", "two.v"});
}

TEST_CASE("bad slots are usage errors") {
  const auto net = model::make_module("Net");
  CHECK_THROWS_AS(model::set_parameter(*net, "", parameter({1})), Error);
  CHECK_THROWS_AS(model::set_buffer(*net, "a.b", at::zeros({1}), true), Error);
  CHECK_THROWS_AS(model::set_parameter(*net, "w", parameter({1}) * 2), Error);
  const auto outer = model::make_module("Outer");
  model::set_child(*outer, "net", net);
  CHECK_THROWS_AS(model::set_child(*net, "loop", outer), Error);
}

TEST_CASE("a module of LibTorch is a child; its own slots stay its own") {
  const auto linear = std::make_shared<torch::nn::LinearImpl>(3, 2);
  const auto net = model::make_module("Net");
  model::set_child(*net, "fc", linear);
  CHECK(names(model::own_state(*linear)) == Names{"weight", "bias"});
  CHECK_THROWS_AS(model::set_parameter(*linear, "weight", parameter({2, 3})), Error);
  model::copy_into(linear->weight, at::zeros({2, 3}));
  CHECK(linear->weight.abs().sum().item<float>() == 0.0f);
}

TEST_CASE("a tensor without a shape refuses operators until it has data") {
  const at::Tensor waiting = parameter({2});
  CHECK_FALSE(tensor::is_uninitialized(waiting));
  tensor::set_uninitialized(waiting);
  CHECK(tensor::is_uninitialized(waiting));
  CHECK(waiting.requires_grad());
  CHECK_THROWS_WITH(waiting + 1, Holds("Attempted to use an uninitialized parameter in aten::add"));
  CHECK(waiting.to(at::kDouble).scalar_type() == at::kDouble);
  CHECK(model::set_data(waiting, at::ones({3})));
  CHECK_FALSE(tensor::is_uninitialized(waiting));
  CHECK((waiting + 1).sum().item<float>() == 6.0f);
}

namespace {

// The hyperparameters of Adam, as a program has them.
struct Plain final : model::Hyper {
  model::Number number(const char* key) const override {
    const std::string name = key;
    return name == "lr" ? 0.5 : name == "eps" ? 1e-8 : 0.0;
  }
  model::Number number(const char*, int index) const override { return index == 0 ? 0.9 : 0.999; }
  double or_nan(const char* key, int index) const override { return number(key, index).value(); }
  bool flag(const char*) const override { return false; }
  std::optional<bool> choice(const char*) const override { return std::nullopt; }
  std::string text(const char*) const override { return ""; }
};

}  // namespace

TEST_CASE("an optimizer steps what has a gradient and keeps none of them") {
  at::Tensor a = parameter({2}), b = parameter({2});
  model::Optimizer optimizer("adam");
  optimizer.add_group({a, b}, false);
  a.mutable_grad() = at::ones({2});
  const Plain hyper;
  optimizer.step(0, hyper);
  CHECK(a.sum().item<float>() == Approx(1.0f));
  CHECK(b.sum().item<float>() == 2.0f);
  CHECK(optimizer.state(1).empty());
  CHECK(a.grad().use_count() == 1);  // freed by zero_grad at once
  optimizer.zero_grad(true);
  CHECK_FALSE(a.grad().defined());
  b.mutable_grad() = at::ones({2});
  optimizer.step(0, hyper);
  CHECK(optimizer.state(0)[0].second.item<float>() == 1.0f);
  CHECK(optimizer.state(1)[0].second.item<float>() == 1.0f);
  CHECK_THROWS_AS(optimizer.add_group({b}, false), Error);
  CHECK_THROWS_AS(model::Optimizer("no such rule"), Error);
}

TEST_CASE("a C++ module is one userdata in Lua, called through its forward") {
  vm::State state({});
  bindings::open_all(state.lua());
  const auto linear = std::make_shared<torch::nn::LinearImpl>(3, 2);
  const auto forward = [linear](std::vector<at::Tensor> in) {
    return std::vector<at::Tensor>{linear->forward(in.at(0))};
  };
  bindings::push_module(state.lua(), linear, forward);
  lua_setglobal(state.lua(), "linear");
  bindings::push_module(state.lua(), linear);
  lua_setglobal(state.lua(), "again");
  CHECK(run(state, "return rawequal(linear, again)") == "true");
  CHECK(run(state, "torch = require 'torch'; nn = torch.nn; return linear(torch.ones(4, 3)).shape") ==
        "torch.Size([4, 2])");
  CHECK(run(state, "return nn.Sequential(linear, nn.ReLU())(torch.ones(4, 3)):min():item() >= 0") == "true");
  CHECK_THAT(run(state, "net = nn.class('Net')(); net.fc = linear; return net"), Holds("(fc): torch::nn::Linear"));
  CHECK(run(state, "return #net:parameters()") == "2");
  CHECK(run(state, "return rawequal(net.fc.weight, linear.weight)") == "true");
  CHECK(run(state, "net:eval() return linear.training") == "false");
  CHECK(run(state,
            "opt = torch.optim.SGD(net:parameters(), 0.1) net.fc(torch.ones(1, 3)):sum():backward() opt:step() "
            "return linear.bias.requires_grad") == "true");
  CHECK_THROWS_WITH(run(state, "linear.weight = nil"), Holds("a module written in C++"));
  CHECK_THROWS_WITH(run(state, "linear(1)"), Holds("Tensor"));

  const auto bare = std::make_shared<torch::nn::LinearImpl>(3, 2);
  bindings::push_module(state.lua(), bare);
  lua_setglobal(state.lua(), "bare");
  CHECK_THROWS_WITH(run(state, "bare(torch.ones(4, 3))"), Holds("has no forward that a script can call"));
}
