// What a script needs of modules: slots that can be written and removed, names, state dicts, conversion.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace torch::nn {
class Module;
}

namespace trainhost::model {

using torch::nn::Module;
using ModulePtr = std::shared_ptr<Module>;
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;
using NamedModules = std::vector<std::pair<std::string, ModulePtr>>;

// A module whose layers are written by a script: a real torch::nn::Module, so that C++ code reads it like any
// other. `class_name` is what it prints as and what errors call it.
ModulePtr make_module(std::string class_name);
// Was it made by make_module? The slots of any other (a foreign module, written in C++) are its own: they can
// be read, loaded and converted, not replaced.
bool is_scripted(const Module& module) noexcept;
const std::string& class_name(const Module& module);

// --- Slots. Names must not be empty nor hold a dot; setters are usage errors on a foreign module.
enum class Slot : unsigned char { none, parameter, buffer, child };
// What `name` is. An undefined parameter or buffer (PyTorch's None) counts as one.
Slot slot_of(const Module& module, std::string_view name);
// The tensor or child in that slot; undefined or null if there is none.
at::Tensor tensor_at(const Module& module, const std::string& name);
ModulePtr child_at(const Module& module, const std::string& name);
// Adds, or replaces in place: the order of the others stays. An undefined tensor or a null child reserves the name.
void set_parameter(Module& module, const std::string& name, at::Tensor tensor);
void set_buffer(Module& module, const std::string& name, at::Tensor tensor, bool persistent);
void set_child(Module& module, const std::string& name, ModulePtr child);
bool is_persistent(const Module& module, const std::string& name);
void remove_slot(Module& module, const std::string& name);

// --- Walks, in PyTorch's order: own slots, then the children's, names joined by dots. A tensor or a module
// reached twice is listed once, under its first name.
// Without `unique` each time.
NamedTensors parameters(const Module& module, bool recurse = true, bool unique = true);
NamedTensors buffers(const Module& module, bool recurse = true, bool unique = true);
NamedModules children(const Module& module, bool unique = true);
// The names of its own parameters, then buffers, undefined ones too. Scripted modules only.
std::vector<std::string> tensor_slots(const Module& module);
// The names of its children, null ones too.
std::vector<std::string> child_slots(const Module& module);
NamedModules modules(const ModulePtr& module, bool unique = true);

bool is_training(const Module& module) noexcept;
// This module alone (a foreign one takes its children along).
void set_training(Module& module, bool on);
// A frozen module stays in evaluation mode; the mode that it is set to meanwhile is its mode when it is frozen no more.
// Scripted modules only: nothing happens to a foreign one.
void set_frozen(Module& module, bool on);
// That mode, of a frozen module.
std::optional<bool> thawed_training(const Module& module);

// The parameters and the saved buffers of this module alone, in the order of a state dict.
NamedTensors own_state(const Module& module);
// own.data = data; false where kinds and layouts do not allow it.
bool set_data(const at::Tensor& own, const at::Tensor& data);
// Copies without history.
void copy_into(const at::Tensor& own, const at::Tensor& value);

void zero_grad(Module& module, bool set_to_none);
void set_requires_grad(Module& module, bool on);

// A copy of a foreign module through its own clone(); usage error if it has none.
ModulePtr clone_foreign(const Module& module);
// As LibTorch prints it.
std::string describe(const Module& module);

}  // namespace trainhost::model
