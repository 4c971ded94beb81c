// The walks over modules that PyTorch does in Python.
#include <torch/csrc/api/include/torch/nn/module.h>

#include <functional>
#include <unordered_set>

#include "host/model/module.h"

namespace trainhost::model {
namespace {

std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

// `seen` is null where modules are visited as often as they are reached.
void visit(const ModulePtr& module, const std::string& prefix, std::unordered_set<const Module*>* seen,
           const std::function<void(const std::string&, const ModulePtr&)>& f) {
  if (seen && !seen->insert(module.get()).second) return;
  f(prefix, module);
  for (auto& child : module->named_children())
    if (child.value()) visit(child.value(), join(prefix, child.key()), seen, f);
}

// A walk takes a const Module&, for which there is no shared_ptr: its children have theirs.
template <class Own>
NamedTensors collect(const Module& module, bool recurse, bool unique, const Own& own) {
  NamedTensors out;
  std::unordered_set<const c10::TensorImpl*> seen;
  const auto add = [&](const std::string& prefix, const Module& each) {
    for (auto& item : own(each))
      if (item.value().defined() && (seen.insert(item.value().unsafeGetTensorImpl()).second || !unique))
        out.emplace_back(join(prefix, item.key()), item.value());
  };
  add("", module);
  if (!recurse) return out;
  std::unordered_set<const Module*> visited{&module};
  for (auto& child : module.named_children())
    visit(child.value(), child.key(), unique ? &visited : nullptr,
          [&](const std::string& name, const ModulePtr& m) { add(name, *m); });
  return out;
}

}  // namespace

NamedTensors parameters(const Module& module, bool recurse, bool unique) {
  return collect(module, recurse, unique, [](const Module& m) { return m.named_parameters(false); });
}

NamedTensors buffers(const Module& module, bool recurse, bool unique) {
  return collect(module, recurse, unique, [](const Module& m) { return m.named_buffers(false); });
}

NamedModules children(const Module& module, bool unique) {
  NamedModules out;
  std::unordered_set<const Module*> seen;
  for (auto& child : module.named_children())
    if (child.value() && (seen.insert(child.value().get()).second || !unique))
      out.emplace_back(child.key(), child.value());
  return out;
}

NamedModules modules(const ModulePtr& module, bool unique) {
  NamedModules out;
  std::unordered_set<const Module*> seen;
  visit(module, "", unique ? &seen : nullptr,
        [&](const std::string& name, const ModulePtr& m) { out.emplace_back(name, m); });
  return out;
}

}  // namespace trainhost::model
