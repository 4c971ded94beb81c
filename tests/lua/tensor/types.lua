-- torch.Tensor and the types of old: constructors, names, methods as functions; classes of errors; versions.
local test = require "test"
local torch = require "torch"

test.case("torch.Tensor and its like are made of sizes, data or a tensor", function()
  test.equal(torch.Tensor(2, 3).shape, {2, 3})
  test.equal(torch.Tensor().shape, {0})
  test.equal(torch.Tensor(torch.Size{4, 1}).shape, {4, 1})
  test.equal(torch.Tensor{1, 2}, torch.tensor{1., 2})
  test.equal(torch.Tensor{{1, 2}, {3, 4}}.dtype, torch.float32)
  test.equal(torch.IntTensor{1.5}, torch.tensor({1}, {dtype = torch.int32}))
  test.equal(torch.BoolTensor{1, 0}:tolist(), {true, false})
  test.equal(torch.ByteTensor(3).dtype, torch.uint8)
  local x = torch.ones(2)
  local same = torch.FloatTensor(x)
  same[0] = 5
  test.equal(x[0]:item(), 5.0)
  test.equal(torch.Tensor(torch.tensor{1, 2}).dtype, torch.int64)
  for name, dtype in pairs {BFloat16 = "bfloat16", Char = "int8", Double = "float64", Half = "float16", Long = "int64",
    Short = "int16"} do
    test.equal(torch[name .. "Tensor"]{1}.dtype, torch[dtype])
  end
  torch.set_default_dtype(torch.float64)
  test.equal(torch.Tensor(1).dtype, torch.float64)
  torch.set_default_dtype(torch.float32)
end)

test.case("what they are not made of is said as PyTorch says it", function()
  test.raises("expected a tensor of torch.float32 on cpu, got torch.int64 on cpu", torch.FloatTensor, torch.tensor{1})
  test.raises("new(): data must be a sequence (got number 2.5)", torch.Tensor, 2.5)
  test.raises("new(): invalid data type 'str'", torch.Tensor, "ab")
  test.raises("legacy constructor expects device type: cpu but device type: meta was passed", torch.Tensor, 2, {device = "meta"})
  test.raises('unknown keyword string "dtype"', torch.Tensor, 2, {dtype = torch.int32})
  if not torch.cuda.is_available() then
    test.raises("type torch.cuda.FloatTensor not available", torch.cuda.FloatTensor, 2)
  end
end)

test.case("torch.Tensor has every method as a function", function()
  local x = torch.tensor{1., 2}
  test.equal(torch.Tensor.add(x, 1), torch.tensor{2., 3})
  test.equal(torch.Tensor.rep(x, 2).shape, {4})
  test.equal(torch.Tensor["repeat"](x, 2).shape, {4})
  test.equal(torch.Tensor.split(x, 1)[2], torch.tensor{2.})
  test.equal(torch.Tensor.__add__(x, x), torch.tensor{2., 4})
  test.equal(torch.Tensor.tolist(x), {1.0, 2.0})
  test.truthy(torch.is_tensor(x) and not torch.is_tensor(torch.Tensor))
  local err = test.raises("torch.Tensor has no 'shape'", function() return torch.Tensor.shape end)
  test.equal(err.hint, "an attribute of each tensor: x.shape")
  test.raises("torch.Tensor has no 'ad'", function() return torch.Tensor.ad end)
  test.raises("methods cannot be assigned", function() torch.Tensor.mine = print end)
end)

test.case("types are named, and tensors converted by them", function()
  local x = torch.ones(2)
  test.equal(x:type(), tostring(torch.FloatTensor))
  test.equal(x:type(torch.DoubleTensor).dtype, torch.float64)
  test.equal(x:type("torch.LongTensor").dtype, torch.int64)
  test.equal(x:type(torch.float16).dtype, torch.float16)
  test.equal(torch.HalfTensor.dtype, torch.float16)
  torch.set_default_tensor_type(torch.DoubleTensor)
  test.equal(torch.zeros(1).dtype, torch.float64)
  torch.set_default_tensor_type("torch.FloatTensor")
  test.equal(x:new(2, 2).shape, {2, 2})
  test.equal(x:new{7}, torch.tensor{7.})
end)

test.case("sizes count and find", function()
  local size = torch.zeros(2, 3, 2).shape
  test.equal({size:count(2), size:count(9), size:index(3), size[size:index(3)]}, {2, 0, 2, 3})
  test.raises("number 9 is not among the sizes", size.index, size, 9)
end)

test.case("errors of LibTorch say which class Python raises", function()
  local ok, err = pcall(torch.linalg.inv, torch.zeros(2, 2))
  test.falsy(ok)
  test.equal(err.type, "LinAlgError")
  test.truthy(torch.linalg.LinAlgError.is(err))
  test.falsy(torch.cuda.OutOfMemoryError.is(err))
  test.equal(tostring(torch.linalg.LinAlgError), "torch.linalg.LinAlgError")
  ok, err = pcall(function() return torch.zeros(2)[5] end)
  test.falsy(ok or torch.linalg.LinAlgError.is(err))
  ok, err = pcall(function() return torch.zeros(2)["5"] end)
  test.equal({ok, err.type}, {false, "IndexError"})
  ok, err = pcall(function() torch.zeros(2)["0, 5"] = 1 end)
  test.equal({ok, err.type}, {false, "IndexError"})
  ok, err = pcall(function() return torch.zeros(2):to_sparse():unfold(0, 1, 1) end)
  test.equal({ok, err.type}, {false, "NotImplementedError"})
  local x = torch.ones(2, {requires_grad = true})
  x:register_hook(function(grad) return grad["5"] end)
  ok, err = pcall(function() x:sum():backward() end)
  test.equal({ok, err.type}, {false, "IndexError"})
  ok, err = pcall(torch.autograd.gradcheck, function(t) return t:detach() * t end,
    {torch.ones(2, {dtype = torch.float64, requires_grad = true})})
  test.truthy(not ok and torch.autograd.GradcheckError.is(err))
  test.falsy(torch.linalg.LinAlgError.is("text"))
  test.truthy(rawequal(torch.OutOfMemoryError, torch.cuda.OutOfMemoryError))
end)

