-- torch.masked: reductions and normalizations over the elements that a mask lets through.
return require("host.namespace")("torch.masked", {files = {
  ["torch.masked.reductions"] = "sum prod amax amin argmax argmin median logsumexp logaddexp norm",
  ["torch.masked.moments"] = "mean var std",
  ["torch.masked.normalizations"] = "softmax log_softmax softmin normalize cumsum cumprod",
}})
