-- Complex numbers as Lua values.
local test = require "test"
local torch = require "torch"

local z, w = torch.complex(1, 2), torch.complex(0, -1)

test.case("arithmetic is Python's", function()
  test.equal(tostring(z + w), "(1+1j)")
  test.equal(tostring(2 - z), "(1-2j)")
  test.equal(tostring(z * w), "(2-1j)")
  test.equal(tostring(z / 2), "(0.5+1j)")
  test.equal(tostring(z ^ 2), "(-3+4j)")
  test.equal(tostring(z ^ -1), "(0.2-0.4j)")
  test.equal(tostring(-w), "(-0+1j)")
  test.equal(tostring(torch.complex(0, 3)), "3j")
  test.equal(tostring(torch.complex(1e20, 0 / 0)), "(1e+20+nanj)")
  test.truthy(z == torch.complex(1.0, 2.0) and z ~= w)
  test.equal({z.real, z.imag, z:abs(), tostring(z:conjugate())}, {1.0, 2.0, 5 ^ 0.5, "(1-2j)"})
  test.raises("complex division by zero", function() return z / 0 end)
  test.raises("0 to a negative or complex power", function() return torch.complex(0, 0) ^ -1 end)
  test.raises("cannot compute complex %+ string", function() return z + "x" end)
  test.raises("has no field", function() return z.phase end)
end)

test.case("stands where a number stands in operators", function()
  local x = torch.tensor{1.0, 2.0}
  test.equal((x + z).dtype, torch.complex64)
  test.equal((z * x):tolist()[2], torch.complex(2, 4))
  test.equal(torch.full({1}, z):tolist(), {z})
  test.equal(torch.tensor{z, 1, true}.dtype, torch.complex64)
  test.equal(torch.tensor(z):item(), z)
  test.equal(torch.zeros(1, {dtype = torch.complex128}):fill_(z):item(), z)
  local y = torch.zeros(2, 2, {dtype = torch.complex64})
  y["0, 1"] = z
  y[1] = {w, 1}
  test.equal(y:tolist(), {{torch.complex(0, 0), z}, {w, torch.complex(1, 0)}})
  test.raises("must be real number, not complex", torch.tensor, {z}, {dtype = torch.float32})
end)

test.case("of tensors it is the operator", function()
  test.equal(torch.complex(torch.ones(2), torch.zeros(2)).dtype, torch.complex64)
end)
