-- torch.utils.tensorboard: event files that TensorBoard reads, written without TensorBoard.
return require("host.namespace")("torch.utils.tensorboard", {
  modules = {SummaryWriter = "torch.utils.tensorboard.summary_writer"},
  absent = {
    FileWriter = "SummaryWriter writes event files; there are no Event objects in Lua",
    RecordWriter = "SummaryWriter writes event files; there are no Event objects in Lua",
  },
})
