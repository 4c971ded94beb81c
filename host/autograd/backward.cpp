// The checks of torch/autograd/__init__.py, then the engine.
#include "host/autograd/backward.h"

#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/AutogradState.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/variable.h>

#include "host/autograd/node.h"
#include "host/base/error.h"
#include "host/tensor/cuda.h"
#include "host/tensor/names.h"

namespace trainhost::autograd {

struct End::Place {
  NodePtr node;
  uint32_t output_nr;
};

End::End(const NodePtr& node, uint32_t output_nr) : place(new Place{node, output_nr}) {}

namespace {

namespace ft = at::functorch;

std::string size_text(at::IntArrayRef sizes) {
  std::string text = "torch.Size([";
  for (size_t i = 0; i < sizes.size(); ++i) text += (i ? ", " : "") + std::to_string(sizes[i]);
  return text + "])";
}

std::string dtype_text(const at::Tensor& x) { return "torch." + std::string(tensor::name_of(x.scalar_type())); }

const torch::autograd::InputMetadata& metadata_of(const End& end) {
  const auto& [node, output_nr] = *end.place;
  if (output_nr >= node->num_inputs())
    throw_usage("GradientEdge: " + node->name() + " has " + std::to_string(node->num_inputs()) +
                " outputs, got output_nr " + std::to_string(output_nr));
  return node->input_metadata(output_nr);
}

// A tensor without memory that looks like what the place in the graph stands for.
at::Tensor stand_in(const End& end) {
  const auto& metadata = metadata_of(end);
  if (metadata.is_cpp_nested_tensor()) throw_usage("C++ NestedTensor are not supported with GradientEdge");
  return at::empty_symint(metadata.shape_as_dim_vector(), metadata.options().device(at::kMeta)).requires_grad_();
}

// What stands for a gradient that was not given.
at::Tensor implicit_gradient(const at::Tensor& output, at::Device device) {
  if (!output.requires_grad()) return {};
  if (output.numel() != 1) throw Error(ErrorKind::shape, "grad can be implicitly created only for scalar outputs");
  if (!at::isFloatingType(output.scalar_type()))
    throw Error(ErrorKind::dtype,
                "grad can be implicitly created only for real scalar outputs but got " + dtype_text(output));
  return at::ones_like(output, output.options().device(device).requires_grad(false));
}

void check_gradient(const at::Tensor& output, const at::Tensor& grad, size_t i, bool batched) {
  const std::string place = std::to_string(i);
  at::IntArrayRef sizes = grad.sizes();
  if (batched) {
    if (sizes.empty()) throw Error(ErrorKind::shape, "grad_output[" + place + "] must have a batch dimension");
    sizes = sizes.slice(1);
  }
  if (!output.is_nested() && sizes != output.sizes()) {
    const std::string shapes = "grad_output[" + place + "] has a shape of " +
                               size_text(batched ? sizes : grad.sizes()) + " and output[" + place +
                               "] has a shape of " + size_text(output.sizes()) + ".";
    throw Error(ErrorKind::shape,
                batched ? "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the "
                          "batch dimension. The sizes of the remaining dimensions are expected to match the shape of "
                          "corresponding output, but a mismatch was detected: " +
                              shapes +
                              " If you only want some tensors in `grad_output` to be considered batched, consider "
                              "using vmap."
                        : "Mismatch in shape: " + shapes);
  }
  if (output.is_complex() != grad.is_complex())
    throw Error(ErrorKind::dtype,
                "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in "
                "dtype: grad_output[" +
                    place + "] has a dtype of " + dtype_text(grad) + " and output[" + place + "] has a dtype of " +
                    dtype_text(output) + ".");
}

torch::autograd::edge_list output_edges(const BackwardRequest& request) {
  torch::autograd::edge_list edges;
  for (const End& end : request.inputs) {
    if (end.place) {
      metadata_of(end);  // the engine writes to this place unchecked
      edges.emplace_back(end.place->node, end.place->output_nr);
      continue;
    }
    const at::Tensor& input = end.tensor;
    NodePtr node = input.grad_fn();
    if (!node) node = torch::autograd::impl::try_get_grad_accumulator(input);
    if (request.accumulate && input.requires_grad() && !input.is_leaf()) input.retain_grad();
    if (!input.requires_grad()) throw_usage("One of the differentiated Tensors does not require grad");
    // A leaf that nothing was computed from: a node that no path reaches.
    if (!node) edges.emplace_back(make_node<torch::autograd::Identity>(), 0);
    else edges.emplace_back(std::move(node), input.output_nr());
  }
  return edges;
}

std::vector<at::Tensor> execute(const BackwardRequest& request) {
  torch::autograd::edge_list roots;
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    const End& output = request.outputs[i];
    auto edge = output.place ? torch::autograd::Edge(output.place->node, output.place->output_nr)
                             : torch::autograd::impl::gradient_edge(output.tensor);
    if (!edge.function)
      throw_usage("element " + std::to_string(i) + " of tensors does not require grad and does not have a grad_fn");
    roots.push_back(std::move(edge));
  }
  tensor::load_cuda_if_usable();  // the engine asks for it
  return torch::autograd::Engine::get_default_engine().execute(roots, request.grad_outputs, request.retain_graph,
                                                               request.create_graph, request.accumulate,
                                                               output_edges(request));
}

struct Layer {
  explicit Layer(int64_t size)
      : level(ft::initAndPushDynamicLayer(ft::TransformType::Vmap, c10::SymInt(size), ft::RandomnessType::Error)) {}
  ~Layer() { ft::popDynamicLayerAndDeleteMetadata(); }
  const int64_t level;
};

std::vector<at::Tensor> execute_batched(BackwardRequest& request) {
  int64_t size = -1;
  for (const at::Tensor& grad : request.grad_outputs)
    if (grad.defined()) size = grad.size(0);
  if (size < 0) throw_usage("vmap: Expected at least one Tensor to vmap over");
  Layer layer(size);
  for (at::Tensor& grad : request.grad_outputs)
    if (grad.defined()) grad = ft::addBatchDim(grad, 0, layer.level);
  std::vector<at::Tensor> grads = execute(request);
  for (at::Tensor& grad : grads) {
    if (!grad.defined()) continue;
    const auto* batched = ft::maybeGetBatchedImpl(grad);
    if (batched && batched->level() == layer.level) {
      const at::Tensor value = batched->value();
      grad = value.movedim(batched->bdim(), 0);
    } else {
      std::vector<int64_t> sizes = grad.sizes().vec();
      sizes.insert(sizes.begin(), size);
      grad = grad.expand(sizes);
    }
  }
  return grads;
}

}  // namespace

