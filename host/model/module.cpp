// Scripted modules over torch::nn::Module.
#include "host/model/module.h"

#include <torch/csrc/api/include/torch/nn/module.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <unordered_map>

#include "host/base/error.h"

namespace trainhost::model {
namespace {

struct NameHash {
  using is_transparent = void;
  size_t operator()(std::string_view name) const noexcept { return std::hash<std::string_view>()(name); }
};

class Scripted final : public Module {
 public:
  explicit Scripted(std::string name) : Module(std::move(name)) {}

  Slot slot(std::string_view name) const {
    const auto found = slots_.find(name);
    return found == slots_.end() ? Slot::none : found->second;
  }

  at::Tensor parameter(const std::string& name) const { return parameters_[name]; }

  void set_parameter(const std::string& name, at::Tensor tensor) {
    if (at::Tensor* old = parameters_.find(name)) *old = std::move(tensor);
    else parameters_.insert(name, std::move(tensor));
    slots_[name] = Slot::parameter;
  }

  void set_buffer(const std::string& name, at::Tensor tensor, bool persistent) {
    if (slot(name) == Slot::buffer) rebuild(&name, &tensor);
    else register_buffer(name, std::move(tensor));
    slots_[name] = Slot::buffer;
    if (persistent) transient_.erase(name);
    else transient_.insert(name);
  }

  // LibTorch's walks do not expect null children: a reserved name is only a slot, and has its place in the order.
  void set_child(const std::string& name, ModulePtr child) {
    const bool there = named_children().contains(name), is_new = child && !there;
    if (!child && there) unregister_module(name);
    if (child && there) replace_module(name, std::move(child));
    else if (child) register_module(name, std::move(child));
    auto place = std::find(child_order_.begin(), child_order_.end(), name);
    if (place == child_order_.end()) child_order_.push_back(name);
    else if (is_new)  // it came last: those that were behind its name go there again
      for (++place; place != child_order_.end(); ++place)
        if (const auto all = named_children(); const ModulePtr* later = all.find(*place)) {
          unregister_module(*place);
          register_module(*place, *later);
        }
    slots_[name] = Slot::child;
  }

  void remove(const std::string& name) {
    switch (slot(name)) {
      case Slot::none:
        return;
      case Slot::parameter:
        parameters_.erase(name);
        break;
      case Slot::buffer:
        rebuild(&name, nullptr);
        break;
      case Slot::child:
        if (named_children().contains(name)) unregister_module(name);
        std::erase(child_order_, name);
        break;
    }
    slots_.erase(slots_.find(name));
    transient_.erase(name);
  }

  std::vector<std::string> tensor_slots() const {
    std::vector<std::string> names = parameters_.keys();
    names.insert(names.end(), buffer_order_.begin(), buffer_order_.end());
    return names;
  }

  const std::vector<std::string>& child_slots() const { return child_order_; }

  bool persistent(const std::string& name) const { return transient_.count(name) == 0; }

  bool is_training() const noexcept override { return training_; }
  void train(bool on) override {
    for (auto& child : children()) child->train(on);
    set_training(on);
  }
  void set_training(bool on) noexcept {
    wanted_ = on;
    training_ = on && !frozen_;
  }
  void set_frozen(bool on) noexcept {
    frozen_ = on;
    set_training(wanted_);
  }
  std::optional<bool> thawed_training() const noexcept { return frozen_ ? std::optional(wanted_) : std::nullopt; }

 private:
  // torch::nn::Module adds buffers but neither replaces nor removes them, and the table is private. Copy
  // assignment is public and takes all tables: a bare module with the buffers wanted, assigned over this one.
  void rebuild(const std::string* name, const at::Tensor* replacement) {
    Scripted wanted(this->name());
    wanted.parameters_ = parameters_;
    for (const std::string& each : buffer_order_) {
      if (each != *name) wanted.register_buffer(each, buffer(each));
      else if (replacement) wanted.register_buffer(each, *replacement);
    }
    for (auto& child : named_children()) wanted.register_module(child.key(), child.value());
    Module::operator=(wanted);
    if (!replacement) std::erase(buffer_order_, *name);
  }

  // named_buffers leaves undefined ones out, and they keep their place here.
  at::Tensor buffer(const std::string& name) const {
    const auto all = named_buffers(/*recurse=*/false);
    const at::Tensor* found = all.find(name);
    return found ? *found : at::Tensor();
  }

  void register_buffer(const std::string& name, at::Tensor tensor) {
    Module::register_buffer(name, std::move(tensor));
    buffer_order_.push_back(name);
  }

