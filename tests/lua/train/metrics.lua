-- train.metrics.
local test = require "test"
local torch = require "torch"
local train = require "train"
local metrics = train.metrics

test.case("Mean weighs numbers and tensors in float64", function()
  local mean = metrics.Mean()
  test.truthy(mean:result() ~= mean:result(), "NaN before the first value")
  mean:update(2, 3)
  mean:update(torch.tensor(4.0), 1)
  test.equal(mean:result(), 2.5)
  mean:reset()
  mean:update(torch.tensor {1.0, 2.0, 6.0})
  test.equal(mean:result(), 3.0)
  mean:reset()
  for _ = 1, 1000 do mean:update(torch.tensor(0.1, {dtype = torch.float64}), 1) end
  test.near(mean:result(), 0.1, 1e-14)
end)

test.case("Mean does not change or keep what it was given", function()
  local mean, value = metrics.Mean(), torch.tensor(2.0, {requires_grad = true, dtype = torch.float64})
  mean:update(value, 1)
  mean:update(torch.tensor(3.0), 1)
  test.equal(value:item(), 2.0)
  test.equal(mean.total, 5.0)
end)

test.case("Mean adds the elements of a tensor in float64 and takes booleans", function()
  local mean = metrics.Mean()
  mean:update(torch.tensor {16777216.0, 1.0, 1.0, 2.0})  -- float32 has no 16777217
  test.equal(mean:result(), 4194305.0)
  mean:reset()
  mean:update(torch.tensor(true), 3)
  mean:update(torch.tensor(false), 1)
  test.equal(mean:result(), 0.75)
end)

test.case("off the CPU sums stay on their device, in float64", function()
  local mean, value = metrics.Mean(), torch.ones(2, {device = "meta", requires_grad = true})
  mean:update(value:sum(), 2)
  mean:update(value, 1)
  mean:update(3.0, 1)
  test.equal(tostring(mean.total.device), "meta")
  test.equal({mean.total.dtype, mean.total.requires_grad, mean.weight}, {torch.float64, false, 5})
  local accuracy = metrics.Accuracy()
  for _ = 1, 2 do
    accuracy:update(torch.ones(3, 2, {device = "meta"}), torch.ones(3, {device = "meta", dtype = torch.int64}))
  end
  test.equal(tostring(accuracy.total.device), "meta")
  test.equal(accuracy.weight, 6)
end)

test.case("Accuracy merges and weighs", function()
  local a, b = metrics.Accuracy(), metrics.Accuracy()
  b:update(torch.tensor {{1.0, 2.0}, {3.0, 0.0}}, torch.tensor {1, 1}, torch.tensor {3.0, 1.0})
  a:merge(b)
  a:merge(metrics.Accuracy())
  test.equal(a:result(), 0.75)
  a:update(torch.tensor {{1.0, 2.0}}, torch.tensor {0})
  test.equal(a:result(), 0.6)
end)

test.case("Mean and Sum merge", function()
  local a, b = metrics.Mean(), metrics.Mean()
  a:update(torch.tensor(1.0), 2)
  b:update(4, 1)
  a:merge(b)
  test.equal(a:result(), 2.0)
  local s, t = metrics.Sum(), metrics.Sum()
  s:update(torch.tensor {1.0, 2.0})
  t:update(5, 2)
  s:merge(t)
  test.equal(s:result(), 13.0)
end)

test.case("Accuracy counts over ragged batches", function()
  local accuracy = metrics.Accuracy()
  accuracy:update(torch.tensor {{1.0, 2.0}, {3.0, 0.0}, {0.0, 1.0}}, torch.tensor {1, 0, 0})
  accuracy:update(torch.tensor {{1.0, 2.0}}, torch.tensor {1})
  test.equal(accuracy:result(), 0.75)
  accuracy:reset()
  test.truthy(accuracy:result() ~= accuracy:result())
  test.equal(accuracy.direction, "max")
end)

test.case("Accuracy refuses sizes that would be broadcast", function()
  local accuracy = metrics.Accuracy()
  local cases = {
    {torch.rand(4, 3), torch.tensor {0}}, {torch.rand(1, 3), torch.tensor {0, 1, 2, 0}}, {torch.rand(4), torch.rand(1)},
    {torch.rand(4, 1), torch.rand(4, 4)}, {torch.rand(2, 3, 5), torch.zeros(2, 1, {dtype = torch.int64})},
    {torch.rand(3), torch.tensor(0)},
  }
  for _, pair in ipairs(cases) do
    test.equal(test.raises("Accuracy: scores of shape .* do not go with a target of shape", accuracy.update, accuracy,
      pair[1], pair[2]).kind, "shape")
  end
  test.equal(test.raises("the weight must have the target's shape .*4.*, got .*1.*", accuracy.update, accuracy,
    torch.rand(4, 3), torch.tensor {0, 1, 2, 0}, torch.rand(1)).kind, "shape")
  test.truthy(accuracy:result() ~= accuracy:result(), "nothing was counted")
  accuracy:update(torch.rand(2, 3, 5), torch.zeros(2, 5, {dtype = torch.int64}), torch.ones(2, 5))
  accuracy:update(torch.rand(2, 5), torch.zeros(2, 5))
  accuracy:update(torch.tensor(0.7), torch.tensor(1))
  test.equal(accuracy.weight, 21.0)
end)

test.case("Accuracy among the k best", function()
  local accuracy = metrics.Accuracy {top_k = 2}
  accuracy:update(torch.tensor {{5.0, 4.0, 1.0}, {5.0, 4.0, 1.0}, {1.0, 2.0, 3.0}}, torch.tensor {1, 2, 2})
  test.near(accuracy:result(), 2 / 3, 1e-12)
  test.raises("top_k must be a whole number of 1 or more, got number 0", metrics.Accuracy, {top_k = 0})
end)

test.case("Accuracy of yes and no: a score on the threshold is no", function()
  local accuracy = metrics.Accuracy()
  accuracy:update(torch.tensor {0.5, 0.6, 0.4, 0.5}, torch.tensor {0, 1, 0, 1})
  test.equal(accuracy:result(), 0.75)
  accuracy = metrics.Accuracy {from_logits = true}
  accuracy:update(torch.tensor {0.0, 0.1, -3.0}, torch.tensor {0, 1, 1})
  test.near(accuracy:result(), 2 / 3, 1e-12)
end)

test.case("Accuracy over pixels, with weights, merged", function()
  local a, b = metrics.Accuracy(), metrics.Accuracy()
  a:update(torch.tensor {{{1.0, 0.0}, {0.0, 1.0}}}, torch.tensor {{0, 0}})  -- [1, 2 classes, 2 pixels]
  test.equal(a:result(), 0.5)
  b:update(torch.tensor {{1.0, 0.0}, {1.0, 0.0}}, torch.tensor {0, 1}, torch.tensor {3.0, 1.0})
  test.equal(b:result(), 0.75)
  a:merge(b)
  test.near(a:result(), 4 / 6, 1e-12)
  test.raises("scores of shape", a.update, a, torch.ones(2, 2, 2), torch.tensor {0, 1})
end)

test.case("an unknown metric is an error with the nearest name", function()
  test.raises("train.metrics has no 'Acuracy' (did you mean 'Accuracy'?)", function() return metrics.Acuracy end)
end)
