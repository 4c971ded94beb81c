-- What a training came to, as a table of text: the last and the best value of each log, time, rate, why it ended.
local monitor = require "train.monitor"
local numbers = require "train.numbers"

local outcome = {}

---Begins anew.
---@return table
function outcome.new() return setmetatable({names = {}, series = {}, epochs = 0, batches = 0}, {__index = outcome}) end

---What a checkpoint keeps of it.
---@return table
function outcome:state_dict() return {names = self.names, series = self.series, epochs = self.epochs, batches = self.batches} end

---Goes on with what a checkpoint has kept, until which the training took so many seconds.
---@param state table
---@param seconds number
function outcome:load_state_dict(state, seconds)
  for name, value in pairs(state) do self[name] = value end
  self.before = {epochs = self.epochs, seconds = seconds}
end

---Takes an epoch's logs in.
---@param state table
function outcome:add(state)
  self.epochs, self.batches = self.epochs + 1, self.batches + state.epoch_batches
  for name, value in pairs(state.logs) do
    if type(value) == "number" then
      local series = self.series[name]
      if not series then
        series = {direction = monitor.direction(name, state)}
        self.series[name], self.names[#self.names + 1] = series, name
      end
      series.last, series.last_epoch = value, state.epoch
      local best = series.best
      local better = best == nil or (series.direction == "max" and value > best) or (series.direction ~= "max" and value < best)
      if value == value and better then series.best, series.best_epoch = value, state.epoch end
    end
  end
end

---Takes note of a checkpoint that stays.
---@param saved table state.checkpoint
function outcome:save(saved)
  if not saved.is_temporary then self.saved = saved.path end
end

-- Columns padded to their widest cell: the first to the left, numbers to the right.
local function aligned(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  for i, row in ipairs(rows) do
    local cells = {}
    for j, cell in ipairs(row) do
      cells[j] = j == 1 and cell .. (" "):rep(widths[j] - #cell) or (" "):rep(widths[j] - #cell) .. cell
    end
    lines[i] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return lines
end

local function value_text(value) return value and numbers.short(value, 4) or "" end

---The table, or nil after fewer than two epochs, whose line says it all.
---@param state table
---@param seconds number the training took
---@return string?
function outcome:text(state, seconds)
  if self.epochs < 2 then return nil end
  local rows = {{"", "last", "best", "epoch"}}
  for _, name in ipairs(self.names) do
    local series = self.series[name]
    local best = series.direction and series.best
    rows[#rows + 1] = {name, value_text(series.last), value_text(best), best and tostring(series.best_epoch + 1) or ""}
  end
  local lines = aligned(rows)
  local rate = self.batches > 0 and (", %s"):format(numbers.rate(self.batches, seconds)) or ""
  table.insert(lines, 1, ("trained %d epochs, %d steps in %s%s"):format(self.epochs, state.steps_done,
    numbers.duration(seconds), rate))
  if self.before then
    lines[1] = ("%s; %s of it before it went on after epoch %d"):format(lines[1], numbers.duration(self.before.seconds), self.before.epochs)
  end
  if state.restored_epoch then lines[#lines + 1] = ("weights of epoch %d restored"):format(state.restored_epoch + 1) end
  if self.saved and require("host").file.exists(self.saved) then lines[#lines + 1] = "saved: " .. self.saved end
  return table.concat(lines, "\n") .. "\n"
end

return outcome