  std::unordered_map<std::string, Slot, NameHash, std::equal_to<>> slots_;
  std::vector<std::string> buffer_order_, child_order_;
  std::set<std::string> transient_;       // buffers that are not saved
  bool training_ = true, wanted_ = true;  // wanted_: what it was set to last, frozen or not
  bool frozen_ = false;
};

const Scripted* scripted(const Module& module) noexcept { return dynamic_cast<const Scripted*>(&module); }

Scripted& writable(Module& module, const std::string& name, const char* kind = "module") {
  auto* own = dynamic_cast<Scripted*>(&module);
  if (!own)
    throw_usage("cannot set or remove '" + name + "': " + module.name() + " is a module written in C++",
                "copy into its tensors, or load a state dict");
  if (name.empty()) throw_usage(std::string(kind) + " name can't be empty string \"\"");
  if (name.find('.') != std::string::npos)
    throw_usage(std::string(kind) + " name can't contain \".\"" + (*kind == 'm' ? ", got: " + name : ""));
  return *own;
}

}  // namespace

ModulePtr make_module(std::string class_name) { return std::make_shared<Scripted>(std::move(class_name)); }
bool is_scripted(const Module& module) noexcept { return scripted(module) != nullptr; }
const std::string& class_name(const Module& module) { return module.name(); }

Slot slot_of(const Module& module, std::string_view name) {
  if (const Scripted* own = scripted(module)) return own->slot(name);
  const std::string key(name);
  if (module.named_parameters(false).contains(key)) return Slot::parameter;
  if (module.named_buffers(false).contains(key)) return Slot::buffer;
  return module.named_children().contains(key) ? Slot::child : Slot::none;
}

at::Tensor tensor_at(const Module& module, const std::string& name) {
  const auto own = module.named_parameters(false);
  if (const at::Tensor* found = own.find(name)) return *found;
  const auto buffered = module.named_buffers(false);
  const at::Tensor* found = buffered.find(name);
  return found ? *found : at::Tensor();
}

ModulePtr child_at(const Module& module, const std::string& name) {
  const auto all = module.named_children();
  const ModulePtr* found = all.find(name);
  return found ? *found : nullptr;
}

void set_parameter(Module& module, const std::string& name, at::Tensor tensor) {
  Scripted& own = writable(module, name, "parameter");
  if (tensor.defined() && !tensor.is_leaf())
    throw_usage("Cannot assign non-leaf Tensor to parameter '" + name +
                "'. Model parameters must be created explicitly. To express '" + name +
                "' as a function of another Tensor, compute the value in the forward() method.");
  if (own.slot(name) != Slot::parameter) own.remove(name);
  own.set_parameter(name, std::move(tensor));
}

void set_buffer(Module& module, const std::string& name, at::Tensor tensor, bool persistent) {
  Scripted& own = writable(module, name, "buffer");
  if (own.slot(name) != Slot::buffer) own.remove(name);
  own.set_buffer(name, std::move(tensor), persistent);
}

void set_child(Module& module, const std::string& name, ModulePtr child) {
  Scripted& own = writable(module, name);
  for (auto& [_, each] : child ? modules(child) : NamedModules())
    if (each.get() == &module) throw_usage("cannot make a module its own child (as '" + name + "')");
  if (own.slot(name) != Slot::child) own.remove(name);
  own.set_child(name, std::move(child));
}

bool is_persistent(const Module& module, const std::string& name) {
  const Scripted* own = scripted(module);
  return !own || own->persistent(name);
}

void remove_slot(Module& module, const std::string& name) { writable(module, name).remove(name); }

std::vector<std::string> tensor_slots(const Module& module) {
  const Scripted* own = scripted(module);
  return own ? own->tensor_slots() : std::vector<std::string>();
}

std::vector<std::string> child_slots(const Module& module) {
  const Scripted* own = scripted(module);
  return own ? own->child_slots() : module.named_children().keys();
}

bool is_training(const Module& module) noexcept { return module.is_training(); }

void set_training(Module& module, bool on) {
  if (auto* own = dynamic_cast<Scripted*>(&module)) own->set_training(on);
  else module.train(on);
}

void set_frozen(Module& module, bool on) {
  if (auto* own = dynamic_cast<Scripted*>(&module)) own->set_frozen(on);
}

std::optional<bool> thawed_training(const Module& module) {
  const Scripted* own = scripted(module);
  return own ? own->thawed_training() : std::nullopt;
}

ModulePtr clone_foreign(const Module& module) {
  ModulePtr copy = module.clone();
  const auto from = module.named_parameters(), to = copy->named_parameters();
  for (const auto& parameter : from)  // clone() makes the parameters anew: as they were made once
    if (const at::Tensor* own = to.find(parameter.key())) own->set_requires_grad(parameter.value().requires_grad());
  return copy;
}

std::string describe(const Module& module) {
  std::ostringstream text;
  text << module;
  return text.str();
}

}  // namespace trainhost::model
