-- torch.cuda.nvtx: ranges and marks in the timeline of NVIDIA's profiler, as torch/cuda/nvtx.py.
local mode = require "torch.mode"
local named = require "torch.named"
local native = require "native.device"

local nvtx = {}
local depth = 0  -- of the ranges that are open

--- Opens a range.
---@param msg string
---@return integer its depth, from 0
nvtx.range_push = named("torch.cuda.nvtx.range_push", "msg", function(msg)
  native.nvtx_push(msg)
  depth = depth + 1
  return depth - 1
end)

--- Ends the range that was opened last.
---@return integer its depth, from 0
function nvtx.range_pop()
  native.nvtx_pop()
  depth = math.max(depth - 1, 0)
  return depth
end

--- A moment.
---@param msg string
nvtx.mark = named("torch.cuda.nvtx.mark", "msg", native.nvtx_mark)

--- A range until the scope ends, or while a function runs: local _ <close> = torch.cuda.nvtx.range("epoch")
---@param msg string
---@param fn? function is called with the arguments that follow it
nvtx.range = mode("torch.cuda.nvtx.range", "msg", function(msg)
  nvtx.range_push(msg)
  return function() nvtx.range_pop() end
end, true)

return require("host.namespace")("torch.cuda.nvtx", {held = nvtx, absent = {
  range_start = "ranges that overlap are no part of LibTorch's C++: range_push and range_pop nest",
  range_end = "ranges that overlap are no part of LibTorch's C++: range_push and range_pop nest",
}})
