-- train.metrics: metrics by name, loaded at first use. Each has update(pred, target, weight), result(), reset(), merge(other).
local FILES <const> = {Mean = "mean", Sum = "sum", Accuracy = "accuracy"}

return setmetatable({}, {
  __index = function(self, name)
    local file = FILES[name]
    if not file then
      local names = require("host.ordered").keys(FILES)
      require("native.vm").raise("usage", ("train.metrics has no '%s'%s"):format(tostring(name),
        require("train.nearest").suggest(tostring(name), names)))
    end
    local metric = require("train.metrics." .. file)
    rawset(self, name, metric)
    return metric
  end,
  __names = function() return require("host.ordered").keys(FILES) end,
})
