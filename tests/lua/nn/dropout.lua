-- nn.functional's dropouts: what they do by default.
local test = require "test"
local torch = require "torch"
local F = torch.nn.functional

test.case("dropout and dropout2d drop by default, the alpha ones only in training, as in PyTorch", function()
  local x = torch.ones(4, 50, 2)
  for _, name in ipairs {"dropout", "dropout2d"} do
    test.falsy(torch.equal(F[name](x), x), name)
    test.equal(F[name](x, {training = false}), x, name)
  end
  for _, name in ipairs {"alpha_dropout", "feature_alpha_dropout"} do
    test.equal(F[name](x), x, name)
    test.equal(F[name](x, 0.9), x, name)
    test.falsy(torch.equal(F[name](x, {training = true}), x), name)
    test.falsy(torch.equal(F[name](x, 0.5, true), x), name)
  end
end)
