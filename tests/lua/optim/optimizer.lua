-- torch.optim: groups, live hyperparameters, closures, state dicts, bad input.
local test = require "test"
local torch = require "torch"
local nn = torch.nn

local function loss_of(net) return net(torch.ones(2, 3)):pow(2):sum() end

local function train(net, opt, steps)
  for _ = 1, steps do
    opt:zero_grad()
    loss_of(net):backward()
    opt:step()
  end
end

test.case("an empty table in the options' place is no options", function()
  local weight = torch.nn.Parameter(torch.ones(2))
  test.equal(torch.optim.SGD({weight}, {}).param_groups[1].lr, 1e-3)
  test.equal(torch.optim.AdamW({weight}, {}).param_groups[1].weight_decay, 0.01)
  test.raises("Invalid learning rate", torch.optim.SGD, {weight}, {1})
end)

test.case("a step follows the gradient and zero_grad frees it", function()
  local w = nn.Parameter(torch.tensor{1.0, 2.0})
  local opt = torch.optim.SGD({w}, {lr = 0.5})
  w.grad = torch.tensor{1.0, -1.0}
  opt:step()
  test.equal(w:tolist(), {0.5, 2.5})
  opt:zero_grad{set_to_none = false}
  test.equal(w.grad:tolist(), {0.0, 0.0})
  opt:zero_grad()
  test.equal(w.grad, nil)
  opt:step()
  test.equal(w:tolist(), {0.5, 2.5})
end)

test.case("writing a group's lr takes effect", function()
  local w = nn.Parameter(torch.tensor{1.0})
  local opt = torch.optim.SGD({w}, 0.5)
  w.grad = torch.tensor{1.0}
  opt.param_groups[1].lr = 0.25
  opt:step()
  test.equal(w:tolist(), {0.75})
  opt.param_groups[1].lr = torch.tensor(0.5)
  opt:step()
  test.equal(w:tolist(), {0.25})
  opt.param_groups[1].lr = "x"
  test.raises("'lr' must be a number, got string \"x\"", opt.step, opt)
end)

test.case("the closure's loss is returned", function()
  local net = nn.Linear(3, 1)
  local opt = torch.optim.Adam(net:parameters())
  local loss = opt:step(function()
    local l = loss_of(net)
    l:backward()
    return l
  end)
  test.truthy(loss:item() > 0)
end)

test.case("a state dict is laid out as PyTorch's", function()
  local net = nn.Linear(3, 1)
  local opt = torch.optim.AdamW(net:parameters(), {lr = 0.1})
  train(net, opt, 2)
  local dict = opt:state_dict()
  test.equal(dict.param_groups[1].params, {0, 1})
  test.equal(dict.param_groups[1].lr, 0.1)
  test.equal(dict.param_groups[1].betas, {0.9, 0.999})
  test.equal(dict.state[0].step:item(), 2.0)
  test.equal(dict.state[0].exp_avg.shape[2], 3)
  test.truthy(dict.state[1].exp_avg_sq)
  test.equal(dict.state[2], nil)
  test.equal(torch.optim.SGD(net:parameters()):state_dict().state, {})
end)

for _, rule in ipairs {"SGD", "Adam", "AdamW"} do
  test.case("a loaded " .. rule .. " goes on bit for bit", function()
    local options = rule == "SGD" and {lr = 0.05, momentum = 0.9} or {lr = 0.05, amsgrad = true}
    local a = nn.Linear(3, 2)
    local first = torch.optim[rule](a:parameters(), options)
    train(a, first, 3)
    local b = a:deepcopy()
    local second = torch.optim[rule](b:parameters(), {lr = 9})
    second:load_state_dict(first:state_dict())
    test.equal(second.param_groups[1].lr, 0.05)
    train(a, first, 3)
    train(b, second, 3)
    test.equal(b.weight:detach(), a.weight:detach())
    test.equal(b.bias:detach(), a.bias:detach())
  end)
end

test.case("a loaded state is a copy, and step may be a number", function()
  local w = nn.Parameter(torch.ones(2))
  local opt = torch.optim.Adam({w})
  local moment = torch.ones(2)
  opt:load_state_dict{state = {[0] = {step = 4, exp_avg = moment, exp_avg_sq = torch.ones(2)}},
    param_groups = {{lr = 0.1, params = {0}}}}
  w.grad = torch.ones(2)
  opt:step()
  test.equal(moment, torch.ones(2))
  test.equal(opt:state_dict().state[0].step:item(), 5.0)
  test.equal(opt.param_groups[1].eps, 1e-8)
end)

