-- nn.BatchNorm1d: inputs of shape (N, C) or (N, C, L).
local batch_norm = require "torch.nn.batch_norm"
local module = require "torch.nn.module"

---@class BatchNorm1d : Module
local BatchNorm1d = module.class("BatchNorm1d", batch_norm)
BatchNorm1d.dims, BatchNorm1d.other_dims, BatchNorm1d.expected = 2, 3, "2D or 3D"

return BatchNorm1d
