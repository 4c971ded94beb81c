-- Misspelt names: an error with a name that exists.
local test = require "test"
local torch = require "torch"
local train = require "train"
local mlflow = require "mlflow"

local function get(space, name) return function() return space[name] end end

-- space, name of the space, misspelt name, the name that is meant
local MISSPELT <const> = {
  {torch, "torch", "zerros", "zeros"}, {torch, "torch", "Generater", "Generator"}, {torch, "torch", "maual_seed", "manual_seed"},
  {torch.linalg, "torch.linalg", "svdd", "svd"}, {torch.linalg, "torch.linalg", "nrom", "norm"},
  {torch.fft, "torch.fft", "rffft", "rfft"}, {torch.special, "torch.special", "erff", "erf"},
  {torch.nn, "torch.nn", "Liner", "Linear"}, {torch.nn, "torch.nn", "linear", "Linear"},
  {torch.nn.functional, "torch.nn.functional", "reluu", "relu"}, {torch.nn.init, "torch.nn.init", "xavier_unifrom_", "xavier_uniform_"},
  {torch.optim, "torch.optim", "Adamm", "Adam"}, {torch.optim, "torch.optim", "adam", "Adam"},
  {torch.optim, "torch.optim", "lr_schedular", "lr_scheduler"},
  {torch.optim.lr_scheduler, "torch.optim.lr_scheduler", "StepLr", "StepLR"},
  {torch.optim.lr_scheduler, "torch.optim.lr_scheduler", "CosineAnealingLR", "CosineAnnealingLR"},
  {torch.optim.swa_utils, "torch.optim.swa_utils", "AveragedModle", "AveragedModel"},
  {torch.utils, "torch.utils", "dta", "data"}, {torch.utils.data, "torch.utils.data", "DataLoder", "DataLoader"},
  {torch.utils.data, "torch.utils.data", "random_spilt", "random_split"}, {torch.datasets, "torch.datasets", "mnst", "mnist"},
  {train, "train", "EarlyStoping", "EarlyStopping"}, {train.metrics, "train.metrics", "Acuracy", "Accuracy"},
  {mlflow, "mlflow", "log_metrc", "log_metric"},
}

test.case("a misspelt name of a namespace says which is meant", function()
  for _, row in ipairs(MISSPELT) do
    local space, name, wrong, right = table.unpack(row)
    local ok, err = pcall(get(space, wrong))
    test.truthy(not ok, name .. "." .. wrong)
    test.truthy(tostring(err):find(("%s has no '%s' (did you mean '%s'"):format(name, wrong, right), 1, true), tostring(err))
    test.truthy(space[right] ~= nil, right)
  end
end)

test.case("every name that an error suggests is there", function()
  for _, row in ipairs(MISSPELT) do
    local space, _, wrong = table.unpack(row)
    local _, err = pcall(get(space, wrong))
    local count = 0
    for name in err.hint:gmatch("'([^']+)'") do
      count = count + 1
      test.truthy(space[name] ~= nil, name)
    end
    test.truthy(count > 0, err.hint)
  end
end)

test.case("files that are parts of others are no names", function()
  for _, name in ipairs {"groups", "checks", "native", "lbfgs_line_search", "state_dict"} do
    test.raises("torch.optim has no '" .. name, get(torch.optim, name))
  end
  test.raises("torch.optim.lr_scheduler has no 'step'", get(torch.optim.lr_scheduler, "step"))
end)

test.case("what is far from every name has no hint", function()
  test.raises("torch.linalg has no 'qqqqqqqq'$", get(torch.linalg, "qqqqqqqq"))
  test.raises("torch.optim has no 'qqqqqqqq'$", get(torch.optim, "qqqqqqqq"))
end)
