-- What the parity test and the benchmark run: the training of a model, at the sizes that sizes.json has for it.
local host = require "host"
local torch = require "torch"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
package.path = folder .. "/../../../scripts/?.lua;" .. package.path

local function descend(training, first, ...)
  training.optimizer:zero_grad()
  first:backward()
  if training.clip_norm then torch.nn.utils.clip_grad_norm_(training.modules[1]:parameters(), training.clip_norm) end
  training.optimizer:step()
  return first, ...
end

-- A training: modules, step() that gives its loss or losses, samples of a step; and the sizes. kind: "tiny" or "bench".
-- Most files give optimizer, loss() (of what it returns, the first goes backward) and clip_norm instead of a step.
return function(name, kind)
  local file = assert(io.open(folder .. "/sizes.json"))
  local sizes = host.json.decode(file:read "a")[name][kind]
  file:close()
  torch.manual_seed(0)
  local training = dofile(("%s/%s.lua"):format(folder, name))(sizes)
  training.step = training.step or function() return descend(training, training.loss()) end
  return training, sizes
end
