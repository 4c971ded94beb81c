-- Layers of an nn.Sequential that do not fit each other, as far as their sizes are written out.
local values = require "host.check.values"

-- name -> {takes, gives}: places of the sizes among the arguments; the layer's kind of data.
local SIZED <const> = {
  Linear = {1, 2, "features"}, Conv1d = {1, 2, "channels"}, Conv2d = {1, 2, "channels"}, Conv3d = {1, 2, "channels"},
  ConvTranspose1d = {1, 2, "channels"}, ConvTranspose2d = {1, 2, "channels"}, ConvTranspose3d = {1, 2, "channels"},
  BatchNorm1d = {1, 1}, BatchNorm2d = {1, 1, "channels"}, BatchNorm3d = {1, 1, "channels"},
}

-- Layers that leave the size as it is.
local SAME <const> = {}
for name in ([[ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Tanh Sigmoid Hardtanh Hardsigmoid Hardswish Softplus Softsign
  Tanhshrink LogSigmoid Softmax LogSoftmax Dropout AlphaDropout Identity]]):gmatch("%S+") do SAME[name] = "any" end
for name in ([[MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d
  AdaptiveMaxPool2d Dropout1d Dropout2d Dropout3d]]):gmatch("%S+") do SAME[name] = "channels" end

local function whole(node)
  node = node and values.origin(node)
  return node and node.type == "number" and math.tointeger(tonumber(node.value)) or nil
end

local layers = {}

---Does a layer draw weights when it is made?
---@param path string "torch.nn.Linear"
---@return boolean
function layers.has_weights(path)
  local name = path:match("^torch%.nn%.(%u%w*)$")
  return SIZED[name] ~= nil and not name:find("^BatchNorm") or name ~= nil and (name == "Embedding" or name:find("^Transformer") ~= nil
    or name:find("^LSTM") ~= nil or name:find("^GRU") ~= nil or name:find("^RNN") ~= nil or name == "MultiheadAttention")
end

---@param found table of the parser
---@param report fun(at: table, message: string, hint: string?)
function layers.check(found, report)
  for _, call in ipairs(found.calls) do
    local size, kind, from  -- of what the layer before gives
    for _, node in ipairs(not call.protected and values.path(call.callee) == "torch.nn.Sequential" and call.arguments or {}) do
      local layer = values.origin(node)
      local name = layer.type == "call" and (values.path(layer.callee) or ""):match("^torch%.nn%.(%u%w*)$")
      local sized = SIZED[name]
      if sized then
        local takes = whole(layer.arguments[sized[1]])
        local same_kind = not sized[3] or kind == nil or sized[3] == kind
        if size and takes and same_kind and takes ~= size then
          report(node, ("nn.%s takes %d, but nn.%s before it gives %d"):format(name, takes, from, size))
        end
        if sized[3] or size then
          size, kind, from = whole(layer.arguments[sized[2]]), sized[3] or kind, name
        end
      elseif not (SAME[name] and (SAME[name] == "any" or SAME[name] == kind)) then
        size, kind = nil, nil
      end
    end
  end
end

return layers
