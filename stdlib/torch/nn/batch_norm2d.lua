-- nn.BatchNorm2d: inputs of shape (N, C, H, W).
local batch_norm = require "torch.nn.batch_norm"
local module = require "torch.nn.module"

---@class BatchNorm2d : Module
local BatchNorm2d = module.class("BatchNorm2d", batch_norm)
BatchNorm2d.dims, BatchNorm2d.other_dims, BatchNorm2d.expected = 4, 4, "4D"

return BatchNorm2d
