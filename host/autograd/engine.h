// LibTorch's engine with what Python's adds to it: hooks on saved tensors, anomaly mode that names script lines, and
// nested backwards of any depth on the calling thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace torch::autograd {
struct Node;
struct SavedVariableHooks;
}  // namespace torch::autograd

namespace trainhost::autograd {

// What the engine asks the script that runs on this thread. Empty functions: there is none.
struct Script {
  std::function<std::unique_ptr<torch::autograd::SavedVariableHooks>()> saved_variable_hooks;  // null: none are set
  std::function<std::string()> traceback;                                                      // of the forward call
};
Script& thread_script() noexcept;

// What a script keeps with a node for as long as that lives; null where the engine is another one.
std::shared_ptr<void>* script_data(torch::autograd::Node& node);

// Makes it the process's engine, once; where the program has another one (Python's), that stays.
void install_engine();

}  // namespace trainhost::autograd
