-- torch.utils.data: datasets, their splits, and the loader that makes batches of them.
local datasets = require "torch.utils.data.dataset"
local splits = require "torch.utils.data.split"

return require("host.namespace")("torch.utils.data", {held = {
  Dataset = datasets.Dataset,
  TensorDataset = datasets.TensorDataset,
  Subset = datasets.Subset,
  ConcatDataset = datasets.ConcatDataset,
  random_split = splits.random_split,
  default_collate = require "torch.utils.data.collate",
  DataLoader = require "torch.utils.data.loader",
}})
