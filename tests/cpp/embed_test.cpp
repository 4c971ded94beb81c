// The C++ API: values across, functions and modules of C++, errors, the end.
#include "host/trainhost.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/api/include/torch/nn/modules/linear.h>

#include <stdexcept>
#include <thread>

#include "tests/cpp/catch.h"

using namespace trainhost;

TEST_CASE("values come back as they went") {
  Host host;
  host.add_function("same", [](std::span<const Value> in) { return std::vector<Value>(in.begin(), in.end()); });
  host.run_string("function twice(...) return same(same(...)) end");
  const auto out = host.call("twice", {nullptr, true, 42, 2.5, "text", std::string("a\0b", 3), Value::List{1, "x"},
                                       Value::Map{{"k", Value::List{}}}, at::ones({2, 3})});
  REQUIRE(out.size() == 9);
  CHECK(out[0].is_nil());
  CHECK(out[1].as_bool());
  CHECK(out[2].as_int() == 42);
  CHECK((out[3].is_double() && out[3].as_double() == 2.5));
  CHECK(out[4].as_string() == "text");
  CHECK(out[5].as_string() == std::string("a\0b", 3));
  CHECK(out[6].as_list()[1].as_string() == "x");
  CHECK(out[7].as_map().at("k").as_list().empty());
  CHECK(out[8].as_tensor().numel() == 6);
}

TEST_CASE("a tensor shares its memory with Lua") {
  Host host;
  const at::Tensor x = at::ones({3});
  host.set("data.x", x);
  host.run_string("data.x:mul_(5)");
  CHECK(x.sum().item<double>() == 15);
  CHECK(host.get("data.x").as_tensor().is_same(x));
}

TEST_CASE("fields are read and written by their path") {
  Host host;
  host.set("a.b.c", 1);
  CHECK(host.get("a.b.c").as_int() == 1);
  CHECK(host.get("a.b").as_map().size() == 1);
  CHECK(host.get("a.nothing.here").is_nil());
  CHECK_THROWS_WITH(host.get("a.b.c.d"), Holds("attempt to index a number value"));
  CHECK_THROWS_AS(host.set("a.b.c.d", 1), Error);
  CHECK_THROWS_AS(host.set("", 1), Error);
}

TEST_CASE("what a script raises is thrown, what C++ throws is raised") {
  Host host;
  host.add_function("fail", [](std::span<const Value>) -> std::vector<Value> {
    throw Error(ErrorKind::device, "no such device", "there is cpu");
  });
  host.add_function("standard", [](std::span<const Value>) -> std::vector<Value> { throw std::runtime_error("std"); });
  const auto seen =
      host.run_string("local ok, e = pcall(fail) return ok, e.kind, e.hint, select(2, pcall(standard)).message");
  CHECK_FALSE(seen[0].as_bool());
  CHECK(seen[1].as_string() == "device");
  CHECK(seen[2].as_string() == "there is cpu");
  CHECK(seen[3].as_string() == "std");
  try {
    host.run_string("\nfail()", "=policy.lua");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::device);
    CHECK(e.where() == "policy.lua:2");
    CHECK(std::string(e.what()) == "policy.lua:2: no such device (there is cpu)");
  }
  CHECK_THROWS_WITH(host.call("nothing"), Holds("no function 'nothing'"));
  CHECK_THROWS_WITH(host.run_string("return coroutine.create(print)"), Holds("cannot be handed to C++"));
  CHECK_THROWS_WITH(host.run_string("return {1, x = 2}"), Holds("cannot be handed to C++"));
  CHECK_THROWS_WITH(host.run_string("local t = {} t.t = t return t"), Holds("nested deeper"));
  CHECK(host.run_string("return 1").front().as_int() == 1);
}

TEST_CASE("a wrong type is named") {
  CHECK_THROWS_WITH(Value("x").as_int(), "expected a value of type int, got string");
  CHECK(Value(3.0).as_int() == 3);
  CHECK_THROWS_AS(Value(3.5).as_int(), Error);
  CHECK(Value(3).as_double() == 3.0);
  CHECK(Value(at::Tensor()).is_nil());
  CHECK(Value(true).is_bool());
}

