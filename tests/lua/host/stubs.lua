-- The editor's stubs: valid Lua, every exported name, types that are defined.
local test = require "test"
local names = require "host.help.names"
local stubs = require("host.stubs.files").all()

-- Runs a stub; what it returns has every function that it declares.
local function run(file)
  return assert(load(stubs[file], "=" .. file, "t", {}))()
end

test.case("every file is Lua and small enough for the editor", function()
  for file, text in pairs(stubs) do
    test.truthy(load(text, "=" .. file, "t", {}), file)
    test.truthy(#text < 500000, file)
    test.truthy(text:find("^%-%-%-@meta "), file)
  end
end)

test.case("every name of every namespace is declared", function()
  local missing, count = {}, 0
  for _, path in ipairs {"torch", "torch.linalg", "torch.fft", "torch.special", "torch.nn", "torch.nn.functional",
    "torch.nn.init", "torch.nn.utils", "torch.optim", "torch.utils.data", "torch.autograd", "torch.cuda",
    "torch.datasets", "train", "train.metrics", "mlflow", "host", "test"} do
    local file = path:gsub("%.", "/")
    local declared, text = run(file .. ".lua"), stubs[file .. ".lua"]
    local part = 2
    while stubs[("%s_%d.lua"):format(file, part)] do
      text = text .. stubs[("%s_%d.lua"):format(file, part)]
      for name, value in pairs(run(("%s_%d.lua"):format(file, part))) do declared[name] = value end
      part = part + 1
    end
    for _, name in ipairs(names.of((names.find(path)))) do
      count = count + 1
      local as_space = stubs[("%s/%s.lua"):format(file, name)] or text:find("---@field " .. name .. " ", 1, true)
      -- A constant is declared with its type and the value nil.
      local as_value = text:find("\n" .. path:match("[%w_]+$") .. "." .. name .. " = ", 1, true)
      if declared[name] == nil and not as_space and not as_value then missing[#missing + 1] = path .. "." .. name end
    end
  end
  test.truthy(count > 1200)
  test.equal(missing, {})
end)

test.case("Tensor has its methods, attributes and operators", function()
  local Tensor, text = run "torch/Tensor.lua", stubs["torch/Tensor.lua"]
  local missing = {}
  for _, name in ipairs(names.of_tensor()) do
    if not Tensor[name] and not text:find("\nTensor." .. name .. " = nil\n", 1, true) then missing[#missing + 1] = name end
  end
  test.equal(missing, {})
  test.truthy(text:find("---@operator add(Tensor|number): Tensor", 1, true))
  test.truthy(text:find("---@type integer[]\nTensor.shape = nil", 1, true))
end)

test.case("overloads and keywords in a last table are forms of their own", function()
  local text = stubs["torch/Tensor.lua"]
  test.truthy(text:find("---@overload fun(self: Tensor, dim: integer|integer[]|nil, options: {keepdim?: boolean, dtype?: dtype}): Tensor",
    1, true))
  test.truthy(stubs["torch/nn.lua"]:find("---@overload fun(in_features: integer, out_features: integer, options: {bias?: boolean",
    1, true))
end)

test.case("classes: modules, optimizers, runs, loaders, and what makes them", function()
  test.truthy(stubs["torch/nn.lua"]:find("---@class nn.Linear: Module", 1, true))
  test.truthy(stubs["torch/nn.lua"]:find("---@class Module\n", 1, true))
  test.truthy(stubs["torch/optim.lua"]:find("---@class optim.AdamW: Optimizer", 1, true))
  test.truthy(stubs["torch/utils/data.lua"]:find("---@class DataLoader", 1, true))
  test.truthy(stubs["mlflow/run.lua"]:find("---@class Run", 1, true))
  test.truthy(stubs["types.lua"]:find("arg = {}", 1, true))
end)

test.case("every type is one that the stubs define, or Lua's own", function()
  local defined = {any = true, ["nil"] = true, boolean = true, number = true, integer = true, string = true,
    table = true, ["function"] = true, fun = true, ["true"] = true, ["false"] = true, self = true}
  for _, text in pairs(stubs) do
    for name in text:gmatch("%-%-%-@class ([%w_%.]+)") do defined[name] = true end
  end
  local unknown = {}
  for file, text in pairs(stubs) do
    for kind in text:gmatch("\n%-%-%-@type ([%w_%.]+)") do
      if not defined[kind] then unknown[#unknown + 1] = file .. ": " .. kind end
    end
    for kind in text:gmatch("\n%-%-%-@param [%w_%.]+%??%s+([%w_%.]+)") do
      if not defined[kind] then unknown[#unknown + 1] = file .. ": " .. kind end
    end
    for kind in text:gmatch("\n%-%-%-@field [%w_]+ ([%w_%.]+)") do
      if not defined[kind] then unknown[#unknown + 1] = file .. ": " .. kind end
    end
  end
  test.equal(unknown, {})
end)
