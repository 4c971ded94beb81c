-- What the parity test and the benchmark run: the training of a model, at the sizes that sizes.json has for it.
local host = require "host"
local torch = require "torch"

local folder = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
package.path = folder .. "/../../../scripts/?.lua;" .. package.path

-- A training: modules, step() that gives its loss or losses, samples of a step; and the sizes. kind: "tiny" or "bench".
return function(name, kind)
  local file = assert(io.open(folder .. "/sizes.json"))
  local sizes = host.json.decode(file:read "a")[name][kind]
  file:close()
  torch.manual_seed(0)
  return dofile(("%s/%s.lua"):format(folder, name))(sizes), sizes
end
