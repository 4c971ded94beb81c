-- torch.cuda and torch.accelerator where there is no GPU: questions have answers, deeds are PyTorch's errors.
local test = require "test"
local torch = require "torch"

if torch.cuda.is_available() then
  test.skip("there is a GPU")
  return
end

local built = torch.backends.cuda.is_built()

test.case("questions have answers", function()
  test.equal(torch.cuda.device_count(), 0)
  test.equal(torch.cuda.is_initialized(), false)
  test.equal(torch.cuda.is_bf16_supported(), false)
  test.equal(torch.cuda.memory_allocated() + torch.cuda.max_memory_reserved(), 0)
  test.equal(next(torch.cuda.memory_stats()), nil)
  test.equal(torch.cuda.get_rng_state_all(), {})
  torch.cuda.manual_seed(1)
  torch.cuda.manual_seed_all(1)
  torch.cuda.empty_cache()
  test.equal(torch.accelerator.current_accelerator(), nil)
  test.equal(torch.accelerator.current_accelerator(true), nil)
  test.equal(torch.accelerator.current_accelerator {check_available = true}, nil)
  test.raises("takes at most 1", torch.accelerator.current_accelerator, true, 1)
  test.equal(torch.accelerator.is_available(), false)
  test.equal(torch.accelerator.device_count(), 0)
  test.equal(torch.backends.cudnn.is_available(), false)
  test.equal(torch.ones(2):is_pinned(), false)
  test.equal(torch.autocast("cuda", torch.mm, torch.ones(1, 1), torch.ones(1, 1)).dtype, torch.float32)
end)

test.case("deeds are errors of kind device in PyTorch's words", function()
  local message = built and "NVIDIA" or "Torch not compiled with CUDA enabled"
  local function fails(f, ...)
    local ok, err = pcall(f, ...)
    test.falsy(ok)
    test.equal(err.kind, "device")
    test.truthy(err.message:find(message, 1, true), err.message)
  end
  local cuda, x = torch.cuda, torch.ones(2)
  fails(cuda.init)
  for _, f in ipairs {cuda.current_device, cuda.get_device_name, cuda.get_device_properties, cuda.get_device_capability,
    cuda.synchronize, cuda.mem_get_info, cuda.reset_peak_memory_stats, cuda.Stream, cuda.Event, cuda.current_stream,
    cuda.default_stream, cuda.get_rng_state, cuda.initial_seed, cuda.memory_summary} do
    fails(f)
  end
  fails(cuda.set_device, 0)
  fails(cuda.device, 0)
  fails(function() return x:cuda() end)
  fails(function() return x:to("cuda") end)
  fails(function() return x:to("cuda:1", torch.float64) end)
  fails(function() return torch.ones(2, {device = "cuda"}) end)
  fails(function() return torch.tensor({1, 2}, {device = "cuda"}) end)
  fails(function() return torch.nn.Linear(2, 2):to("cuda") end)
  fails(torch.Stream, "cuda")
end)

test.case("there is no accelerator to use", function()
  for _, f in ipairs {torch.accelerator.current_device_index, torch.accelerator.synchronize,
    torch.accelerator.current_stream, torch.accelerator.memory_allocated, torch.accelerator.empty_cache} do
    test.raises("Cannot access accelerator device when none is available", f)
  end
  test.raises("Cannot access accelerator device when none is available", function() return torch.ones(2):pin_memory() end)
  test.raises("no pinned memory allocator", function() return torch.ones(2, {pin_memory = true}) end)
end)

test.case("wrong devices are usage errors", function()
  test.raises("Expected a cuda device, but got: cpu", torch.cuda.set_device, "cpu")
  test.raises("torch.cuda has no 'nope'", function() return torch.cuda.nope end)
  torch.cuda.set_device(-1)
  test.equal(torch.cuda.device(-1, function() return 3 end), 3)
  test.equal(torch.cuda.stream(nil, function() return 4 end), 4)
end)

test.case("the CPU has a stream, in which all is done in order", function()
  test.equal(tostring(torch.Stream("cpu")), "torch.Stream device_type=cpu, device_index=-1, stream_id=0")
  test.equal(torch.cpu.current_stream().device_type, "cpu")
  test.equal(torch.cpu.device_count(), 1)
  test.equal(torch.get_device_module("cpu"), torch.cpu)
  test.equal(torch.get_device_module("cuda"), torch.cuda)
  test.raises("does not have a corresponding module", torch.get_device_module, "meta")
end)

test.case("to, cpu and non_blocking on the CPU", function()
  local x = torch.ones(2)
  test.truthy(x:to("cpu"):data_ptr() == x:data_ptr())
  test.truthy(x:to("cpu", {copy = true}):data_ptr() ~= x:data_ptr())
  test.equal(x:to("cpu", torch.float64, true).dtype, torch.float64)
  test.equal(x:to({device = "cpu", dtype = torch.int32, non_blocking = true}).dtype, torch.int32)
  test.equal(x:cpu():data_ptr(), x:data_ptr())
end)
