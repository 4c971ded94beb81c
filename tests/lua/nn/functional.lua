-- nn.functional and signatures: arguments by position and name, what they cost, shapes of losses.
local test = require "test"
local torch = require "torch"
local signature = require "torch.signature"
local nn, F = torch.nn, torch.nn.functional

local parse = signature("f", "input, p=0.5, sizes={1, 2}, last=nil")

test.case("arguments come by position and by name, defaults fill in, nil is None", function()
  local function all(...) return table.pack(parse(...)) end
  test.equal(all(1), {1, 0.5, {1, 2}, n = 4})
  test.equal(all(1, nil), {1, nil, {1, 2}, n = 4})
  test.equal(all(1, 2, {3}), {1, 2, {3}, n = 4})
  test.equal(all(1, 2, 3, 4), {1, 2, 3, 4, n = 4})
  test.equal(all(1, {last = 5}), {1, 0.5, {1, 2}, 5, n = 4})
  test.equal(all {input = 1, p = 2}, {1, 2, {1, 2}, n = 4})
  test.raises("argument 'input' is missing", parse)
  test.raises("argument 'input' is missing", parse, nil, 1, 2, 3)
  test.raises("takes at most 4 arguments", parse, 1, 2, 3, 4, 5)
  test.raises("'p' is given by position and by name", parse, 1, 2, {p = 3})
end)

test.case("of several wrong keywords the first in sorted order is named", function()
  for _ = 1, 20 do
    local wrong = {}
    for i = 0, 7 do wrong[("b%d%d"):format(i, math.random(1000))] = 1 end
    wrong.a0 = 1
    test.raises('unknown keyword string "a0"', parse, 1, wrong)
  end
end)

test.case("a positional call makes no table", function()
  local tensor = torch.ones(2)
  local calls = {function() return parse(tensor) end, function() return parse(tensor, 0.1, nil, 1) end}
  for _, call in ipairs(calls) do
    call()
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    for _ = 1, 1000 do call() end
    local grown = collectgarbage("count") - before
    collectgarbage("restart")
    test.truthy(grown < 1, ("1000 calls take %.1f KB"):format(grown))
  end
end)

test.case("layers compute what their functions do, also after their fields have been changed", function()
  local x, ids = torch.randn(2, 4), torch.tensor {1, 3}
  local norm, embedding = nn.LayerNorm(4), nn.Embedding(5, 4, -1)
  test.equal(norm(x), F.layer_norm(x, {4}, norm.weight, norm.bias, norm.eps))
  test.equal(embedding(ids), F.embedding(ids, embedding.weight))
  test.equal(nn.GELU("tanh")(x), F.gelu(x, {approximate = "tanh"}))
  test.equal(nn.AdaptiveAvgPool2d({nil, 1})(x:view(1, 1, 2, 4)), F.adaptive_avg_pool2d(x:view(1, 1, 2, 4), {2, 1}))
  test.equal(nn.LogSoftmax(-1)(x), F.log_softmax(x, -1))
  test.equal(nn.Softmax()(x), F.softmax(x, 1))  -- with PyTorch's warning
  local dropout, relu = nn.Dropout(0.5), nn.ReLU()
  dropout.p, dropout.inplace, relu.inplace = 1.0, true, true
  local y, z = x:clone(), x:clone()
  test.near(dropout(y), torch.zeros(2, 4), 0)
  test.near(y, torch.zeros(2, 4), 0)
  test.equal(relu(z), z)
  test.equal(z, F.relu(x))
  embedding.max_norm = 1e-3
  test.truthy(embedding(ids):norm(2, 1):max():item() < 1.1e-3)
end)

test.case("a loss names both shapes where they differ", function()
  local a, b = torch.zeros(2, 1), torch.zeros(2)
  local err = test.raises("Target size (torch.Size([2])) must be the same as input size (torch.Size([2, 1]))",
    F.binary_cross_entropy_with_logits, a, b)
  test.equal(err.kind, "shape")
  test.equal(F.mse_loss(a, b):item(), 0.0)
end)