TEST_CASE("functions are held and called on both sides, and outlive their host as an error") {
  Value f;
  {
    Host host;
    f = host.run_string("local n = 0 return function(k) n = n + k return n end").front();
    CHECK(f.as_function()({5}).front().as_int() == 5);
    CHECK(f.as_function()({2}).front().as_int() == 7);
    host.set("f", f);
    CHECK(host.run_string("return f(1)").front().as_int() == 8);
    host.add_function("call", [](std::span<const Value> in) { return in[0].as_function()({in[1]}); });
    CHECK(host.run_string("return call(function(x) return x * 2 end, 21)").front().as_int() == 42);
    CHECK_THROWS_WITH(host.run_string("call(function() error('deep') end, 1)"), Holds("deep"));
    std::thread([held = host.run_string("return print").front()]() mutable { held = nullptr; }).join();
    host.run_posted();
  }
  CHECK_THROWS_WITH(f.as_function()({}), "this Lua function cannot be called: its Host is closed");
}

TEST_CASE("a module of C++ is the same object in Lua") {
  Host host;
  torch::nn::Linear layer(4, 2);
  host.add_module("layer", layer.ptr());
  const auto out =
      host.run_string("local n = 0 for _, p in ipairs(layer:parameters()) do n = n + p:numel() end return n, layer");
  CHECK(out[0].as_int() == 10);
  CHECK(out[1].as_module() == layer.ptr());
  CHECK_THROWS_WITH(host.add_module("null", nullptr), Holds("is null"));
}

TEST_CASE("a module of C++ with its forward is a layer like any other") {
  Host host;
  torch::nn::Linear layer(3, 2);
  host.add_module("layer", layer.ptr(), [layer](std::span<const Value> in) mutable {
    return std::vector<Value>{layer->forward(in[0].as_tensor())};
  });
  const auto out = host.run_string(
      "local torch = require 'torch' "
      "local net = torch.nn.Sequential(layer, torch.nn.ReLU(), torch.nn.Linear(2, 1)) "
      "local optimizer = torch.optim.SGD(net:parameters(), {lr = 0.1}) "
      "local x, y = torch.randn(64, 3), torch.ones(64, 1) "
      "local first, last "
      "for _ = 1, 50 do "
      "  local loss = torch.nn.functional.mse_loss(net(x), y) "
      "  optimizer:zero_grad() loss:backward() optimizer:step() "
      "  first, last = first or loss:item(), loss:item() "
      "end "
      "return first, last, #net:parameters(), net:state_dict()['0.weight']");
  CHECK(out[1].as_double() < 0.5 * out[0].as_double());
  CHECK(out[2].as_int() == 4);
  CHECK(at::equal(out[3].as_tensor(), layer->weight));
  CHECK_THROWS_WITH(host.run_string("return layer(1)"), Holds("Tensor"));
}

TEST_CASE("a module of C++ with modules of its own is saved, loaded, converted and hooked like any other") {
  struct Block final : torch::nn::Module {
    Block() : Module("Block"), fc(register_module("fc", torch::nn::Linear(2, 2))) {
      register_buffer("count", at::zeros({1}));
    }
    torch::nn::Linear fc;
  };
  Host host;
  const auto block = std::make_shared<Block>();
  host.add_module("block", block, [block](std::span<const Value> in) {
    return std::vector<Value>{block->fc->forward(in[0].as_tensor())};
  });
  const auto out = host.run_string(
      "local torch = require 'torch' "
      "local net = torch.nn.Sequential(block) "
      "local state, keys = net:state_dict(), {} "
      "for key, tensor in pairs(state) do keys[#keys + 1] = key state[key] = torch.ones_like(tensor) end "
      "local loaded = tostring(net:load_state_dict(state)) "
      "local handle = block:register_forward_hook(function(_, _, output) return output * 10 end) "
      "local hooked = net(torch.ones(1, 2)):sum():item() "
      "handle:remove() "
      "state['0.fc.more'] = torch.ones(1) "
      "local ok, problem = pcall(net.load_state_dict, net, state) "
      "net:double() "
      "return table.concat(keys, ' '), loaded, hooked, problem.message, net(torch.ones(1, 2):double()):sum():item()");
  CHECK(out[0].as_string() == "0.count 0.fc.weight 0.fc.bias");
  CHECK(out[1].as_string() == "<All keys matched successfully>");
  CHECK(out[2].as_double() == 60.0);
  CHECK_THAT(out[3].as_string(), Holds("Unexpected key(s) in state_dict: \"0.fc.more\""));
  CHECK(out[4].as_double() == 6.0);
  CHECK(block->fc->weight.scalar_type() == at::kDouble);
}

