// x.grad_fn: the nodes of the graph as Lua values.
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/variable.h>

#include "bindings/autograd.h"
#include "bindings/autograd_function.h"
#include "bindings/reference.h"
#include "host/autograd/engine.h"
#include "host/vm/weak_table.h"

namespace trainhost::bindings {
namespace {

using autograd::NodePtr;
using torch::autograd::Node;

const char kNodes = 0;  // its address is the key of a weak table in the registry: Node* -> its value -> its tensor

NodePtr& node_at(lua_State* L, int index) { return check<Node>(L, index); }

int name(lua_State* L) {
  const std::string text = node_at(L, 1)->name();
  return lua_pushlstring(L, text.data(), text.size()), 1;
}

int sequence_nr(lua_State* L) { return lua_pushinteger(L, static_cast<lua_Integer>(node_at(L, 1)->sequence_nr())), 1; }

// {{node, index}, ...}: an edge that leads nowhere is {nil, 0}.
int get_next_functions(lua_State* L) {
  const auto& edges = node_at(L, 1)->next_edges();
  lua_createtable(L, static_cast<int>(edges.size()), 0);
  for (size_t i = 0; i < edges.size(); ++i) {
    lua_createtable(L, 2, 0);
    push_node(L, edges[i].function);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, edges[i].is_valid() ? static_cast<lua_Integer>(edges[i].input_nr) : 0);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, static_cast<lua_Integer>(i + 1));
  }
  return 1;
}

int get_variable(lua_State* L) {
  const auto* accumulate = dynamic_cast<torch::autograd::AccumulateGrad*>(node_at(L, 1).get());
  if (!accumulate) return lua_pushnil(L), 1;
  push_identity(L, accumulate->variable);
  return 1;
}

int get_metadata(lua_State* L) {
  std::shared_ptr<void>* data = autograd::script_data(*node_at(L, 1));
  if (!data) throw_usage("Node.metadata: the nodes of this process belong to another engine");
  if (!*data) {
    lua_settop(L, 1);
    push_output(L, 1);
    lua_newtable(L);
    auto reference = std::make_shared<Reference>(L, -1);
    reference->held_for(L, 1, 2, node_at(L, 1).get());
    *data = std::move(reference);
    return 1;
  }
  static_cast<const Reference*>(data->get())->push(L);
  return 1;
}

constexpr Row kAttributes[] = {
    {"next_functions", guarded<get_next_functions>,
     "The nodes that its gradients go to, each with the number of the input.\n@type {[1]: Node?, [2]: integer}[]"},
    {"variable", guarded<get_variable>, "The leaf of an AccumulateGrad, else nil.\n@type Tensor?"},
    {"metadata", guarded<get_metadata>, "A table for the script's own remarks.\n@type table"},
    {nullptr, nullptr, nullptr}};

// Upvalues: methods, attributes.
int node_index(lua_State* L) {
  lua_settop(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
      const lua_CFunction attribute = lua_tocfunction(L, -1);
      lua_settop(L, 1);
      return attribute(L);
    }
    lua_settop(L, 2);
  }
  if (push_context(L, node_at(L, 1).get())) {  // of a Function: its ctx, as in PyTorch
    lua_pushvalue(L, 2);
    lua_gettable(L, -2);
    return 1;
  }
  if (lua_type(L, 2) != LUA_TSTRING) return lua_pushnil(L), 1;
  const std::string key = lua_tostring(L, 2), node = node_at(L, 1)->name();
  if (key.starts_with("_saved_") || key.starts_with("_raw_saved_"))
    throw_usage("'" + node + "': LibTorch's nodes do not tell what they saved by name, got '" + key + "'",
                "torch.autograd.graph.saved_tensors_hooks sees each tensor when it is saved");
  throw_usage("'" + node + "' object has no attribute '" + key + "'",
              "it has name, next_functions, variable, metadata, register_hook and register_prehook");
}