test.case("loading what does not fit is refused", function()
  local opt = torch.optim.Adam({nn.Parameter(torch.ones(2))})
  test.raises("different number of parameter groups", opt.load_state_dict, opt, {state = {}, param_groups = {}})
  test.raises("doesn't match the size", opt.load_state_dict, opt,
    {state = {}, param_groups = {{params = {0, 1}}}})
  test.raises("expected shape", opt.load_state_dict, opt,
    {state = {[0] = {exp_avg = torch.ones(3)}}, param_groups = {{params = {0}}}})
  test.raises("does not belong to this optimizer", opt.load_state_dict, opt,
    {state = {[0] = {momentum_buffer = torch.ones(2)}}, param_groups = {{params = {0}}}})
end)

test.case("bad input is refused before the first step", function()
  local w = nn.Parameter(torch.ones(2))
  test.raises("empty parameter list", torch.optim.Adam, {})
  test.raises("give it model:parameters", torch.optim.Adam, nn.Linear(1, 1))
  test.raises("one of the params is int", torch.optim.Adam, {w, 3})
  test.raises("Invalid learning rate: %-1", torch.optim.Adam, {w}, {lr = -1})
  test.raises("Invalid beta parameter at index 1", torch.optim.Adam, {w}, {betas = {0.9, 1}})
  test.raises("Nesterov momentum requires", torch.optim.SGD, {w}, {nesterov = true})
  test.raises("unknown keyword .*learning_rate", torch.optim.Adam, {w}, {learning_rate = 1})
  test.raises("more than one parameter group", torch.optim.Adam, {{params = {w}}, {params = {w}}})
  test.raises("non%-leaf", torch.optim.Adam, {w * 2})
  test.raises("floating point", torch.optim.Adam, {torch.ones(2, {dtype = torch.int64})})
  test.raises("`fused` and `foreach` cannot be `True` together", torch.optim.Adam, {w}, {foreach = true, fused = true})
  test.raises("`fused` does not support `differentiable`", torch.optim.SGD, {w}, {differentiable = true, fused = true})
end)

test.case("a parameter with gaps is stepped as one without", function()
  local gaps = torch.ones(4, 4)[":, 0:2"]:requires_grad_()
  local whole = torch.ones(4, 2, {requires_grad = true})
  for _, p in ipairs {gaps, whole} do
    local opt = torch.optim.Adam({p}, {lr = 0.1})
    for i = 1, 3 do
      p.grad = torch.arange(8.0):reshape(4, 2) * i
      opt:step()
    end
  end
  test.equal(gaps:detach(), whole:detach())
end)

test.case("gradients in another layout are stepped element by element", function()
  local a = nn.Parameter(torch.arange(6.0):reshape(2, 3))
  local b = nn.Parameter(torch.arange(6.0):reshape(2, 3))
  local grad = torch.randn(3, 2)
  a.grad = grad:t()
  b.grad = grad:t():contiguous()
  for _, p in ipairs {a, b} do torch.optim.Adam({p}, {lr = 0.1}):step() end
  test.equal(a:detach(), b:detach())
end)

test.case("found_inf skips the step and its count", function()
  local w = nn.Parameter(torch.ones(2))
  local opt = torch.optim.Adam({w}, {lr = 0.1})
  w.grad = torch.ones(2)
  opt:step()
  local before = w:detach():clone()
  opt.found_inf = torch.tensor(1.0)
  opt:step()
  test.equal(w:detach(), before)
  test.equal(opt:state_dict().state[0].step:item(), 1.0)
  opt.found_inf = torch.tensor(0.0)
  opt:step()
  test.equal(opt:state_dict().state[0].step:item(), 2.0)
end)

test.case("a step follows a module to another dtype", function()
  local net = nn.Linear(3, 2)
  local opt = torch.optim.SGD(net:parameters(), {lr = 0.1})
  train(net, opt, 1)
  net:double()
  net(torch.ones(1, 3, {dtype = torch.float64})):sum():backward()
  opt:step()
  test.equal(net.weight.dtype, torch.float64)
end)

test.case("parameters become a vector and come back", function()
  local net = nn.Linear(3, 2)
  local flat = nn.utils.parameters_to_vector(net:parameters())
  test.equal(flat.shape[1], 8)
  nn.utils.vector_to_parameters(torch.zeros(8), net:parameters())
  test.equal(net.weight:abs():sum():item(), 0.0)
  nn.utils.vector_to_parameters(flat, net:parameters())
  test.equal(nn.utils.parameters_to_vector(net:parameters()):detach(), flat:detach())
end)

test.case("clipping reports the norm before and refuses what is not finite when asked", function()
  local w = nn.Parameter(torch.zeros(2))
  w.grad = torch.tensor{3.0, 4.0}
  test.near(nn.utils.clip_grad_norm_({w}, 1.0):item(), 5.0, 1e-6)
  test.near(nn.utils.get_grad_norm(w):item(), 1.0, 1e-5)
  w.grad = torch.tensor{1 / 0, 1.0}
  test.raises("is non-finite", nn.utils.clip_grad_norm_, w, 1.0, {error_if_nonfinite = true})
end)

