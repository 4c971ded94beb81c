-- tostring(tensor) and the print options; tests/parity/test_print.py compares hundreds of tensors with Python.
local test = require "test"
local torch = require "torch"

test.case("a tensor prints as in Python", function()
  test.equal(tostring(torch.tensor {1.5, -2, 3}), "tensor([ 1.5000, -2.0000,  3.0000])")
  test.equal(tostring(torch.tensor {{1, 2}, {3, 4}}), "tensor([[1, 2],\n        [3, 4]])")
  test.equal(tostring(torch.tensor(true)), "tensor(True)")
  test.equal(tostring(torch.zeros(0, 3)), "tensor([], size=(0, 3))")
  test.equal(tostring(torch.ones(2, {dtype = torch.float64})), "tensor([1., 1.], dtype=torch.float64)")
  test.equal(tostring(torch.arange(2000)), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])")
end)

test.case("gradients show", function()
  local x = torch.ones(2):requires_grad_()
  test.equal(tostring(x), "tensor([1., 1.], requires_grad=True)")
  test.equal(tostring(x + 1), "tensor([2., 2.], grad_fn=<AddBackward0>)")
end)

test.case("a freed tensor prints without an error", function()
  local x = torch.ones(2)
  x:free()
  test.truthy(tostring(x):find "Tensor")
end)

test.case("print options change what is shown and come back", function()
  local before = torch.get_printoptions()
  torch.set_printoptions {precision = 2, threshold = 5, edgeitems = 1}
  test.equal(tostring(torch.linspace(0.25, 1, 12)), "tensor([0.25,  ..., 1.00])")
  torch.set_printoptions {sci_mode = true, profile = "default"}
  test.equal(tostring(torch.tensor {1.5}), "tensor([1.5000e+00])")
  torch.set_printoptions {profile = "default"}
  test.equal(torch.get_printoptions(), before)
end)

test.case("wrong print options are usage errors that change nothing", function()
  local before = torch.get_printoptions()
  test.raises("unknown keyword", function() torch.set_printoptions {precison = 2} end)
  test.raises("'linewidth' is given by position and by keyword",
    function() torch.set_printoptions(2, nil, nil, 80, {linewidth = 70}) end)
  for _ = 1, 20 do
    local wrong = {a = 1}
    for _ = 1, 5 do wrong["x" .. math.random(1000)] = 1 end
    test.raises("unknown keyword 'a'", torch.set_printoptions, wrong)
  end
  torch.set_printoptions(3, {linewidth = 70})
  test.equal({torch.get_printoptions().precision, torch.get_printoptions().linewidth}, {3, 70})
  torch.set_printoptions {profile = "default"}
  test.raises("'precision'", function() torch.set_printoptions {precision = -1} end)
  test.raises("'profile'", function() torch.set_printoptions {precision = 2, profile = "long"} end)
  test.equal(torch.get_printoptions(), before)
end)

test.case("a dual tensor shows its tangent", function()
  local forward = torch.autograd.forward_ad
  forward.dual_level(function()
    local x = forward.make_dual(torch.tensor {1.0, 2.0}, torch.tensor {3.0, 4.0})
    test.equal(tostring(x), "tensor([1., 2.], tangent=tensor([3., 4.]))")
    test.equal(tostring(x:reshape(2, 1):double()), "tensor([[1.],\n        [2.]], dtype=torch.float64,\n"
      .. "       tangent=tensor([[3.],\n        [4.]], dtype=torch.float64))")
    test.equal(tostring(x[0]), "tensor(1., tangent=3.0)")
  end)
end)

test.case("as many dimensions as there are", function()
  local sizes = {}
  for i = 1, 40000 do sizes[i] = 1 end
  test.equal(tostring(torch.ones(sizes)), "tensor(" .. ("["):rep(40000) .. "1." .. ("]"):rep(40000) .. ")")
  sizes[20000] = 2
  local text = tostring(torch.arange(2):reshape(sizes))
  local open, close = ("["):rep(20000), ("]"):rep(20000)
  test.equal(text, "tensor(" .. open .. "[" .. ("["):rep(19999) .. "0" .. close .. "," .. ("\n"):rep(20000)
    .. (" "):rep(7 + 20000) .. open .. "1" .. close .. "]" .. close:sub(2) .. ")")
end)
