-- Code that is run inside a training, between two of its steps: what `trainhost attach` sends, and what train.replay
-- does again.
local Control = {}
Control.__index = Control

local MODULES <const> = {torch = "torch", nn = "torch.nn", train = "train", mlflow = "mlflow", host = "host"}

local function text_of(...) return require("host.repl").show(...) end

---@param state table of the training
---@param quiet boolean nothing is written to files
---@return table control
function Control.new(state, quiet)
  local self = setmetatable({_state = state, _printed = {}}, Control)
  local tools = {state = state}

  function tools.print(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    self._printed[#self._printed + 1] = table.concat(words, "\t")
  end

  function tools.lr(value)
    local rates = {}
    for i, group in ipairs(state.optimizer.param_groups) do
      if value ~= nil then
        if type(value) ~= "number" then error("lr: expected a number", 0) end
        group.lr = value
      end
      rates[i] = group.lr
    end
    return table.unpack(rates)
  end

  function tools.stop(reason)
    state:stop(reason or "stopped by trainhost attach", true)
    return "the training stops after this " .. (state.phase == "train" and "batch" or "epoch")
  end

  function tools.save(path)
    path = path or ("attached/step_%d"):format(state.steps_done)
    if quiet then return path end
    require("train.snapshot").save(path, state)
    return "saved " .. path
  end

  self._globals = setmetatable({}, {
    __index = function(_, key)
      if tools[key] ~= nil then return tools[key] end
      if MODULES[key] and rawget(_G, key) == nil then return require(MODULES[key]) end
      return _G[key]
    end,
  })
  return self
end

---Runs an expression or statements.
---@param code string
---@return boolean ok
---@return string text what was printed and what it gives, or the error
function Control:run(code)
  local chunk = load("return " .. code, "=attach", "t", self._globals)
  local problem
  if not chunk then chunk, problem = load(code, "=attach", "t", self._globals) end
  if not chunk then return false, problem end
  self._printed = {}
  local results = table.pack(pcall(chunk))
  local lines = self._printed
  if results[1] then
    if results.n > 1 then lines[#lines + 1] = text_of(table.unpack(results, 2, results.n)) end
    return true, table.concat(lines, "\n")
  end
  local err = results[2]
  if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  lines[#lines + 1] = tostring(err)
  return false, table.concat(lines, "\n")
end

return Control