TEST_CASE("a script's module that only C++ holds keeps its class and fields") {
  Host host;
  Value net = host.run_string(
                      "local nn = require('torch').nn "
                      "local Net = nn.class('Net') "
                      "function Net:__init() self.scale = 3 self.fc = nn.Linear(2, 2) end "
                      "function Net:forward(x) return self.fc(x) * self.scale end "
                      "return Net()")
                  .front();
  host.run_string("collectgarbage() collectgarbage()");
  host.set("net", net);
  CHECK(host.run_string("return net.scale, net(require('torch').ones(1, 2)):numel(), #net:parameters()")[0].as_int() ==
        3);
}

TEST_CASE("a Host is used by the thread that made it") {
  Host host;
  std::string message;
  std::thread([&] {
    try {
      host.run_string("x = 1");
    } catch (const Error& e) {
      message = e.what();
    }
  }).join();
  CHECK_THAT(message, Holds("the thread that made it"));
  CHECK(host.get("x").is_nil());
}

TEST_CASE("an interruption from another thread reaches through a call into C++ and back") {
  Host host;
  host.add_function("into", [&](std::span<const Value> in) { return in[0].as_function()({}); });
  std::thread watchdog([&] {
    while (host.interrupt() == 0) std::this_thread::yield();
  });
  try {
    host.run_string(
        "while true do pcall(into, function() while true do pcall(function() while true do end end) end end) end");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::interrupted);
  }
  watchdog.join();
}

// Has `told` set to what the handlers of at_exit are told.
static void tell_the_end(Host& host, std::string& told) {
  host.add_function("tell", [&told](std::span<const Value> in) {
    told = in[0].as_string();
    return std::vector<Value>();
  });
  host.run_string("require('host').at_exit(tell)");
}

TEST_CASE("the end of the script is told how it ended") {
  for (const auto& [code, status] : {std::pair{"", "finished"}, std::pair{"error('x')", "failed"},
                                     std::pair{"os.exit(2)", "failed"}, std::pair{"os.exit()", "finished"}}) {
    std::string told;
    Host host;
    tell_the_end(host, told);
    try {
      host.run_string(code);
    } catch (const Error&) {
    }
    host.run_string("x = 1");  // what went well later does not undo it
    CHECK(host.close().empty());
    CHECK(told == status);
  }
}

TEST_CASE("exit codes, parameters, versions") {
  Options options;
  options.params = {{"lr", "0.5"}, {"layrs", "3"}};
  Host host(options);
  host.run_string("local h = require 'host' lr = h.param('lr', 0.1) h.param('layers', 2)");
  CHECK(host.get("lr").as_double() == 0.5);
  REQUIRE(host.unread_params().size() == 1);
  CHECK(host.unread_params()[0].nearest.front() == "layers");
  CHECK(host.run_string("os.exit(4)").empty());
  CHECK(host.exit_code() == 4);
  Host moved = std::move(host);
  moved.run_string("");
  CHECK_FALSE(moved.exit_code().has_value());
  CHECK(versions().torch == versions().torch_built_against);
}