int node_tostring(lua_State* L) {
  const auto* node = test<Node>(L, 1);
  std::string text = node && *node ? (*node)->name() : "freed";
  if (const size_t space = text.rfind("::"); space != std::string::npos) text.erase(0, space + 2);
  lua_pushfstring(L, "<%s>", text.c_str());
  return 1;
}

int node_equal(lua_State* L) {
  const auto *a = test<Node>(L, 1), *b = test<Node>(L, 2);
  return lua_pushboolean(L, a && b && *a == *b), 1;
}

// get_gradient_edge's part in C++: the node that a tensor's gradient goes to, and the number of the input.
int gradient_edge(lua_State* L) {
  const at::Tensor& tensor = check_tensor(L, 1);
  if (!tensor.requires_grad())
    throw_usage("It is not possible to get the gradient edge for a Tensor that does not require gradients");
  auto edge = torch::autograd::impl::gradient_edge(tensor);
  push_node(L, edge.function);
  lua_pushinteger(L, static_cast<lua_Integer>(edge.input_nr));
  return 2;
}

// Will the backward that runs compute this node?
int will_execute(lua_State* L) {
  torch::autograd::Node* node = node_at(L, 1).get();
  const auto* info = torch::autograd::get_current_graph_task_exec_info();
  const auto* nodes = torch::autograd::get_current_graph_task_nodes_in_graph();
  if (!info || !nodes) throw_usage("_will_engine_execute_node: no backward is running");
  bool runs = nodes->count(node) > 0;
  if (!info->empty()) {
    const auto entry = info->find(node);
    runs = entry != info->end() && entry->second.should_execute();
  }
  return lua_pushboolean(L, runs), 1;
}

int increment_version(lua_State* L) { return torch::autograd::impl::bump_version(check_tensor(L, 1)), 0; }

}  // namespace

void push_node(lua_State* L, const NodePtr& node) {
  if (!node) return lua_pushnil(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kNodes);
  lua_rawgetp(L, -1, node.get());
  if (const NodePtr* known = test<Node>(L, -1); !known || *known != node) {
    lua_pop(L, 1);
    push<Node>(L, node);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, node.get());
  }
  lua_remove(L, -2);
}

void push_grad_fn(lua_State* L, int tensor) {
  push_node(L, check_tensor(L, tensor).grad_fn());
  if (lua_isnil(L, -1)) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kNodes);
  lua_pushvalue(L, -2);
  lua_pushvalue(L, tensor);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void push_output(lua_State* L, int index) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kNodes);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

void set_nodes(lua_State* L) {
  static constexpr Row kMetamethods[] = {{"__tostring", guarded<node_tostring>, nullptr},
                                         {"__eq", guarded<node_equal>, nullptr},
                                         {nullptr, nullptr, nullptr}};
  static constexpr Row kMethods[] = {
      {"name", guarded<name>, "\"AddBackward0\".\n@return string"},
      {"_sequence_nr", guarded<sequence_nr>, "The number of the forward call that made it.\n@return integer"},
      {nullptr, nullptr, nullptr}};
  static constexpr Row kRows[] = {
      {"gradient_edge", guarded<gradient_edge>,
       "The node that a tensor's gradient goes to, and the number of its input.\n@param tensor Tensor\n@return "
       "Node\n@return integer"},
      {"will_execute", guarded<will_execute>,
       "Will the backward that runs compute this node?\n@param node Node\n@return boolean"},
      {"increment_version", guarded<increment_version>, "Counts a change in place.\n@param tensor Tensor"},
      {nullptr, nullptr, nullptr}};
  define<Node>(L, nullptr, kMetamethods);
  vm::push_weak_table(L, "kv");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kNodes);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &vm::State::of(L).metatable(TypeId::node));
  lua_newtable(L);
  set_functions(L, kMethods);
  set_node_hook_methods(L);
  lua_newtable(L);
  set_functions(L, kAttributes);
  lua_pushcclosure(L, guarded<node_index>, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  set_functions(L, kRows);
}

}  // namespace trainhost::bindings