Multithreading::Multithreading(bool on) noexcept : before_(is_enabled()) { set_enabled(on); }
Multithreading::~Multithreading() { set_enabled(before_); }
bool Multithreading::is_enabled() noexcept { return c10::AutogradState::get_tls_state().get_multithreading_enabled(); }
void Multithreading::set_enabled(bool on) noexcept {
  c10::AutogradState::get_tls_state().set_multithreading_enabled(on);
}

std::vector<at::Tensor> run_backward(BackwardRequest request) {
  const char* name = request.accumulate ? "backward" : "grad";
  if (request.accumulate && !ft::getDynamicLayerStack().empty())
    throw_usage(
        "backward() called inside a functorch transform. This is not supported, please use functorch.grad or "
        "functorch.vjp instead or call backward() outside of functorch transforms.");
  if (!request.accumulate && request.inputs.empty())
    throw_usage(std::string("`inputs` argument to `") + name + "()` cannot be empty.");
  for (const auto* list : {&request.outputs, &request.inputs})
    for (const End& end : *list)
      if (!end.tensor.defined() && !end.place)
        throw_usage(std::string("torch.autograd.") + name + ": expected Tensors, got nil");
  if (request.grad_outputs.empty()) request.grad_outputs.resize(request.outputs.size());
  if (request.grad_outputs.size() != request.outputs.size())
    throw_usage("got " + std::to_string(request.outputs.size()) + " tensors and " +
                std::to_string(request.grad_outputs.size()) + " gradients");
  for (size_t i = 0; i < request.outputs.size(); ++i) {
    at::Tensor& grad = request.grad_outputs[i];
    const End& output = request.outputs[i];
    if (output.place && grad.defined() && request.grads_batched)
      throw_usage("Batched grads are not supported with GradientEdge");
    const at::Tensor like = output.place ? stand_in(output) : output.tensor;
    if (grad.defined()) check_gradient(like, grad, i, request.grads_batched);
    else grad = implicit_gradient(like, output.place ? metadata_of(output).device() : like.device());
  }
  const Multithreading guard(Multithreading::is_enabled() && !request.on_this_thread);
  std::vector<at::Tensor> grads = request.grads_batched ? execute_batched(request) : execute(request);
  if (request.accumulate) return {};
  for (size_t i = 0; i < grads.size(); ++i) {
    if (grads[i].defined()) continue;
    if (!request.allow_unused)
      throw_usage(
          "The differentiated Tensor at index " + std::to_string(i) +
          " appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior.");
    if (request.materialize_grads && request.inputs[i].place)
      throw_usage("materialize_grads cannot be used when the given input is a GradientEdge");
    if (request.materialize_grads)
      grads[i] = at::zeros_like(request.inputs[i].tensor).set_requires_grad(request.create_graph);
  }
  return grads;
}

}  // namespace trainhost::autograd