TEST_CASE("a script whose results cannot be handed over has finished all the same") {
  for (const char* code : {"return coroutine.create(print)", "return {1, 2, x = 3}"}) {
    std::string told;
    Host host;
    tell_the_end(host, told);
    CHECK_THROWS_WITH(host.run_string(code), Holds("cannot be handed to C++"));
    CHECK(host.run_string(code, "=code", Results::dropped).empty());
    CHECK(host.close().empty());
    CHECK(told == "finished");
  }
}

TEST_CASE("what a script has set ends with its Host") {
  for (int i = 0; i < 2; ++i) {
    Host host;
    const std::string before = "local torch = require 'torch' return tostring(torch.get_default_device())";
    CHECK(host.run_string(before).front().as_string() == "cpu");
    host.run_string("require('torch').set_default_device('meta')");
    CHECK(host.run_string(before).front().as_string() == "meta");
  }
}

TEST_CASE("a closed Host, and one that was moved from, say so") {
  Host host;
  const Value f = host.run_string("return function() end").front();
  CHECK(host.close().empty());
  Host moved = std::move(host);
  for (Host* each : {&moved, &host}) {
    const std::string why = each == &moved ? "this Host is closed" : "this Host was moved from";
    CHECK_THROWS_WITH(each->run_string("return 1"), Holds(why));
    CHECK_THROWS_WITH(each->run_file("x.lua"), Holds(why));
    CHECK_THROWS_WITH(each->call("print"), Holds(why));
    CHECK_THROWS_WITH(each->get("x"), Holds(why));
    CHECK_THROWS_WITH(each->set("x", 1), Holds(why));
    CHECK_THROWS_WITH(each->add_function("f", [](std::span<const Value>) { return std::vector<Value>(); }), Holds(why));
    CHECK_THROWS_WITH(each->run_posted(), Holds(why));
    CHECK_THROWS_WITH(each->unread_params(), Holds(why));
    CHECK_THROWS_WITH(each->repl(), Holds(why));
    CHECK(each->interrupt() == 0);
    CHECK_FALSE(each->post([] {}));
    CHECK_FALSE(each->exit_code().has_value());
    CHECK(each->close().empty());
  }
  CHECK_THROWS_WITH(f.as_function()({}), Holds("its Host is closed"));
}

TEST_CASE("a Host that is assigned over runs what its script left for the end") {
  std::string told;
  Host host;
  host.add_function("tell", [&](std::span<const Value> in) {
    told = in[0].as_string();
    return std::vector<Value>();
  });
  host.run_string("require('host').at_exit(tell)");
  host = Host();
  CHECK(told == "finished");
  CHECK(host.run_string("return 1").front().as_int() == 1);
}

TEST_CASE("a post that throws is an error of the call, and the Host goes on and ends") {
  bool ran = false;
  Host host;
  CHECK(host.post([] { throw std::runtime_error("thrown"); }));
  CHECK(host.post([&] { ran = true; }));
  CHECK_THROWS_WITH(host.run_string("return 1"), "thrown");
  CHECK(host.run_string("return 1").front().as_int() == 1);
  CHECK(ran);
  CHECK(host.post([] { throw std::runtime_error("at the end"); }));
  CHECK(host.close() == std::vector<std::string>{"at the end"});
  Host left;
  CHECK(left.post([] { throw std::runtime_error("in the destructor"); }));
}

TEST_CASE("a script that breaks its globals makes errors, and no values are left behind") {
  Host host;
  host.run_string("require = nil setmetatable(_G, {__index = function(_, name) error('no ' .. name, 0) end})");
  Value nested = at::ones({1});
  for (int i = 0; i < 90; ++i) nested = Value::List{nested};
  for (int i = 0; i < 12000; ++i) REQUIRE_THROWS_WITH(host.set("x", nested), Holds("no require"));
  host.set("x", 1);
  CHECK(host.get("x").as_int() == 1);
  CHECK_THROWS_WITH(host.get("y"), Holds("no y"));
  Host other;
  other.run_string("require = function() os.exit(0) end");
  CHECK_THROWS_AS(other.set("x", at::ones({1})), Error);
}
