-- nn.Module: fields and slots, identity, walks, modes, state dicts, copies, hooks, errors.
local test = require "test"
local torch = require "torch"
local nn, F = torch.nn, torch.nn.functional

local Net = nn.class("Net")
function Net:__init(hidden)
  self.fc1 = nn.Linear(4, hidden or 8)
  self.act = nn.ReLU()
  self.fc2 = nn.Linear(hidden or 8, 2)
  self.scale = nn.Parameter(torch.ones(2))
  self.note = "plain"
end
function Net:forward(x) return self.fc2(self.act(self.fc1(x))) * self.scale end

local function names(iterator)
  local list = {}
  for name in iterator do list[#list + 1] = name end
  return list
end

test.case("assignment registers parameters and children, in order, own parameters first", function()
  test.equal(names(Net():named_parameters()),
    {"scale", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"})
  test.equal(names(Net():named_children()), {"fc1", "act", "fc2"})
  test.equal(names(Net():named_modules()), {"", "fc1", "act", "fc2"})
  test.equal(#Net():parameters(), 5)
  test.equal(names(Net():named_parameters{prefix = "net", recurse = false}), {"net.scale"})
end)

test.case("reassigning a child replaces it in its place", function()
  local net = Net()
  local head = nn.Linear(8, 3)
  net.fc1 = nn.Linear(4, 8, {bias = false})
  net.fc2 = head
  test.equal(names(net:named_children()), {"fc1", "act", "fc2"})
  test.equal(names(net:named_parameters()), {"scale", "fc1.weight", "fc2.weight", "fc2.bias"})
  test.truthy(net.fc2 == head)
end)

test.case("nil deletes a child, a parameter and a buffer", function()
  local net = Net()
  net:register_buffer("count", torch.zeros(1))
  net.fc2, net.scale, net.count = nil, nil, nil
  test.equal(names(net:named_parameters()), {"fc1.weight", "fc1.bias"})
  test.equal(names(net:named_buffers()), {})
  test.equal(net.fc2, nil)
  net.scale = "free again"
  test.equal(net.scale, "free again")
end)

test.case("a field is the same object whenever it is read", function()
  local net = Net()
  test.truthy(rawequal(net.fc1, net.fc1))
  test.truthy(rawequal(net.fc1, net:children()[1]))
  test.truthy(rawequal(net.fc1.weight, net:parameters()[2]))
  collectgarbage()
  test.truthy(rawequal(net.fc1, net:children()[1]))
end)

test.case("plain fields, tables and functions are fields", function()
  local net = Net()
  net.list = {1, 2}
  net.count = 1
  net.count = net.count + 1
  test.equal(net.count, 2)
  test.equal(net.list, {1, 2})
  net.note = nil
  test.equal(net.note, nil)
  net.forward = function() return "own" end
  test.equal(net(), "own")
end)

test.case("a plain tensor is no parameter", function()
  local net = Net()
  net.plain = torch.ones(2)
  test.equal(#net:parameters(), 5)
  test.equal(net.plain:sum():item(), 2.0)
end)

test.case("assignments over slots raise PyTorch's errors", function()
  local net = Net()
  net:register_buffer("mean", torch.zeros(2))
  test.raises("cannot assign 'torch.FloatTensor' as parameter 'scale' %(torch.nn.Parameter or None expected%)", function()
    net.scale = torch.ones(2)
  end)
  test.raises("cannot assign 'int' as parameter 'scale'", function() net.scale = 1 end)
  test.raises("cannot assign 'str' as child module 'fc1' %(torch.nn.Module or None expected%)", function()
    net.fc1 = "x"
  end)
  test.raises("cannot assign 'torch.FloatTensor' as child module 'fc1'", function() net.fc1 = torch.ones(1) end)
  test.raises("cannot assign 'bool' as buffer 'mean' %(torch.nn.Buffer, torch.Tensor or None expected%)", function() net.mean = true end)
  test.raises("object to parameter 'w' %(torch.nn.Parameter or None required%)", function()
    net:register_parameter("w", nn.Parameter(torch.ones(2)) * 2)
  end)
  test.raises("attribute 'fc1' already exists", net.register_buffer, net, "fc1", torch.ones(1))
  test.raises("attribute 'train' already exists", net.add_module, net, "train", nn.ReLU())
  test.raises("can't contain", net.register_buffer, net, "a.b", torch.ones(1))
  test.raises("can't be empty", net.register_buffer, net, "", torch.ones(1))
  test.raises("own child", function() net.loop = nn.Sequential(net) end)
  test.raises("torch.FloatTensor is not a Module subclass", net.add_module, net, "x", torch.ones(1))
end)

test.case("a reserved name takes a parameter in its place, and no tensor", function()
  local net = nn.class("Reserved")()
  net:register_parameter("bias", nil)
  net.weight = nn.Parameter(torch.ones(1))
  test.equal(names(net:named_parameters()), {"weight"})
  test.raises("cannot assign", function() net.bias = torch.ones(1) end)
  net.bias = nn.Parameter(torch.ones(1))
  test.equal(names(net:named_parameters()), {"bias", "weight"})
end)

test.case("tied parameters and shared modules are listed once and saved under each name", function()
  local net = Net()
  net.fc3 = net.fc1
  net.tied = net.scale
  test.equal(#net:parameters(), 5)
  test.equal(#net:children(), 3)
  local keys = names(pairs(net:state_dict()))
  test.equal(keys, {"scale", "tied", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"})
end)

test.case("train and eval reach everything below and honour overrides", function()
  local Frozen = nn.class("Frozen", nn.Dropout)
  function Frozen:train() return nn.Dropout.train(self, false) end
  local net = Net()
  net.frozen = Frozen()
  test.truthy(rawequal(net:eval(), net))
  for _, module in net:named_modules() do test.equal(module.training, false) end
  net:train()
  test.equal(net.training, true)
  test.equal(net.fc1.training, true)
  test.equal(net.frozen.training, false)
  net.training = false
  test.equal(net.fc1.training, true)
  test.raises("expected to be boolean", net.train, net, 1)
end)

test.case("buffers are saved unless persistent is false, and can be replaced", function()
  local net = nn.class("Stats")()
  net:register_buffer("mean", torch.zeros(2))
  net:register_buffer("scratch", torch.zeros(3), {persistent = false})
  net:register_buffer("later", nil)
  test.equal(names(pairs(net:state_dict())), {"mean"})
  test.equal(names(net:named_buffers()), {"mean", "scratch"})
  net.mean = torch.ones(2)
  test.equal(net:state_dict().mean, torch.ones(2))
  net.scratch = torch.ones(1)
  test.equal(names(pairs(net:state_dict())), {"mean"})
  net.later = torch.ones(1)
  test.equal(names(net:named_buffers()), {"mean", "scratch", "later"})
end)

test.case("a state dict shares memory and loads into another module", function()
  local a, b = Net(), Net()
  local state = a:state_dict()
  state["fc1.bias"]:fill_(3)
  test.equal(a.fc1.bias[0]:item(), 3.0)
  test.falsy(state["fc1.bias"].requires_grad)
  local result = b:load_state_dict(state)
  test.equal(tostring(result), "<All keys matched successfully>")
  test.equal(b.fc1.bias:detach(), a.fc1.bias:detach())
  b.fc1.bias:detach():fill_(1)
  test.equal(a.fc1.bias[0]:item(), 3.0)
  local plain = {}
  for name, tensor in pairs(state) do plain[name] = tensor end
  b:load_state_dict(plain)
  test.equal(b.fc1.bias[0]:item(), 3.0)
end)

test.case("a state dict without batch counts loads, as in PyTorch", function()
  local a, b = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
  local state = a:state_dict()
  state.num_batches_tracked = nil
  test.raises('Missing key.s. in state_dict: "num_batches_tracked"', b.load_state_dict, b, state)
  state._metadata = nil
  b:load_state_dict(state)
end)

test.case("to converts floating tensors in place, gradients too", function()
  local net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
  local weight = net[0].weight
  net(torch.randn(4, 2)):sum():backward()
  test.truthy(rawequal(net:to(torch.float64), net))
  test.equal(weight.dtype, torch.float64)
  test.equal(weight.grad.dtype, torch.float64)
  test.equal(net[1].running_mean.dtype, torch.float64)
  test.equal(net[1].num_batches_tracked.dtype, torch.int64)
  net(torch.randn(4, 2, {dtype = torch.float64})):sum():backward()
  net:to("cpu", torch.float32):to{dtype = torch.float64}:float()
  test.equal(weight.dtype, torch.float32)
  test.raises("only accepts floating point", net.to, net, torch.int32)
  test.raises("unknown keyword", net.to, net, {type = torch.float32})
end)

test.case("zero_grad fills a gradient that is a view", function()
  local layer, all = nn.Linear(2, 1), torch.ones(2, 2)
  layer.weight.grad = all["0:1"]
  layer:zero_grad(false)
  test.equal(all:tolist(), {{0.0, 0.0}, {1.0, 1.0}})
end)

test.case("zero_grad and requires_grad_ reach all parameters", function()
  local net = Net()
  net(torch.ones(1, 4)):sum():backward()
  net:zero_grad{set_to_none = false}
  test.equal(net.scale.grad, torch.zeros(2))
  net:zero_grad()
  test.equal(net.scale.grad, nil)
  net:requires_grad_(false)
  for _, p in ipairs(net:parameters()) do test.equal(p.requires_grad, false) end
  test.equal(net:requires_grad_().scale.requires_grad, true)
end)

test.case("deepcopy shares nothing, keeps ties, modes, fields and classes", function()
  local net = Net()
  net.fc3 = net.fc1
  net.list = {net.fc1, "x"}
  net:register_buffer("stat", torch.zeros(2), false)
  net.fc1:eval()
  net(torch.ones(1, 4)):sum():backward()
  local copy = net:deepcopy()
  test.equal(tostring(copy), tostring(net))
  test.truthy(rawequal(copy.fc3, copy.fc1))
  test.truthy(rawequal(copy.list[1], copy.fc1))
  test.falsy(rawequal(copy.fc1, net.fc1))
  test.equal(copy.fc1.weight:detach(), net.fc1.weight:detach())
  test.equal(copy.scale.grad, nil)
  test.equal(copy.note, "plain")
  test.equal({copy.training, copy.fc1.training}, {true, false})
  test.equal(names(pairs(copy:state_dict())), names(pairs(net:state_dict())))
  copy.fc1.weight:detach():zero_()
  test.truthy(net.fc1.weight:abs():sum():item() > 0)
  test.equal(copy(torch.ones(1, 4)).shape[2], 2)
end)

test.case("apply visits children before the module", function()
  local seen = {}
  Net():apply(function(m) seen[#seen + 1] = tostring(m):match("^%a+") end)
  test.equal(seen, {"Linear", "ReLU", "Linear", "Net"})
end)

test.case("dotted paths find modules, parameters and buffers", function()
  local net = nn.Sequential(Net(), nn.BatchNorm1d(2))
  test.truthy(rawequal(net:get_submodule("0.fc1"), net[0].fc1))
  test.truthy(rawequal(net:get_submodule(""), net))
  test.truthy(rawequal(net:get_parameter("0.fc1.weight"), net[0].fc1.weight))
  test.truthy(rawequal(net:get_buffer("1.running_mean"), net[1].running_mean))
  test.raises("Net has no attribute `fc9`", net.get_submodule, net, "0.fc9")
  test.raises("`fc1` is not an nn.Parameter", net.get_parameter, net, "0.fc1")
end)

test.case("classes inherit methods and constructors", function()
  local Base = nn.class("Base")
  function Base:__init(n) self.n = n end
  function Base:forward(x) return x + self.n end
  local Derived = nn.class("Derived", Base)
  function Derived:__init(n)
    Base.__init(self, n * 2)
    self.fc = nn.Linear(1, 1)
  end
  local m = Derived(2)
  test.equal(m(1), 5)
  test.truthy(m:is_instance(Base) and m:is_instance(nn.Module) and not m:is_instance(nn.Linear))
  function Base:forward(x) return x - self.n end -- methods are looked up at the call
  test.equal(m(1), -3)
  test.raises("'base' must be a class", nn.class, "X", "Base")
  test.raises("'name' must be a string", nn.class, nil)
end)

test.case("a module without forward says so", function()
  test.raises('%[Empty%] is missing the required "forward" function', nn.class("Empty")())
end)

test.case("an error inside forward keeps its kind", function()
  local err = test.raises("", nn.Linear(3, 2), torch.ones(2, 4))
  test.equal(err.kind, "shape")
end)

test.case("hooks see and replace inputs and outputs", function()
  local m = nn.Identity()
  local seen
  local before = m:register_forward_pre_hook(function(_, inputs) return inputs[1] * 2 end)
  local after = m:register_forward_hook(function(_, inputs, output)
    seen = {inputs[1], output}
    return output + 1
  end)
  test.equal(m(3), 7)
  test.equal(seen, {6, 6})
  before:remove()
  test.equal(m(3), 4)
  after:remove()
  test.equal(m(3), 3)
end)

test.case("modules reach their parameters' memory only as long as someone holds them", function()
  local weak = setmetatable({}, {__mode = "v"})
  do
    local net = Net()
    weak.net, weak.weight = net, net.fc1.weight
  end
  collectgarbage() collectgarbage()
  test.equal(weak.net, nil)
  test.equal(weak.weight, nil)
end)

test.case("F says what it has not", function()
  local err = test.raises("torch.nn.functional has no 'rellu'", function() return F.rellu end)
  test.equal(err.hint, "did you mean 'relu'?")
  test.raises("torch.nn has no 'Liner'", function() return nn.Liner end)
end)

test.case("state_dict with keep_vars gives the parameters themselves", function()
  local net = Net()
  net.norm = nn.BatchNorm1d(2)
  net.list = nn.ModuleList{nn.Linear(1, 1)}
  net.list[0].weight = net.fc1.bias  -- tied
  local kept, plain = net:state_dict{keep_vars = true}, net:state_dict()
  local names_of_both = {{}, {}}
  for name, tensor in pairs(kept) do
    table.insert(names_of_both[1], name)
    test.equal(tensor.requires_grad, not name:find("running") and not name:find("tracked"), name)
    test.equal(plain[name].requires_grad, false)
  end
  for name in pairs(plain) do table.insert(names_of_both[2], name) end
  test.equal(names_of_both[1], names_of_both[2])
  test.truthy(rawequal(kept["fc1.weight"], net.fc1.weight))
  test.truthy(rawequal(kept["list.0.weight"], net.fc1.bias))
  test.truthy(rawequal(net:state_dict(nil, "a.", true)["a.scale"], net.scale))
end)

test.case("to and zero_grad refuse keywords that they do not have", function()
  local net = Net()
  test.raises("unknown keyword string \"devise\"", net.to, net, {devise = "cpu"})
  test.raises("unknown keyword string \"to_none\"", net.zero_grad, net, {to_none = true})
  test.equal(net:to{dtype = torch.float64}.scale.dtype, torch.float64)
  net.scale.grad = torch.ones(2, {dtype = torch.float64})
  net:zero_grad{set_to_none = false}
  test.equal(net.scale.grad:sum():item(), 0.0)
  net:zero_grad()
  test.equal(net.scale.grad, nil)
end)

test.case("an nn.Buffer that is assigned is a buffer, persistent or not", function()
  local net = nn.Identity()
  net.mean, net.seen = nn.Buffer(torch.ones(2)), nn.Buffer(torch.zeros(1), {persistent = false})
  test.equal(#net:buffers(), 2)
  test.equal(#net:parameters(), 0)
  local keys = {}
  for key in pairs(net:state_dict()) do keys[#keys + 1] = key end
  test.equal(keys, {"mean"})
  net:double()
  test.equal(net.mean.dtype, torch.float64)
  net.plain = torch.ones(1)
  test.equal(#net:buffers(), 2)
  net.mean = torch.zeros(2)
  test.equal(net:get_buffer("mean"), torch.zeros(2))
  test.raises("nn.Buffer: argument 'data' must be a Tensor", nn.Buffer, 3)
end)

test.case("a parameter without data is empty", function()
  test.equal(nn.Parameter().shape, torch.Size{0})
  test.equal(nn.Parameter({requires_grad = false}).requires_grad, false)
end)
