-- What models.cpp runs: a head of Lua's on modules of C++'s.
local torch = require "torch"

local nn, F = torch.nn, torch.nn.functional
local body, scale, mix, plain, folder = _G.body, _G.scale, _G.mix, _G.plain, _G.folder
torch.manual_seed(1)
local net = nn.Sequential(body, scale, nn.Linear(4, 2))
_G.torch, _G.nn, _G.net = torch, nn, net  -- the program looks at them afterwards

local function check(condition, what)
  if not condition then error("not so: " .. what, 2) end
end

-- Trains.
local x, y = torch.randn(16, 3), torch.randint(0, 2, {16})
local optimizer = torch.optim.Adam(net:parameters(), {lr = 0.05})
check(#net:parameters() == 7, "parameters of both sides are listed")
local first, last
for _ = 1, 30 do
  optimizer:zero_grad()
  local loss = F.cross_entropy(net(x), y)
  loss:backward()
  optimizer:step()
  first, last = first or loss:item(), loss:item()
end
check(last < 0.7 * first, "the loss falls")
check(scale.calls:item() == 30 and scale.norm.num_batches_tracked:item() == 30, "buffers are kept in C++")

-- Prints.
local text = tostring(net)
check(text:find("(0): torch::nn::Sequential(", 1, true) and text:find("(1): Scale", 1, true)
  and text:find("(2): Linear(in_features=4", 1, true), "it prints: " .. text)

-- Saves and loads.
net:eval()
local out, file = net(x), folder .. "/net.pt"
torch.save(net:state_dict(), file)
local names = {}
for name in pairs(torch.load(file)) do names[#names + 1] = name end
check(table.concat(names, " ") == "0.0.weight 0.0.bias 1.gain 1.calls 1.norm.weight 1.norm.bias 1.norm.running_mean "
  .. "1.norm.running_var 1.norm.num_batches_tracked 2.weight 2.bias", "state dict: " .. table.concat(names, " "))
for _, parameter in ipairs(net:parameters()) do parameter.data:zero_() end
check(not torch.equal(net(x), out), "zeros give something else")
net:load_state_dict(torch.load(file))
check(torch.equal(net(x), out), "the state is loaded")

-- Moves.
net:to(torch.float64)
check(scale.gain.dtype == torch.float64 and body["0"].weight.dtype == torch.float64 and scale.calls.dtype == torch.int64,
  "converted")
check(net(x:double()).dtype == torch.float64, "computes in float64")
net:float()

-- Deep copies, whose forward is its own.
local copy = net:deepcopy()
check(torch.equal(copy(x), out), "a copy computes the same")
for _, parameter in ipairs(copy[1]:parameters()) do parameter.data:zero_() end
check(torch.equal(net(x), out) and not torch.equal(copy(x), out), "a copy shares nothing")

-- Freezes.
nn.freeze(net[1])
local before = {scale.norm.running_mean:clone(), scale.calls:item(), scale.gain:clone()}
for _ = 1, 3 do
  net:train()
  optimizer:zero_grad()
  F.cross_entropy(net(x), y):backward()
  optimizer:step()
end
collectgarbage()
net:train()
check(net.training and body.training and not scale.training and not scale.norm.training, "modes of what is frozen")
check(torch.equal(scale.norm.running_mean, before[1]) and scale.calls:item() == before[2]
  and torch.equal(scale.gain, before[3]), "frozen statistics, buffers and parameters stay")
local frozen = net:deepcopy()
frozen:train()
check(not frozen[1].training and not frozen[1].gain.requires_grad, "a copy is frozen")
nn.unfreeze(frozen[1])
check(frozen[1].training and frozen[1].norm.training and frozen[1].gain.requires_grad and not scale.training,
  "and unfrozen apart")
nn.freeze(net)
nn.unfreeze(net)
check(body.training and not scale.training, "freezes nest")
nn.unfreeze(scale)
check(scale.training and scale.norm.training and scale.gain.requires_grad, "unfrozen")
nn.freeze(body["0"])
body:train()
collectgarbage()
net:train()
check(body.training and not body["0"].training and body["1"].training, "a child of C++'s is frozen alone")
nn.unfreeze(net)
check(body["0"].training and body["0"].weight.requires_grad, "and unfrozen with what holds it")

-- Summary and plot.
local counts = nn.summary(net, {5, 3}, {format = "table"})
check(counts.total_params == 3 * 4 + 4 + 4 + 8 + 10 and counts.flops == 2 * 5 * (12 + 8), "counts: " .. tostring(counts))
check(counts.layers[2].class == "torch::nn::Sequential" and counts.layers[2].output[2] == 4, "rows")
check(scale.calls:item() == before[2], "the summary leaves buffers")
nn.plot(net, folder .. "/net.dot", {input = {5, 3}, show_shapes = true})
local dot = io.open(folder .. "/net.dot"):read("a")
check(dot:find('[label="1: Scale\\ninput: [5, 4]\\noutput: [5, 4]"]', 1, true) and dot:find("n2 -> n3;", 1, true),
  "plot: " .. dot)

-- Several inputs and outputs, and a forward of the program's own.
local sum, positive = mix(torch.ones(2, 4), torch.zeros(2, 4))
check(torch.equal(sum:relu(), positive) and sum.shape[2] == 3, "two inputs and two outputs")
local Two = nn.class("Two")
function Two:__init()
  self.mix = mix
  self.head = nn.Linear(3, 1)
end
function Two:forward(a, b) return self.head((self.mix(a, b))) end
local two = Two()
local sgd = torch.optim.SGD(two:parameters(), {lr = 0.1})
two(torch.ones(2, 4), torch.ones(2, 4)):sum():backward()
local weight = mix.linear.weight:clone()
sgd:step()
check(not torch.equal(weight, mix.linear.weight), "a part with two inputs trains")
check(nn.summary(two, {{2, 4}, {2, 4}}, {format = "table"}).layers[2].output.of[2][2] == 3, "its summary")
check(torch.equal(plain(torch.ones(2)), torch.full({2}, 3.0)), "a forward of the program's")
local ok, why = pcall(plain:deepcopy(), torch.ones(2))
check(not ok and tostring(why):find("has no forward", 1, true), "whose copy has none")
