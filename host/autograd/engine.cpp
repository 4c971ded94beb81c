// An Engine that asks the thread's script.
#include "host/autograd/engine.h"

#include <c10/util/Exception.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/engine.h>

#include <limits>
#include <mutex>
#include <new>
#include <utility>

#include "host/autograd/node.h"
#include "host/base/error.h"

namespace trainhost::autograd {
namespace {

// Remembers where in the script its node was made, and the node whose backward made it.
class ForwardLine final : public torch::autograd::AnomalyMetadata {
 public:
  void store_stack() override {
    if (const auto& ask = thread_script().traceback) trace_ = ask();
  }

  void print_stack(const std::string& name) override { TORCH_WARN("Error detected in ", name, ". ", text()); }

  void assign_parent(const NodePtr& parent) override {
    if (parent) parent_ = {parent->name(), dynamic_cast<ForwardLine*>(parent->metadata())};
    if (parent_.second) induced_ = parent_.second->text();
  }

  std::string text() const {
    std::string text = trace_.empty() ? "No forward pass information available. Enable detect anomaly during forward "
                                        "pass for more information."
                                      : "Traceback of forward call that caused the error:\n" + trace_;
    if (!parent_.first.empty())
      text += "\nPrevious calculation was induced by " + parent_.first +
              ". Traceback of forward call that induced the previous calculation:\n" + induced_;
    return text;
  }

  std::shared_ptr<void> script_data;

 private:
  std::string trace_, induced_;
  std::pair<std::string, ForwardLine*> parent_{{}, nullptr};
};

class ScriptEngine final : public torch::autograd::Engine {
 public:
  // Re-entrant backwards deeper than MAX_DEPTH would go on in a pool's thread: a script has one thread. (Lua limits
  // the depth first, by its "C stack overflow".)
  ScriptEngine() { max_recursion_depth_ = std::numeric_limits<int>::max(); }

  std::unique_ptr<torch::autograd::AnomalyMetadata> make_anomaly_metadata() override {
    try {
      return std::make_unique<ForwardLine>();
    } catch (const std::bad_alloc&) {
      if (torch::autograd::AnomalyMode::is_enabled()) throw;  // LibTorch takes it that there is one
      return nullptr;                                         // Node::metadata may not throw; see script_data
    }
  }

  std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
    const auto& ask = thread_script().saved_variable_hooks;
    return ask ? ask() : nullptr;
  }

  // In anomaly mode the error itself names the forward, too.
  void thread_on_exception(const std::shared_ptr<torch::autograd::GraphTask>& task, const NodePtr& node,
                           std::exception& e) override {
    auto* error = dynamic_cast<c10::Error*>(&e);
    auto* line = error && node && torch::autograd::AnomalyMode::is_enabled()
                     ? dynamic_cast<ForwardLine*>(node->metadata())
                     : nullptr;
    if (!line) return Engine::thread_on_exception(task, node, e);
    try {
      throw c10::Error({__func__, __FILE__, static_cast<uint32_t>(__LINE__)},
                       std::string(error->what_without_backtrace()) + "\n" + line->text());
    } catch (std::exception& named) {
      Engine::thread_on_exception(task, node, named);
    }
  }
};

}  // namespace

Script& thread_script() noexcept {
  thread_local Script script;
  return script;
}

std::shared_ptr<void>* script_data(torch::autograd::Node& node) {
  install_engine();
  torch::autograd::AnomalyMetadata* metadata = node.metadata();
  if (!metadata) throw std::bad_alloc();
  auto* line = dynamic_cast<ForwardLine*>(metadata);
  return line ? &line->script_data : nullptr;
}

void install_engine() {
  static std::once_flag once;
  std::call_once(once, [] {
    using torch::autograd::Engine;
    if (&Engine::get_default_engine() != &Engine::get_base_engine()) return;
    torch::autograd::set_default_engine_stub(+[]() -> Engine& {
      static ScriptEngine engine;
      return engine;
    });
  });
}

}  // namespace trainhost::autograd
