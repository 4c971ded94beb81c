-- torch.signal: its windows.
return require("torch.lazy")("torch.signal", {})
