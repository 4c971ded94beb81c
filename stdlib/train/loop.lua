-- train.state: the state of a training loop by hand, for the same callbacks as train.fit's.
local State = require "train.state"
local autologged = require "train.autologged"
local callback_list = require "train.callback_list"
local keywords = require "host.keywords"
local live = require "train.live"

local none <const> = keywords.none
local FIELDS <const> = {model = none, optimizer = none, callbacks = none, epochs = none, max_steps = none, max_time = none,
  train = none, valid = none, metrics = none, user = none, epoch = 0, batch_count = none,
  compat = none, dry_run = none, attach = none, resume = none, saved = none}

---Makes a state that a loop by hand, of one model or of several, hands to callbacks. Its counters follow the events.
---@param fields? table model, optimizer, callbacks (a list, or a train.callback_list), epochs, max_steps, max_time (seconds),
---train, valid, metrics, user, epoch = 0 (the first one), batch_count (batches of an epoch, for progress), compat = "keras",
---dry_run (default: what the command line says), attach = true (`trainhost attach` may look in),
---resume = "auto" | folder | false and saved as in train.fit: "train_begin"
---goes on from a checkpoint, with the loader `train` at its next batch; an epoch that goes on keeps epoch_batches
---@return table state with `state:emit(event)`, `state:stop(reason)`, `state.stopping`, `state.logs`, `state:elapsed()`
---@example local state = train.state{epochs = 3, callbacks = {train.on("epoch_end", {every = 2}, function(s) s:stop("enough") end)}}
--- state:emit("train_begin")
--- while not state.stopping do
---   state:emit("epoch_begin")
---   for _ = 1, 5 do
---     state:emit("batch_begin")
---     state:emit("batch_end")
---   end
---   state.logs.loss = 1 / (state.epoch + 1)
---   state:emit("epoch_end")
--- end
--- state:emit("train_end")
--- {state.epochs_done, state.batches_done, state.stop_reason}  --> {2, 10, "enough"}
return function(fields)
  local given = keywords.check("train.state", fields or {}, FIELDS)
  local list = given.callbacks
  given._borrows = list == nil  -- the callbacks of a list that tells it of events
  if type(list) ~= "table" or not list.emit then list = callback_list(list) end
  given.callbacks, given.callback_list = nil, live.attachable(autologged.training(list), "train.state", given)
  given.attach = nil
  local state = State.new(given)
  if given.resume ~= nil or given.saved ~= nil then require("train.resume").check("train.state", given) end
  list:check(state)
  return state
end
