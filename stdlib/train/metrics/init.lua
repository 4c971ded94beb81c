-- train.metrics: metrics by name, loaded at first use. Each has update(pred, target, weight), result(), reset(), merge(other).
return require("host.namespace")("train.metrics", {
  modules = {
    Mean = "train.metrics.mean", Sum = "train.metrics.sum", Accuracy = "train.metrics.accuracy",
    MeanAveragePrecision = "train.metrics.mean_average_precision", BLEU = "train.metrics.bleu",
  },
})
