-- Errors that arise below a function of the standard library name what the script called.
local test = require "test"
local torch = require "torch"
local F, nn = torch.nn.functional, torch.nn

local x, classes = torch.zeros(2, 3), torch.zeros(5):long()

test.case("a loss is named, not the operator that computes it", function()
  local function check(name, ...)
    local err = select(2, pcall(F[name], ...))
    test.equal({name, err.op, err.message:match("^[%w_.]+")}, {name, "F." .. name, "F." .. name})
    test.equal(tostring(err):find("torch." .. name, 1, true), nil)
  end
  check("cross_entropy", x, classes)
  check("cross_entropy", x, "x")
  check("nll_loss", x, classes)
  check("kl_div", x, torch.zeros(4))
  check("ctc_loss", x, classes, {1}, {1})
  check("multi_margin_loss", x, classes)
  check("mse_loss", torch.zeros(3), torch.zeros(4))
  check("soft_margin_loss", x, torch.zeros(4))
  check("interpolate", torch.zeros(1, 1, 2, 2), {size = {-1, 3}})
  check("embedding", x, x)
end)

test.case("functions of torch and methods in Lua are named", function()
  for name, call in pairs {
    ["torch.norm"] = function() local _ = torch.norm(x, 2, 9) end,
    ["torch.tensordot"] = function() local _ = torch.tensordot(x, torch.zeros(4, 5)) end,
    ["torch.linalg.norm"] = function() local _ = torch.linalg.norm(x, 2, 9) end,
    ["Tensor.norm"] = function() local _ = x:norm(2, 9) end,
    ["Tensor.split"] = function() local _ = x:split(1, 9) end,
  } do
    pcall(call)  -- what is in a file of its own is loaded by a first call
    local err = test.raises(".", call)
    test.equal({err.op, err.message:match("^[%w_.]+")}, {name, name})
  end
end)

test.case("a layer is named by its class, a class of the script's too", function()
  local function op_of(layer, ...) return select(2, pcall(layer, ...)).op end
  test.equal(op_of(nn.Linear(4, 2), x), "nn.Linear")
  test.equal(op_of(nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), x), "nn.Linear")
  test.equal(op_of(nn.CrossEntropyLoss(), x, classes), "nn.CrossEntropyLoss")
  local Own = nn.class("Own", nn.Linear)
  test.equal(op_of(Own(4, 2), x), "Own")
end)

test.case("an error in a tail call names the function, and says that the line is further out", function()
  local here = debug.getinfo(1, "S").short_src
  local function loss() return F.cross_entropy(x, classes) end
  local function outer()
    local value = loss()
    return value
  end
  local err = select(2, pcall(outer))
  test.equal(err.where, ("%s:%d"):format(here, debug.getinfo(outer, "S").linedefined + 1))
  test.equal(err.op, "F.cross_entropy")
  test.equal(err.hint, "called as `return F.cross_entropy(...)` in a function that this line called")

  -- Errors of stdlib's own checks as well, which name no function elsewhere.
  local function checked() return F.binary_cross_entropy_with_logits(x, torch.zeros(2)) end
  err = select(2, pcall(function() local _ = checked() end))
  test.truthy(err.message:find("^F.binary_cross_entropy_with_logits: Target size"))
  test.truthy(err.hint:find("`return F.binary_cross_entropy_with_logits", 1, true))
end)

test.case("an error that is no tail call's has no such hint", function()
  local err = select(2, pcall(function() local _ = F.cross_entropy(x, classes) end))
  test.equal(err.hint, nil)
  err = select(2, pcall(F.cross_entropy, x, classes))
  test.equal(err.hint, nil)
end)

-- Every function in Lua of these namespaces, with values that some operator below it refuses.
test.case("no function of nn.functional names an operator of another name", function()
  local values = {x, torch.zeros(5), classes, torch.zeros(1, 2, 3, 4), 3, "x", {2, 2}, true, torch.zeros(0)}
  local wrong, named = {}, 0
  for _, name in ipairs(getmetatable(F).__names()) do
    local f = F[name]
    if type(f) == "function" and debug.getinfo(f, "S").what == "Lua" then
      for _, a in ipairs(values) do
        for _, b in ipairs(values) do
          for _, c in ipairs {b, 2} do
            local ok, err = pcall(f, a, b, c)
            if not ok and type(err) == "table" and err.op and err.op ~= "" then
              named = named + 1
              if err.op ~= "F." .. name then wrong[name] = err.op .. ": " .. err.message end
            end
          end
        end
      end
    end
  end
  test.truthy(named > 1000, named)
  test.equal(wrong, {})
end)
