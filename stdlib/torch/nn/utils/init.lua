-- torch.nn.utils: PyTorch's name for the functions on gradients and parameters.
local utils = {}

for _, part in ipairs {"clip_grad", "convert_parameters"} do
  for name, fn in pairs(require("torch.nn.utils." .. part)) do utils[name] = fn end
end

return utils
