-- Anomaly mode: the line of the forward whose backward failed.
local test = require "test"
local torch = require "torch"

local function leaf(values) return torch.tensor(values, {dtype = torch.float64, requires_grad = true}) end

-- The line that calls this.
local function here() return debug.getinfo(2, "l").currentline end

test.case("names the line of the forward whose gradient is not a number", function()
  local _ <close> = torch.autograd.detect_anomaly()
  local x = leaf {0}
  local y, line = x:sqrt() * 0, here()
  local _, caught = pcall(y.backward, y)
  test.truthy(caught.message:find("Function 'SqrtBackward0' returned nan values in its 0th output.", 1, true))
  test.truthy(caught.message:find("anomaly.lua:" .. line, 1, true), caught.message)
end)

test.case("names the line of the forward whose backward raised in C++", function()
  local y, line
  torch.autograd.set_detect_anomaly(true, function()
    local x = leaf {1, 2} * 1
    y, line = x:exp(), here()
    y:add_(1)
    local _, caught = pcall(function() y:sum():backward() end)
    test.truthy(caught.message:find("modified by an inplace operation", 1, true))
    test.truthy(caught.message:find("anomaly.lua:" .. line, 1, true), caught.message)
  end)
  test.equal(torch.is_anomaly_enabled(), false)
end)

test.case("looks for NaN only if it is told to", function()
  local _ <close> = torch.autograd.set_detect_anomaly(true, false)
  test.equal({torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()}, {true, false})
  local y = leaf {0}:sqrt() * 0
  y:backward()
end)

test.case("is off outside its scope", function()
  test.equal(torch.is_anomaly_enabled(), false)
  torch.set_anomaly_enabled(true, false)
  test.equal(torch.is_anomaly_check_nan_enabled(), false)
  torch.set_anomaly_enabled(false)
  test.equal({torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()}, {false, true});
  (leaf {0}:sqrt() * 0):backward()
end)

test.case("names the forward of a Function, too", function()
  local Bad = torch.autograd.Function("Bad")
  function Bad.forward(_, x) return x * 1 end
  function Bad.backward(_, grad) return grad * (0 / 0) end
  local _ <close> = torch.autograd.detect_anomaly()
  local y, line = Bad.apply(leaf {1}), here()
  local _, caught = pcall(y.backward, y)
  test.truthy(caught.message:find("Function 'BadBackward' returned nan values in its 0th output.", 1, true))
  test.truthy(caught.message:find("anomaly.lua:" .. line, 1, true), caught.message)
end)
