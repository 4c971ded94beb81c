-- train.metrics: metrics by name, loaded at first use. Each has update(pred, target, weight), result(), reset(), merge(other).
return require("host.namespace")("train.metrics", {
  modules = {
    Accuracy = "train.metrics.accuracy",
    BLEU = "train.metrics.bleu",
    Mean = "train.metrics.mean",
    MeanAveragePrecision = "train.metrics.mean_average_precision",
    Sum = "train.metrics.sum",
  },
})