test.case("opt.state has the state of each parameter by name", function()
  local one, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
  local opt = torch.optim.Adam({{params = {one}}, {params = {other}, lr = 0.1}})
  test.equal(next(opt.state[other]), nil)
  other:sum():backward()
  opt:step()
  test.equal(opt.state[other].step:item(), 1.0)
  test.near(opt.state[other].exp_avg[0]:item(), 0.1, 1e-7)
  test.equal(next(opt.state[one]), nil)
  local count = 0
  for param, state in pairs(opt.state) do
    test.truthy(param == other and state.exp_avg_sq)
    count = count + 1
  end
  test.equal(count, 1)
  opt.state[other] = {}
  test.equal(next(opt.state[other]), nil)
  test.raises("this is no parameter", function() opt.state[torch.ones(2)] = {} end)
  test.equal(next(opt.state[torch.ones(2)]), nil)
end)

test.case("a state dict that does not fit leaves the optimizer as it was", function()
  local function make(columns)
    local w, b = torch.ones(2, columns, {requires_grad = true}), torch.ones(2, {requires_grad = true})
    local opt = torch.optim.Adam({{params = {b}}, {params = {w}, lr = 0.5}}, {lr = 0.1})
    b.grad, w.grad = torch.ones(2), torch.ones(2, columns)
    opt:step()
    return opt
  end
  local opt, other = make(3), make(4)
  local function copy()
    local dict = opt:state_dict()
    for _, state in pairs(dict.state) do
      for name, tensor in pairs(state) do state[name] = tensor:clone() end
    end
    return dict
  end
  local before, wrong = copy(), other:state_dict()
  wrong.param_groups[1].lr = 7
  test.equal(test.raises("", opt.load_state_dict, opt, wrong).kind, "shape")
  test.equal(copy(), before)
  wrong = copy()
  wrong.param_groups[1].lr, wrong.param_groups[2].lr = 7, -1
  test.raises("Invalid learning rate: %-1", opt.load_state_dict, opt, wrong)
  test.equal(copy(), before)
  opt:step()
  test.equal(opt:state_dict().state[0].step:item(), 2.0)
end)

test.case("of several wrong options the first in PyTorch's order is named", function()
  for _ = 1, 20 do
    test.raises("Invalid learning rate: %-1", torch.optim.SGD, {torch.ones(1)},
      {weight_decay = -1, lr = -1, momentum = -1})
  end
end)

test.case("clipping gives the same with one kernel for all and one for each", function()
  for _, foreach in ipairs {true, false} do
    local w = torch.ones(2, {requires_grad = true})
    w.grad = torch.tensor{3.0, 4.0}
    test.near(nn.utils.clip_grad_norm_(w, 1.0, {foreach = foreach}):item(), 5.0, 1e-6)
    test.near(w.grad[1]:item(), 0.8, 1e-6)
    nn.utils.clip_grad_value_(w, 0.5, {foreach = foreach})
    test.equal(w.grad, torch.full({2}, 0.5))
  end
end)

test.case("zero_grad refuses keywords that it does not have", function()
  local w = torch.ones(2, {requires_grad = true})
  local opt = torch.optim.SGD({w})
  test.raises("unknown keyword string \"to_none\"", opt.zero_grad, opt, {to_none = true})
  w.grad = torch.ones(2)
  opt:zero_grad{set_to_none = false}
  test.equal(w.grad, torch.zeros(2))
  opt:zero_grad()
  test.equal(w.grad, nil)
end)

test.case("a fused step refuses a state of another shape and follows other strides", function()
  for name, options in pairs {Adam = {}, AdamW = {amsgrad = true}, Adagrad = {}, SGD = {lr = 0.1, momentum = 0.9}} do
    local layer = nn.Linear(3, 1)
    local optimizer = torch.optim[name](layer:parameters(), options)
    layer(torch.ones(1, 3)):sum():backward()
    optimizer:step()
    layer.weight.data = torch.ones(50, 50)
    layer.weight.grad = torch.ones(50, 50)
    test.raises("of a parameter of shape %[50, 50%] has shape %[1, 3%]", optimizer.step, optimizer)
  end
  local function trained(to_other_strides)
    local weight = nn.Parameter(torch.arange(6.0):view(2, 3))
    local optimizer = torch.optim.Adam {weight}
    for i = 1, 2 do
      weight.grad = torch.tensor {{1.0, -2.0, 3.0}, {-4.0, 5.0, -6.0}} * i
      optimizer:step()
      if to_other_strides then weight.data = weight.data:t():contiguous():t() end
    end
    return weight:detach():contiguous()
  end
  test.equal(trained(true), trained(false))
end)

test.case("a group with too few betas is an error", function()
  local x = torch.ones(1, {requires_grad = true})
  x.grad = torch.ones(1)
  local optimizer = torch.optim.Adam {x}
  optimizer.param_groups[1].betas = {0.9}
  test.raises("'betas' must be a table of numbers", optimizer.step, optimizer)
  test.equal(x:tolist(), {1.0})
end)
