-- What layers are made with: a wrong type is refused by the layer's and the argument's name.
local test = require "test"
local torch = require "torch"
local nn = torch.nn

test.case("a wrong type is refused when the layer is made", function()
  local cases = {
    {"nn.Linear: argument 'in_features' must be an integer of 0 or more, got string", nn.Linear, "3", 4},
    {"nn.Linear: argument 'out_features' must be an integer of 0 or more, got number 1.5", nn.Linear, 3, 1.5},
    {"nn.Linear: argument 'in_features' must be an integer of 0 or more, got number %-1", nn.Linear, -1, 4},
    {"nn.Linear: argument 'in_features' must be .* got nil", nn.Linear, torch.None, 4},
    {"nn.Linear: argument 'bias' must be true or false, got number 1", nn.Linear, 3, 4, {bias = 1}},
    {"nn.BatchNorm2d: argument 'num_features' must be an integer", nn.BatchNorm2d, "x"},
    {"nn.BatchNorm1d: argument 'momentum' must be a number", nn.BatchNorm1d, 2, {momentum = "x"}},
    {"nn.Conv2d: argument 'kernel_size' must be an integer of 0 or more or a list", nn.Conv2d, 1, 2, "3"},
    {"nn.Conv2d: argument 'kernel_size' must be", nn.Conv2d, 1, 2, {3, "3"}},
    {"nn.Conv2d: argument 'in_channels' must be", nn.Conv2d, "1", 2, 3},
    {"nn.Conv2d: argument 'padding' must be", nn.Conv2d, 1, 2, 3, {padding = true}},
    {"nn.Conv2d: argument 'groups' must be an integer", nn.Conv2d, 1, 2, 3, {groups = "1"}},
    {"nn.CrossEntropyLoss: argument 'weight' must be a Tensor, got string", nn.CrossEntropyLoss, "mean"},
    {"nn.CrossEntropyLoss: argument 'reduction' must be 'none', 'mean' or 'sum'", nn.CrossEntropyLoss, {reduction = "avg"}},
    {"nn.NLLLoss: argument 'ignore_index' must be an integer", nn.NLLLoss, {ignore_index = "x"}},
    {"nn.BCEWithLogitsLoss: argument 'pos_weight' must be a Tensor", nn.BCEWithLogitsLoss, {pos_weight = 2}},
    {"nn.MSELoss: argument 'reduction' must be", nn.MSELoss, {reduction = "foo"}},
    {"nn.L1Loss: argument 'reduction' must be", nn.L1Loss, {reduction = true}},
    {"nn.MaxPool2d: argument 'kernel_size' must be", nn.MaxPool2d, "2"},
    {"nn.AvgPool2d: argument 'ceil_mode' must be true or false", nn.AvgPool2d, 2, {ceil_mode = 1}},
    {"nn.AdaptiveAvgPool2d: argument 'output_size' must be", nn.AdaptiveAvgPool2d, "x"},
    {"nn.LayerNorm: argument 'normalized_shape' must be", nn.LayerNorm, "x"},
    {"nn.Embedding: argument 'num_embeddings' must be", nn.Embedding, "x", 2},
    {"nn.Dropout: argument 'p' must be a number", nn.Dropout, "x"},
    {"nn.Flatten: argument 'start_dim' must be an integer", nn.Flatten, "x"},
    {"nn.GELU: argument 'approximate' must be a string", nn.GELU, 1},
    {"nn.Softmax: argument 'dim' must be an integer", nn.Softmax, "x"},
    {"nn.LogSoftmax: argument 'dim' must be an integer", nn.LogSoftmax, "x"},
    {"nn.ReLU: argument 'inplace' must be true or false", nn.ReLU, 1},
  }
  for _, case in ipairs(cases) do
    test.equal(test.raises(table.unpack(case)).kind, "usage")
  end
end)

test.case("torch.None is nil, and whole numbers may be floats", function()
  test.equal(nn.BatchNorm2d(2, {momentum = torch.None}).momentum, nil)
  test.equal(nn.Linear(3, 4, {bias = torch.None}).bias, nil)
  test.equal(nn.MaxPool2d(2, torch.None).stride, 2)
  nn.CrossEntropyLoss {weight = torch.None}
  test.equal(nn.Linear(32 * 14 * 14 / 4, 2.0).weight.shape, {2, 1568})
  test.equal(nn.Conv2d(1, 2, 3.0, {padding = "same"})(torch.ones(1, 1, 5, 5)).shape, {1, 2, 5, 5})
  test.equal(nn.AdaptiveAvgPool2d({torch.None, 3})(torch.ones(1, 1, 5, 5)).shape, {1, 1, 5, 3})
  test.equal(tostring(nn.AdaptiveMaxPool2d({nil, 3})), "AdaptiveMaxPool2d(output_size=(None, 3))")
  local norm = nn.BatchNorm1d(2, {momentum = torch.None})
  norm(torch.ones(4, 2))
  test.equal(norm.running_mean, torch.ones(2))
end)

test.case("what says where it was is not told twice", function()
  for name, call in pairs{["nn.summary"] = function() return nn.summary(3) end,
    ["nn.freeze"] = function() return nn.freeze(3) end,
    clip_grad_norm_ = function() return nn.utils.clip_grad_norm_(table.unpack {3}) end} do
    test.equal(test.raises("argument", call).message:match("^[%w_.]+: %a+"), name .. ": argument")
  end
end)
