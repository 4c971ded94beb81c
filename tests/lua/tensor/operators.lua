-- Lua's operators on tensors, length, iteration, truth and identity.
local test = require "test"
local torch = require "torch"

test.case("record_stream is PyTorch's, which the CPU has none of", function()
  local x = torch.ones(2)
  test.raises("Could not run 'aten::record_stream' with arguments from the 'CPU' backend", x.record_stream, x,
    torch.Stream "cpu")
  test.raises('missing 1 required positional arguments: "s"', x.record_stream, x)
  test.raises("a Stream", x.record_stream, x, 3)
end)

local x, k = torch.tensor {1.0, 2.0, 4.0}, torch.tensor {5, 6, 7}
local m, n = torch.tensor {true, false, true}, torch.tensor {true, true, false}

test.case("arithmetic with tensors and numbers on either side", function()
  test.equal((x + x):tolist(), {2.0, 4.0, 8.0})
  test.equal((1 + x):tolist(), {2.0, 3.0, 5.0})
  test.equal((1 - x):tolist(), {0.0, -1.0, -3.0})
  test.equal((2 * x - 1):tolist(), {1.0, 3.0, 7.0})
  test.equal((x / 2):tolist(), {0.5, 1.0, 2.0})
  test.equal((8 / x):tolist(), {8.0, 4.0, 2.0})
  test.equal((x ^ 2):tolist(), {1.0, 4.0, 16.0})
  test.equal((2 ^ x):tolist(), {2.0, 4.0, 16.0})
  test.equal((-x):tolist(), {-1.0, -2.0, -4.0})
end)

test.case("integer division and remainder round down", function()
  test.equal((k // 2):tolist(), {2, 3, 3})
  test.equal((-k // 2):tolist(), {-3, -3, -4})
  test.equal((k % 3):tolist(), {2, 0, 1})
  test.equal((-k % 3):tolist(), {1, 0, 2})
  test.equal((k / 2).dtype, torch.float32)
end)

test.case("a Lua float promotes and an integer does not", function()
  test.equal((k + 1).dtype, torch.int64)
  test.equal((k + 1.0).dtype, torch.float32)
  test.equal((x:double() + 1.0).dtype, torch.float64)
end)

test.case("bits and logic", function()
  test.equal((m & n):tolist(), {true, false, false})
  test.equal((m | n):tolist(), {true, true, true})
  test.equal((m ~ n):tolist(), {false, true, true})
  test.equal((~m):tolist(), {false, true, false})
  test.equal((k << 1):tolist(), {10, 12, 14})
  test.equal((k >> 1):tolist(), {2, 3, 3})
  test.equal((~k):tolist(), {-6, -7, -8})
end)

test.case("comparison is a method, and Lua's < says so", function()
  test.equal(x:lt(2):tolist(), {true, false, false})
  test.equal(x:ge(k):tolist(), {false, false, false})
  test.raises("x:lt%(y%)", function() return x < k end)
  test.raises("x:lt%(y%)", function() return x <= 2 end)
end)

test.case("== is identity", function()
  local y = x
  test.truthy(x == y)
  test.truthy(x ~= x:clone())
  test.truthy(torch.equal(x, x:clone()))
end)

test.case("the length is the first size", function()
  test.equal(#torch.zeros(4, 2), 4)
  test.equal(#torch.zeros(0), 0)
  test.raises("0%-d tensor", function() return #torch.tensor(1) end)
end)

test.case("iteration goes over the first dimension", function()
  local rows = {}
  for row in torch.arange(6):reshape(3, 2):iter() do rows[#rows + 1] = row:tolist() end
  test.equal(rows, {{0, 1}, {2, 3}, {4, 5}})
  test.raises("0%-d tensor", function() torch.tensor(1):iter() end)
end)

test.case("pairs, ipairs and table.unpack name what to use", function()
  test.raises("x:iter", function() pairs(x) end)
  test.raises("iter", function() ipairs(x) end)
  test.raises("unbind", function() table.unpack(x) end)
end)

test.case("strings and nil are no operands", function()
  test.raises("torch.add", function() return x + "1" end)
  test.raises("torch.mul", function() return x * nil end)
  test.raises("torch.pow", function() return x ^ {} end)
end)

test.case("operators keep gradients", function()
  local w = torch.tensor({2.0, 3.0}, {requires_grad = true})
  local y = (1 - w) * w / 2 + w ^ 2
  y:sum():backward()
  test.near(w.grad, torch.tensor {2.5, 3.5}, 1e-6)
end)

test.case("torch.tensor refuses what an integer dtype cannot hold", function()
  local inf <const>, nan <const> = math.huge, 0 / 0
  for _, case in ipairs {
    {300, "uint8"}, {-129, "int8"}, {127.9, "int8"}, {1e20, "int64"}, {nan, "int64"}, {inf, "int32"}, {1 << 40, "int32"},
    {-1.0, "uint8"}, {-256, "uint8"},
  } do
    test.raises("cannot be converted to type " .. case[2] .. " without overflow", function()
      torch.tensor({0, case[1]}, {dtype = torch[case[2]]})
    end)
  end
  test.equal(torch.tensor({-1, 255, -255}, {dtype = torch.uint8}):tolist(), {255, 255, 1})
  test.equal(torch.tensor({2.7, -128}, {dtype = torch.int8}):tolist(), {2, -128})
  test.equal(torch.tensor({math.maxinteger, math.mininteger}):tolist(), {math.maxinteger, math.mininteger})
  test.equal(torch.tensor({1e300, -1}, {dtype = torch.float32}):tolist(), {inf, -1.0})
end)

test.case("requires_grad of a computed tensor cannot be switched off", function()
  local y = torch.ones(1, {requires_grad = true}) * 2
  test.raises("leaf variables", function() y.requires_grad = false end)
  test.raises("use var_no_grad = var.detach%(%)", function() y:requires_grad_(false) end)
  test.raises("leaf variables", function() y.requires_grad = true end)
  test.equal(y:requires_grad_().requires_grad, true)
  local counts = torch.arange(2)
  test.raises("only Tensors of floating point dtype can require", function() counts:requires_grad_() end)
  test.raises("floating point and complex dtype can require", function() counts.requires_grad = true end)
  test.raises("~ %(operator.invert%) is only implemented on integer and Boolean", function() return ~y end)
  test.equal(y:detach():requires_grad_(false).requires_grad, false)
end)

test.case("a missing backend is one line", function()
  if torch.cuda.is_available() then return end
  local _, failure = pcall(torch.ones, 1, {device = "cuda"})
  test.equal(failure.kind, "device")
  test.truthy(not tostring(failure):find "\n")
  test.truthy(tostring(failure):find "CUDA")
end)
