-- torch.cuda's smaller parts, torch.cpu, torch.backends and torch.func: what can be seen without a GPU.
local test = require "test"
local torch = require "torch"

test.case("torch.cuda answers without a GPU what needs none", function()
  if torch.cuda.is_available() then return end
  test.equal(torch.cuda.get_arch_list(), {})
  test.equal(torch.cuda.get_gencode_flags(), "")
  test.equal(torch.cuda.memory_stats_as_nested_dict(), {})
  test.equal({torch.cuda.has_half, torch.cuda.has_magma, torch.cuda.is_current_stream_capturing()}, {true, false, false})
  test.truthy(torch.cuda.amp.amp_definitely_not_available())
  test.raises("NVTX functions not installed. Are you sure you have a CUDA build?", torch.cuda.nvtx.range_push, "x")
  test.raises("NVTX functions not installed", torch.cuda.nvtx.mark, {msg = "x"})
  test.raises("NVTX functions not installed", torch.cuda.nvtx.range, "x", print)
  test.equal(test.raises("has no 'range_start'", function() return torch.cuda.nvtx.range_start end).hint,
    "ranges that overlap are no part of LibTorch's C++: range_push and range_pop nest")
  test.raises("Torch not compiled with CUDA enabled", torch.cuda.ipc_collect)
  test.equal(torch.cuda.memory.memory_allocated(), 0)
  test.truthy(rawequal(torch.cuda.random.manual_seed, torch.cuda.manual_seed))
  test.raises("torch.cuda.memory has no 'manual_seed'", function() return torch.cuda.memory.manual_seed end)
end)

test.case("statistics in tables", function()
  local cuda = torch.cuda
  local flat = {["allocated_bytes.all.peak"] = 3, ["allocated_bytes.all.current"] = 1, num_ooms = 2}
  local before = cuda.memory_stats
  rawset(cuda, "memory_stats", function() return flat end)
  local nested = cuda.memory_stats_as_nested_dict()
  rawset(cuda, "memory_stats", before)
  test.equal(nested, {allocated_bytes = {all = {peak = 3, current = 1}}, num_ooms = 2})
end)

test.case("devices that the host is not built for are named", function()
  test.equal(test.raises("torch has no 'xpu'", function() return torch.xpu end).hint,
    "Intel's GPUs: this host is built for the CPU and CUDA")
end)

test.case("attention takes only the kernels of sdp_kernel while it lasts", function()
  local cuda = torch.backends.cuda
  do
    local _ <close> = cuda.sdp_kernel{enable_flash = false, enable_cudnn = false}
    test.equal({cuda.flash_sdp_enabled(), cuda.math_sdp_enabled(), cuda.cudnn_sdp_enabled()}, {false, true, false})
  end
  test.equal({cuda.flash_sdp_enabled(), cuda.math_sdp_enabled()}, {true, true})
end)

test.case("batch norms lose their statistics", function()
  local net = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2))
  local same = torch.func.replace_all_batch_norm_modules_(net)
  test.truthy(rawequal(same, net))
  test.equal({net[0].running_mean, net[0].track_running_stats}, {nil, false})
  net:eval()
  test.near(net[0](torch.tensor{{0., 0}, {2, 2}}):mean():item(), 0, 1e-6)
  test.raises("argument 'root' must be a Module", torch.func.replace_all_batch_norm_modules_, 3)
end)

test.case("Variable is a leaf of the same memory", function()
  local x = torch.ones(2)
  local v = torch.autograd.Variable(x, {requires_grad = true})
  test.equal({v.requires_grad, v.is_leaf, x.requires_grad, v:data_ptr() == x:data_ptr()}, {true, true, false, true})
end)