test.case("versions and dtypes tell what they are", function()
  test.equal(torch.version.__version__, torch.__version__)
  test.equal(torch.version.hip, nil)
  test.raises("torch.version has no 'cud'", function() return torch.version.cud end)
  local c = torch.complex64
  test.equal({c.is_complex, c.is_floating_point, c.is_signed, c.itemsize}, {true, false, true, 8})
  test.equal({c:to_real(), torch.float64:to_complex()}, {torch.float32, torch.complex128})
end)

test.case("a name that a namespace does not have is an error with the nearest one", function()
  for path, hint in pairs {
    ["torch.random.manual_sed"] = "did you mean 'manual_seed'?", ["torch.nn.init.uniform"] = "did you mean 'uniform_'?",
    ["torch.utils.checkpoint.checkpont"] = "did you mean 'checkpoint'?", ["torch.utils.dat"] = "did you mean 'data'?",
    ["torch.autograd.functional.jvpp"] = "did you mean 'jvp'?", ["torch.signal.windows.han"] = "did you mean 'hann'?",
    ["torch.func.grd"] = "did you mean 'grad'?", ["torch.accelerator.is_availabel"] = "did you mean 'is_available'?",
    ["torch.func.functionalize"] = "a rewrite of programs for compilers, which there are none of here",
    ["torch.layout"] = "a class for type checks: x.layout is a value such as torch.strided",
  } do
    local space, name = path:match "^(.*)%.(.-)$"
    local err = test.raises(space .. " has no '" .. name .. "'", load("local torch = require 'torch' return " .. path))
    test.equal(err.hint, hint)
  end
end)

test.case("a device calls functions and modules with it as the default device", function()
  local net = torch.nn.ReLU()
  function net.forward(_, x) return torch.zeros(1).device.type, x end
  local on, x = torch.device("meta")(net, 7)
  test.equal({on, x}, {"meta", 7})
  test.raises("out", torch.device("meta"), function() error "out" end)
  test.equal(torch.zeros(1).device.type, "cpu")
  test.raises("argument 'fn' must be a function", torch.device("meta"), 3)
end)

test.case("what has nothing to end says what <close> takes", function()
  for _, value in ipairs {torch.device("cpu"), torch.float32, torch.strided, torch.contiguous_format, torch.no_grad} do
    local x = torch.ones(1, {requires_grad = true})
    x:register_hook(function() local _ <close> = value end)  -- its errors are not Lua's plain ones any more
    local err = test.raises("got a non%-closable value", x.backward, x)
    test.truthy(err.hint and err.hint:find("no_grad() and set_default_device(d) return such scopes", 1, true))
  end
end)

test.case("an unsigned number beyond Lua's integers is no other one", function()
  local x = torch.tensor {5, -1}:view(torch.uint64)
  for _, f in ipairs {function() return x[1]:item() end, function() return x[1]:tolist() end, function() return x:tolist() end} do
    test.raises("value cannot be converted to type int64_t without overflow", f)
  end
  test.equal(x["0:1"]:tolist(), {5})
end)

test.case("uninitialized memory is filled where operators are deterministic, unless told otherwise", function()
  local deterministic = torch.utils.deterministic
  test.truthy(deterministic.fill_uninitialized_memory)
  torch.use_deterministic_algorithms(true)
  test.truthy(torch.empty(3):isnan():all():item())
  deterministic.fill_uninitialized_memory = false
  test.equal(torch.utils.deterministic.fill_uninitialized_memory, false)
  deterministic.fill_uninitialized_memory = true
  torch.use_deterministic_algorithms(false)
  test.raises("torch.utils.deterministic has no 'fill'", function() return deterministic.fill end)
end)

test.case("every type, layout and length becomes the same list", function()
  for _, size in ipairs {0, 1, 7, 8, 9, 100, 131072, 131073} do
    for _, name in ipairs {"float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64"} do
      local x = torch.arange(size):remainder(3):to(torch[name])
      local list = x:tolist()
      test.equal(#list, size)
      for _, i in ipairs {1, size // 2, size} do
        if i > 0 and i <= size then test.equal(list[i], x[i - 1]:item(), name) end
      end
    end
  end
  local x = torch.arange(600):view(20, 30)
  test.equal(x:t():tolist(), x:t():contiguous():tolist())
  test.equal(x:view(2, 10, 30):select(1, 3):tolist()[2][30], 30 * 13 + 29)
  test.equal(torch.zeros(2, 0, 3):tolist(), {{}, {}})
  test.equal(torch.ones(3):expand(2, 3):tolist(), {{1.0, 1.0, 1.0}, {1.0, 1.0, 1.0}})
  test.equal(torch.complex(torch.ones(9), torch.ones(9)):conj():tolist()[9], torch.complex(1, -1))
  test.equal(torch.eye(2):to_sparse():tolist(), {{1.0, 0.0}, {0.0, 1.0}})
end)
