-- Layers beside what they compute, which the parity tests compare: classes made from them, what they share, their errors.
local test = require "test"
local torch = require "torch"
local nn = torch.nn

test.case("a class made from a layer calls its constructor", function()
  local Half = nn.class("Half", nn.Conv2d)
  function Half:__init(channels) nn.Conv2d.__init(self, channels, channels // 2, 3, {padding = 1}) end
  local layer = Half(4)
  test.equal(tostring(layer), "Half(4, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))")
  test.equal(layer(torch.ones(1, 4, 5, 5)).shape, {1, 2, 5, 5})
  test.truthy(layer:is_instance(nn.Conv2d) and nn.ReLU6():is_instance(nn.Hardtanh))
end)

test.case("a field that is changed counts at the next call", function()
  local layer = nn.LeakyReLU(0.1)
  layer.negative_slope = 0.5
  test.equal(layer(torch.tensor{-2.}), torch.tensor{-1.})
  local pool = nn.MaxPool1d(2)
  pool.return_indices = true
  local maxima, indices = pool(torch.tensor{{1., 3.}})
  test.equal({maxima:item(), indices:item()}, {3.0, 1})
end)

test.case("in-place layers write into their input", function()
  for _, layer in ipairs {nn.ReLU(true), nn.Hardtanh(0, 9, true), nn.Threshold(0, 0, true), nn.ReLU6(true)} do
    local x = torch.tensor{-1., 2.}
    test.truthy(rawequal(layer(x):data_ptr(), x:data_ptr()) or layer(x):data_ptr() == x:data_ptr())
    test.equal(x, torch.tensor{0., 2.})
  end
end)

test.case("sizes must be of the layer's dimensions", function()
  test.raises("kernel_size must be a number or a list of two, got a list of 3", nn.Conv2d, 1, 1, {3, 3, 3})
  test.raises("padding must be a number or a list of four, got a list of 2", nn.ZeroPad2d, {1, 2})
  test.raises("stride must be a number or a list of one", nn.MaxUnpool1d, 2, {1, 2})
  test.raises("expected 3D or 4D input %(got 2D input%)", nn.CircularPad2d(1), torch.ones(2, 2))
  test.raises("expected 4D input %(got 3D input%)", nn.BatchNorm2d(2), torch.ones(1, 2, 2))
end)

test.case("transposed convolutions take an output size that their stride allows", function()
  local layer = nn.ConvTranspose2d(1, 1, 3, {stride = 2})
  local x = torch.ones(1, 1, 4, 4)
  test.equal(layer(x).shape, {1, 1, 9, 9})
  test.equal(layer(x, {1, 1, 10, 9}).shape, {1, 1, 10, 9})
  test.raises("requested an output size of %[11, 9%], but valid sizes range from %[9, 9%] to %[10, 10%]", layer, x, {11, 9})
  test.raises("output_size must have 2 or 4 elements %(got 1%)", layer, x, {9})
  test.raises('Only "zeros" padding mode is supported for ConvTranspose1d', nn.ConvTranspose1d, 1, 1, 2,
    {padding_mode = "reflect"})
end)

test.case("from_pretrained shares memory and is frozen", function()
  local rows = torch.tensor{{1., 2.}, {3., 4.}}
  for _, layer in ipairs {nn.Embedding.from_pretrained(rows), nn.EmbeddingBag.from_pretrained(rows)} do
    test.equal(layer.weight.requires_grad, false)
    test.equal(layer.weight:data_ptr(), rows:data_ptr())
  end
  test.truthy(nn.Embedding.from_pretrained(rows, {freeze = false}).weight.requires_grad)
  test.raises("expected to be 2%-dimensional", nn.Embedding.from_pretrained, torch.ones(2))
  test.raises("Shape of weight does not match", nn.Embedding, 3, 2, {_weight = rows})
end)

test.case("convert_sync_batchnorm keeps tensors, mode and the other layers", function()
  local model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Sequential(nn.BatchNorm2d(2, {affine = false}))):eval()
  local weight, mean = model[1].weight, model[1].running_mean
  local made = nn.SyncBatchNorm.convert_sync_batchnorm(model)
  test.truthy(rawequal(made, model) and made[1]:is_instance(nn.SyncBatchNorm))
  test.truthy(rawequal(made[1].weight, weight) and rawequal(made[1].running_mean, mean))
  test.equal({made[1].training, made[2][0].affine, tostring(made[0]):match("^%a+")}, {false, false, "Linear"})
  made:train()(torch.rand(4, 2))
  test.equal(made[1].num_batches_tracked:item(), 1)
end)

test.case("AdaptiveLogSoftmaxWithLoss predicts what its log-probabilities say", function()
  torch.manual_seed(3)
  local layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, {5, 12}, {div_value = 2.0})
  local x = torch.randn(30, 8) * 3
  local log_prob = layer:log_prob(x)
  test.near(log_prob:exp():sum(1), torch.ones(30), 1e-5)
  test.equal(layer:predict(x), log_prob:argmax(1))
  local target = torch.randint(0, 20, {30})
  local output, loss = layer(x, target)
  test.near(output, log_prob:gather(1, target:unsqueeze(1)):squeeze(1), 1e-5)
  test.near(loss:item(), -output:mean():item(), 1e-6)
  test.raises("cutoffs should be a sequence of unique", nn.AdaptiveLogSoftmaxWithLoss, 8, 20, {5, 5})
  test.raises("Target values should be in %[0, 19%]", layer, x, torch.full({30}, 20))
end)

test.case("the deprecated size_average and reduce choose the reduction", function()
  test.equal(nn.MSELoss{size_average = false}.reduction, "sum")
  test.equal(nn.MSELoss(nil, false).reduction, "none")
  test.equal(nn.NLLLoss{reduce = true}.reduction, "mean")
  test.equal(nn.KLDivLoss{reduction = "batchmean"}.reduction, "batchmean")
end)

test.case("linear_cross_entropy in parts is the same loss, and backward runs once unless it may run twice", function()
  torch.manual_seed(1)
  local x, w, y = torch.randn(9, 4), torch.randn(7, 4):requires_grad_(), torch.randint(0, 7, {9})
  local F = torch.nn.functional
  local function loss(options) return F.linear_cross_entropy(x, w, y, options and {options = options}) end
  test.near(loss(nn.LinearCrossEntropyOptions{batch_chunk_size = 2}):item(), loss():item(), 1e-5)
  local once = loss(nn.LinearCrossEntropyOptions{batch_chunk_size = 4})
  once:backward({retain_graph = true})
  local whole = torch.autograd.grad(loss(), w)[1]
  test.near(w.grad, whole, 1e-5)
  test.raises("backward called twice", once.backward, once)
  test.raises("invalid chunking_method", nn.LinearCrossEntropyOptions, {chunking_method = "half"})
  test.raises("give different chunk sizes", loss,
    nn.LinearCrossEntropyOptions{batch_chunk_size = 3, chunking_method = "aspect_ratio"})
end)

test.case("a name that PyTorch has deprecated says what to take", function()
  test.equal(test.raises("torch.nn has no 'NLLLoss2d'", function() return nn.NLLLoss2d end).hint,
    "deprecated in PyTorch: nn.NLLLoss takes images")
  test.equal(test.raises("torch.nn has no 'Conv2D'", function() return nn.Conv2D end).hint, "did you mean 'Conv2d'?")
end)
