-- What a GPU does: skipped where there is none.
local test = require "test"
local torch = require "torch"

local cuda = torch.cuda
if not cuda.is_available() then test.skip "no CUDA device here" end

local MB <const> = 1 << 20

test.case("what there is", function()
  test.truthy(cuda.device_count() >= 1)
  test.equal(cuda.current_device(), 0)
  local properties = cuda.get_device_properties(0)
  test.equal(properties.name, cuda.get_device_name())
  test.truthy(#properties.name > 0 and properties.total_memory > 1 << 28 and properties.multi_processor_count > 0)
  local major, minor = cuda.get_device_capability()
  test.truthy(major >= 5 and minor >= 0)
  test.equal(properties.warp_size, 32)
  local free, total = cuda.mem_get_info()
  test.truthy(free > 0 and free <= total and total <= properties.total_memory * 1.05)
  test.equal(torch.accelerator.current_accelerator(), torch.device "cuda")
  test.equal(torch.accelerator.device_count(), cuda.device_count())
  test.raises("Invalid device", cuda.get_device_properties, 99)
  test.raises("invalid device ordinal", cuda.set_device, 99)
end)

test.case("tensors go there and back, and operators compute there", function()
  local x = torch.randn(64, 64)
  local y = x:to "cuda"
  test.truthy(y.is_cuda and tostring(y.device) == "cuda:0")
  test.truthy(torch.allclose(y:matmul(y):cpu(), x:matmul(x), {atol = 1e-2}))
  test.truthy(x:cuda():cpu():equal(x))
  test.truthy(torch.tensor({1, 2}, {device = "cuda"}):add(1):tolist()[2] == 3)
  test.raises("same device", function() return x + y end)
end)

test.case("pinned memory is copied without blocking", function()
  local x = torch.randn(1 << 16):pin_memory()
  test.equal(x:is_pinned(), true)
  test.equal(torch.ones(2):is_pinned(), false)
  local y = x:to("cuda", {non_blocking = true})
  cuda.synchronize()
  test.truthy(y:cpu():equal(x))
  test.equal(torch.empty(2, {pin_memory = true}):is_pinned(), true)
end)

test.case("memory is counted, and freed tensors give it back", function()
  collectgarbage()
  cuda.empty_cache()
  cuda.reset_peak_memory_stats()
  local before = cuda.memory_allocated()
  local x = torch.empty(8 * MB // 4, {device = "cuda"})
  test.equal(cuda.memory_allocated() - before, 8 * MB)
  test.truthy(cuda.max_memory_allocated() >= before + 8 * MB and cuda.memory_reserved() >= 8 * MB)
  x:free()
  test.equal(cuda.memory_allocated(), before)
  test.truthy(cuda.max_memory_allocated() >= before + 8 * MB)
  cuda.reset_peak_memory_stats()
  test.equal(cuda.max_memory_allocated(), before)
  test.equal(cuda.memory_stats()["allocated_bytes.all.current"], before)
  test.truthy(cuda.memory_summary():find("allocated memory", 1, true))
  test.equal(torch.accelerator.memory_allocated(), before)
end)

test.case("out of memory is an error of kind memory, and the script goes on", function()
  local ok, err = pcall(torch.empty, 1 << 50, {device = "cuda"})
  test.equal({ok, err.kind}, {false, "memory"})
  test.equal(torch.ones(2, {device = "cuda"}):sum():item(), 2.0)
end)

test.case("garbage on the GPU is collected before memory runs out", function()
  local free = cuda.mem_get_info()
  local size = free // 4
  for _ = 1, 12 do torch.empty(size // 4, {device = "cuda"}) end
  collectgarbage()
  cuda.empty_cache()
end)

test.case("streams order work, events measure it", function()
  local side = cuda.Stream()
  local x = torch.randn(512, 512, {device = "cuda"})
  local start, stop = cuda.Event {enable_timing = true}, cuda.Event {enable_timing = true}
  side:wait_stream(cuda.current_stream())
  local y
  do
    local _ <close> = cuda.stream(side)
    test.equal(cuda.current_stream(), side)
    start:record()
    y = x
    for _ = 1, 20 do y = y:matmul(x) / 30 end
    stop:record()
  end
  test.truthy(cuda.current_stream() ~= side)
  cuda.current_stream():wait_stream(side)
  stop:synchronize()
  test.truthy(stop:query() and start:elapsed_time(stop) > 0)
  test.equal(cuda.stream(side, function() return cuda.current_stream() == side end), true)
  side:synchronize()
  test.equal(side:query(), true)
  test.equal(cuda.default_stream().stream_id, 0)
  test.equal(side.device_type, "cuda")
end)

test.case("seeds give the same numbers, whenever they are given", function()
  torch.manual_seed(11)
  local a = torch.rand(4, {device = "cuda"})
  torch.manual_seed(11)
  test.truthy(torch.rand(4, {device = "cuda"}):equal(a))
  cuda.manual_seed(11)
  test.truthy(torch.rand(4, {device = "cuda"}):equal(a))
  local state = cuda.get_rng_state()
  local b = torch.rand(4, {device = "cuda"})
  cuda.set_rng_state(state)
  test.truthy(torch.rand(4, {device = "cuda"}):equal(b))
  test.equal(cuda.initial_seed(), 11)
  local g = torch.Generator("cuda"):manual_seed(11)
  test.truthy(torch.rand(4, {device = "cuda", generator = g}):equal(a))
  test.equal(g.device.type, "cuda")
  torch.random.fork_rng(function() torch.rand(9, {device = "cuda"}) end)
  cuda.set_rng_state(state)
  torch.random.fork_rng(function() torch.rand(9, {device = "cuda"}) end)
  test.truthy(torch.rand(4, {device = "cuda"}):equal(b))
end)

test.case("autocast computes in float16", function()
  local x = torch.randn(8, 8, {device = "cuda"})
  test.equal(torch.autocast("cuda", torch.mm, x, x).dtype, torch.float16)
  test.equal(cuda.amp.autocast(torch.mm, x, x).dtype, torch.float16)
  test.equal(torch.mm(x, x).dtype, torch.float32)
end)

test.case("a step of training there", function()
  local nn = torch.nn
  local net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1)):to "cuda"
  local optimizer = torch.optim.Adam(net:parameters(), {lr = 1e-2})
  local x, y = torch.randn(64, 16, {device = "cuda"}), torch.randn(64, 1, {device = "cuda"})
  local first, last
  for _ = 1, 20 do
    local loss = nn.functional.mse_loss(net(x), y)
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
    first, last = first or loss:item(), loss:item()
  end
  test.truthy(last < first)
end)

test.case("the current device is a scope", function()
  local other = cuda.device_count() - 1
  do
    local _ <close> = cuda.device(other)
    test.equal(cuda.current_device(), other)
    test.equal(torch.ones(1, {device = "cuda"}).device.index, other)
  end
  test.equal(cuda.current_device(), 0)
  test.equal(cuda.device(other, cuda.current_device), other)
end)

test.case("a checkpoint draws the same on every device of its arguments", function()
  if cuda.device_count() < 2 then test.skip "one CUDA device here" end
  local x, y = torch.ones(64, {device = "cuda:0"}), torch.ones(64, {device = "cuda:1", requires_grad = true})
  local seen = {}
  local function f(_, b)
    local noise = torch.rand(64, {device = "cuda:1"})
    seen[#seen + 1] = noise
    return b * noise
  end
  torch.utils.checkpoint.checkpoint(f, x, y, {use_reentrant = false}):sum():backward()
  test.truthy(#seen == 2 and seen[1]:equal(seen[2]) and y.grad:equal(seen[1]))
end)
