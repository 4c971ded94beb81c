-- train.Progress: a bar on a terminal, redrawn at most 20 times a second; plain lines, one an epoch, when piped.
local keywords = require "host.keywords"
local numbers = require "train.numbers"
local options = require "train.options"
local outcome = require "train.outcome"

local Progress = {__name = "Progress", group = "logging"}
Progress.__index = Progress

local INTERVAL <const> = 0.05
local BAR_WIDTH <const> = 20

local function columns() return require("host").terminal_width("stdout") or 80 end

-- "loss 0.2341 accuracy 0.9123": four significant digits. What is of one layer, "grad_norm/fc1", is for pictures.
local function values(state)
  local words = {}
  for key, value in pairs(state.logs) do
    if not key:find("/", 1, true) then
      words[#words + 1] = key .. " " .. (type(value) == "number" and numbers.short(value, 4) or tostring(value))
    end
  end
  return table.concat(words, "  ")
end

-- The trainings that are shown, from the outermost to the innermost: one within another, as in a sweep, is nested.
local shown = {}

local function leave(self)
  for i = #shown, 1, -1 do
    if rawequal(shown[i].progress, self) then table.remove(shown, i) end
  end
end

local epoch_title

local function enter(self, state)
  leave(self)
  local outer = shown[#shown]
  self._indent = ("  "):rep(#shown)
  self._within = outer and function() return epoch_title(outer.progress, outer.state, true) .. " > " end
  if outer and outer.progress._drawn then
    outer.progress.write("\r\27[2K")  -- drawn again at its next batch
    outer.progress._drawn = false
  end
  shown[#shown + 1] = {progress = self, state = state}
end

-- "trial 3/20 epoch 2/5"; what is drawn over itself says within what it runs, lines are indented.
function epoch_title(self, state, drawn)
  local title = (drawn and (self._within and self._within() or "") or self._indent or "") .. (self.title and self.title .. " " or "")
  if state.epochs then return title .. ("epoch %d/%d"):format(state.epoch + 1, state.epochs) end
  return title .. ("epoch %d"):format(state.epoch + 1)
end

-- What is left of the whole training, by what is done of it.
local function time_left(self, state)
  local done = state:progress()
  if not self._began or done <= 0 or done >= 1 then return nil end
  return numbers.duration((self.clock() - self._began) / done * (1 - done)) .. " left"
end

local function bar(fraction)
  local full = math.floor(fraction * BAR_WIDTH)
  return "[" .. ("="):rep(full) .. (full < BAR_WIDTH and ">" or "") .. ("."):rep(BAR_WIDTH - full - 1) .. "]"
end

local function draw(self, line)
  local width = columns()
  if #line >= width then line = line:sub(1, width - 1) end
  self.write("\r\27[2K" .. line)
  self._drawn = line
end

local function batch_line(self, state, done, total, seconds)
  local words = {epoch_title(self, state, true)}
  if total then
    words[#words + 1] = bar(done / total)
    words[#words + 1] = ("%d/%d"):format(done, total)
    words[#words + 1] = "eta " .. numbers.duration(seconds / done * (total - done))
  else
    words[#words + 1] = ("batch %d"):format(done)
  end
  words[#words + 1] = numbers.rate(done, seconds)
  words[#words + 1] = values(state)
  return table.concat(words, " ")
end

function Progress:on_train_begin(state)
  self._drawn, self._outcome, self._began = false, outcome.new(), self.clock()
  if state.arguments then enter(self, state) end  -- train.fit always says when it ends
end

---Prints a line above the bar.
---@param text string
function Progress:say(text)
  local drawn = self._drawn
  self.write((drawn and "\r\27[2K" or "") .. text .. "\n" .. (drawn or ""))
end

function Progress:on_epoch_begin(state)
  self._started, self._last = self.clock(), self.clock()
end

---What a checkpoint keeps: the table at the end.
---@return table
function Progress:state_dict() return {outcome = self._outcome and self._outcome:state_dict()} end

---@param saved table
function Progress:load_state_dict(saved) self._saved_outcome = saved.outcome end

-- An epoch that goes on; the table at the end is that of the whole training.
function Progress:on_checkpoint_load(state)
  self:on_epoch_begin(state)
  if self._saved_outcome then self._outcome:load_state_dict(self._saved_outcome, state:elapsed()) end
  self._saved_outcome, self._began = nil, self.clock() - state:elapsed()
end

function Progress:on_checkpoint_save(state)
  if self._outcome then self._outcome:save(state.checkpoint) end
end

function Progress:on_batch_end(state)
  if not self._bar then return end
  local now = self.clock()
  if now - self._last < INTERVAL then return end
  self._last = now
  draw(self, batch_line(self, state, state.batch + 1, state.batch_count, now - self._started))
end

function Progress:on_valid_batch_end(state)
  if not self._bar then return end
  local now = self.clock()
  if now - self._last < INTERVAL then return end
  self._last = now
  draw(self, ("%s validating %d%s"):format(epoch_title(self, state, true), state.batch + 1,
    state.batch_count and "/" .. state.batch_count or ""))
end

function Progress:on_epoch_end(state)
  local seconds = self.clock() - self._started
  local notes = {numbers.duration(seconds)}
  if state.epoch_batches > 0 then notes[2] = numbers.rate(state.epoch_batches, seconds) end
  notes[#notes + 1] = not state.stopping and time_left(self, state) or nil
  local line = ("%s: %s  (%s)"):format(epoch_title(self, state), values(state), table.concat(notes, ", "))
  if self._outcome then self._outcome:add(state) end
  self.write((self._bar and "\r\27[2K" or "") .. line .. "\n")
  self._drawn = false
end

function Progress:on_train_end(state)
  self._indent = self._indent or ""
  if state.stop_reason then
    self.write(("%sstopped after epoch %d: %s\n"):format(self._indent, state.epoch + 1, state.stop_reason))
  end
  local text = self.summary and self._outcome:text(state, self.clock() - self._began)
  if text then self.write((text:gsub("[^\n]+", self._indent .. "%0"))) end
  leave(self)
end

-- train.evaluate and train.predict, and fit's own passes over the training data.
local function begin_pass(self) self._pass, self._last = self.clock(), self.clock() end

local function draw_pass(self, state, what)
  if not self._bar then return end
  local now = self.clock()
  if now - self._last < INTERVAL then return end
  self._last = now
  local title = state.train and epoch_title(self, state, true) or self.title
  draw(self, ("%s%s %d%s"):format(title and title .. " " or "", what, state.batch + 1,
    state.batch_count and "/" .. state.batch_count or ""))
end

local function end_pass(self, state, what)
  if state.train then return end  -- the line of the epoch says it
  local seconds, batches = self.clock() - self._pass, state.batch + 1
  local numbers_of = values(state)
  self.write(("%s%s%s: %s%d batches in %s, %s\n"):format(self._bar and "\r\27[2K" or "", self.title and self.title .. " " or "",
    what, numbers_of == "" and "" or numbers_of .. "  ", batches, numbers.duration(seconds), numbers.rate(batches, seconds)))
  self._drawn = false
end

function Progress:on_evaluate_begin() begin_pass(self) end
function Progress:on_evaluate_batch_end(state) draw_pass(self, state, "evaluating") end
function Progress:on_evaluate_end(state) end_pass(self, state, "evaluate") end
function Progress:on_predict_begin() begin_pass(self) end
function Progress:on_predict_batch_end(state) draw_pass(self, state, "predicting") end
function Progress:on_predict_end(state) end_pass(self, state, "predict") end

-- The half-drawn bar must not run into the error's text.
function Progress:on_exception()
  if self._drawn then self.write("\n") end
  leave(self)
end

---Shows the progress on the standard output: a bar of the batches with their rate and what is left, a line for each epoch,
---and at the end a table of the last and best values. train.fit adds one unless `quiet = true`. A training within another's
---hook is nested: its bar says within which epoch it runs, its lines are indented.
---@param arguments? table bar = whether to draw a bar (default: standard output is a terminal), title = what stands before
---each line ("trial 3/20"), summary = true (the table at the end), write = function(text), clock = function() returning seconds,
---errors = "disable", budget
---@return table callback
return function(arguments)
  local self = setmetatable(options.of_callback("train.Progress", arguments, {
    bar = keywords.none, title = keywords.none, summary = true, write = keywords.none, clock = keywords.none,
  }, {bar = "flag", title = "text", summary = "flag", write = "function", clock = "function"}), Progress)
  local host = require "host"
  self._bar = self.bar
  if self._bar == nil then self._bar = host.is_tty("stdout") end
  self.clock = self.clock or host.clock
  self.write = self.write or function(text)
    io.stdout:write(text)
    io.stdout:flush()
  end
  return self
end
