// The catalog: the dispatcher's schemas, read once per operator name.
#include "host/tensor/catalog.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/enum_tag.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "host/tensor/guards.h"
#include "host/tensor/schema.h"
#include "host/tensor/visibility.h"

namespace trainhost::tensor {
namespace {

bool takes_numbers_for_tensors(const std::string& name) {
  static const std::unordered_set<std::string> kNames = {
      "add",         "add_",         "sub",          "sub_",          "subtract", "subtract_", "mul",
      "mul_",        "multiply",     "multiply_",    "div",           "div_",     "divide",    "divide_",
      "true_divide", "true_divide_", "floor_divide", "floor_divide_", "copy_"};
  return kNames.count(name) > 0;
}

// Of these PyTorch does not bind the overload for a number: x + 1 is add.Tensor.
bool is_add_sub_mul_or_div(std::string_view name) {
  if (name.ends_with('_')) name.remove_suffix(1);
  return name == "add" || name == "sub" || name == "mul" || name == "div";
}

class Catalog {
 public:
  static Catalog& the() {
    static auto* catalog = new Catalog;  // like the dispatcher, alive until the process ends
    return *catalog;
  }

  // `all`: with the overloads that PyTorch binds to torch.ops alone.
  const Operator* find(const std::string& qualified_name, bool all) {
    std::lock_guard lock(mutex_);
    auto& operators = operators_[all];
    if (auto found = operators.find(qualified_name); found != operators.end()) return found->second.get();
    auto row = index_.find(qualified_name);
    if (row == index_.end()) {
      read_index();  // a library of custom operators may have been loaded
      row = index_.find(qualified_name);
      if (row == index_.end()) return nullptr;
    }
    return operators.emplace(qualified_name, read_operator(qualified_name, row->second, all)).first->second.get();
  }

  const Operator* find_overload(const std::string& qualified_name, const std::string& overload_name) {
    std::lock_guard lock(mutex_);
    const std::string key = qualified_name + "." + overload_name;
    auto& operators = operators_[true];
    if (auto found = operators.find(key); found != operators.end()) return found->second.get();
    const std::string name = overload_name == "default" ? "" : overload_name;
    if (!c10::Dispatcher::singleton().findSchema({qualified_name, name})) return nullptr;
    auto op = read_operator(qualified_name, {name}, /*all=*/true);
    op->name = key;
    return operators.emplace(key, std::move(op)).first->second.get();
  }

  std::vector<std::string> overload_names(const std::string& qualified_name) {
    std::lock_guard lock(mutex_);
    if (index_.count(qualified_name) == 0) read_index();
    std::vector<std::string> names;
    if (auto row = index_.find(qualified_name); row != index_.end())
      for (const std::string& name : row->second) names.push_back(name.empty() ? "default" : name);
    std::sort(names.begin(), names.end());
    return names;
  }

  void refresh() {
    std::lock_guard lock(mutex_);
    auto before = std::move(index_);
    read_index();
    for (const auto& [name, overloads] : index_) {
      const auto known = before.find(name);
      if (known != before.end() && known->second.size() == overloads.size()) continue;
      for (const bool all : {false, true})
        if (const auto found = operators_[all].find(name); found != operators_[all].end())
          replaced_.push_back(std::exchange(found->second, read_operator(name, overloads, all)));  // Lua may hold it
    }
  }

  const std::vector<std::string>& public_names() {
    std::lock_guard lock(mutex_);
    if (public_names_.empty()) {
      for (const auto& [name, overloads] : index_)
        if (name.rfind("aten::", 0) == 0 && is_public_name(std::string_view(name).substr(6)) &&
            has_bound(name, overloads))
          public_names_.push_back(name.substr(6));
      std::sort(public_names_.begin(), public_names_.end());
    }
    return public_names_;
  }

  bool has(const std::string& qualified_name) {
    std::lock_guard lock(mutex_);
    return index_.count(qualified_name) > 0;
  }

 private:
  Catalog() { read_index(); }

  void read_index() {
    index_.clear();
    for (auto& name : c10::Dispatcher::singleton().getAllOpNames()) index_[name.name].push_back(name.overload_name);
  }

  // Made by PyTorch's generator from another overload: a functional form of x:exponential_(), say.
  static bool is_generated(const c10::OperatorHandle& handle) {
    return handle.hasTag(at::Tag::generated) && !handle.hasTag(at::Tag::view_copy);
  }

  static bool has_bound(const std::string& qualified_name, const std::vector<std::string>& overload_names) {
    return std::any_of(overload_names.begin(), overload_names.end(), [&](const std::string& overload_name) {
      const auto handle = c10::Dispatcher::singleton().findSchema({qualified_name, overload_name});
      return handle && !is_generated(*handle) && read_overload(*handle);
    });
  }

  static std::unique_ptr<Operator> read_operator(const std::string& qualified_name,
                                                 const std::vector<std::string>& overload_names, bool all) {
    auto op = std::make_unique<Operator>();
    op->name = qualified_name.rfind("aten::", 0) == 0 ? qualified_name.substr(6) : qualified_name;
    op->numbers_as_tensors = takes_numbers_for_tensors(op->name);
    std::vector<Overload> overloads, outs;
    for (const std::string& overload_name : overload_names) {
      if (!all && overload_name == "Scalar" && is_add_sub_mul_or_div(op->name)) continue;
      const auto handle = c10::Dispatcher::singleton().findSchema({qualified_name, overload_name});
      if (!handle || (!all && is_generated(*handle))) continue;
      std::optional<Overload> overload = read_overload(*handle);
      if (!overload) {
        if (all) op->uncallable.push_back(c10::str(handle->schema()));
        continue;
      }
      overload->guard = find_guard(qualified_name);
      if (!all) bind_as_python(op->name, *overload);
      const bool is_out = !overload->arguments.empty() && overload->arguments.back().is_out;
      auto& group = is_out ? outs : overloads;
      for (Overload& form : deprecated_forms(op->name, *overload)) group.push_back(std::move(form));
      group.push_back(std::move(*overload));
    }
    op->overloads = in_order(std::move(overloads), outs);
    op->outs = in_order(std::move(outs), {});
    // What a variant with out= leaves out is checked against the output: torch.zeros(2, {dtype = d, out = x}).
    const bool options = std::any_of(op->overloads.begin(), op->overloads.end(),
                                     [](const Overload& overload) { return overload.options; });
    for (Overload& out : op->outs) out.options |= options;
    return op;
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<std::string>> index_;
  std::unordered_map<std::string, std::unique_ptr<Operator>> operators_[2];  // bound ones, all
  std::vector<std::unique_ptr<Operator>> replaced_;
  std::vector<std::string> public_names_;
};

}  // namespace

const Operator* find_any_operator(const std::string& qualified_name) {
  return Catalog::the().find(qualified_name, true);
}

const Operator* find_overload(const std::string& qualified_name, const std::string& overload_name) {
  return Catalog::the().find_overload(qualified_name, overload_name);
}

std::vector<std::string> overload_names(const std::string& qualified_name) {
  return Catalog::the().overload_names(qualified_name);
}

void refresh_catalog() { Catalog::the().refresh(); }

const Operator* find_operator(std::string_view name) {
  if (!is_public_name(name)) return nullptr;
  const std::string qualified = "aten::" + std::string(name);
  Catalog& catalog = Catalog::the();
  if (!catalog.has(qualified)) return nullptr;
  const Operator* op = catalog.find(qualified, false);
  return op && (!op->overloads.empty() || !op->outs.empty()) ? op : nullptr;
}

const std::vector<std::string>& operator_names() { return Catalog::the().public_names(); }

}  // namespace trainhost::tensor
