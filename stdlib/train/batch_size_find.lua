-- train.batch_size_find: the greatest batch size that fits into memory.
local autologged = require "train.autologged"
local batches = require "train.batches"
local data = require "train.data"
local keywords = require "host.keywords"
local rewind = require "train.rewind"
local trial = require "train.trial"

local function usage(message, hint) require("native.vm").raise("usage", "train.batch_size_find: " .. message, hint) end

local MIB <const> = 1024 * 1024

local function is_out_of_memory(err)
  if type(err) == "table" then return err.kind == "memory" end
  return type(err) == "string" and (err:find("out of memory", 1, true) or err:find("not enough memory", 1, true)) ~= nil
end

-- A few steps at one batch size; false where memory ends.
local function fits(a, size)
  local forward, state = trial.forward(a, "train.batch_size_find")
  local loader = a.loader and a.loader(size)
    or data.loader(a.train, {where = "train.batch_size_find: train", batch_size = size, tensors = not a.step})
  local ok, err = pcall(function()
    for i, batch in batches.each(loader, a.steps) do
      state.batch = i
      forward(batch)
      state.loss:backward()
      a.optimizer:step()
      local rss = a.memory_limit and require "train.process_memory"()
      if rss and rss > a.memory_limit * MIB then require("native.vm").raise("memory", "memory_limit is reached") end
    end
  end)
  a.optimizer:zero_grad()
  require("host").collect()
  if not ok and not is_out_of_memory(err) then error(err, 0) end
  return ok
end

---Trains a few steps at growing batch sizes until memory ends or the bound is reached. "power" doubles; "binary" doubles,
---then halves the gap between what fits and what does not. Model, optimizer and the default random generators are afterwards
---as they were, bit for bit.
---@param given table model, optimizer, loss, train (tensors {x, y} or a dataset) or loader = function(batch_size) returning
---batches, step, device, init = 2, max (default: the samples there are, else 65536), mode = "power"|"binary", steps = 3 (of each
---trial), memory_limit (MiB of the process: more counts as the end of memory; on a CPU the system may end the process first)
---@return integer? batch_size nil if not even the first one fits
---@return table trials {{batch_size, ok}, ...}
return function(given)
  local none = keywords.none
  local a = keywords.check("train.batch_size_find", given, {
    model = keywords.required, optimizer = keywords.required, loss = none, train = none, loader = none, step = none,
    device = none, init = 2, max = none, mode = "power", steps = 3, memory_limit = none,
  })
  require("train.options").check("train.batch_size_find", a, {mode = {"power", "binary"}, memory_limit = "not_negative",
    loader = "function", step = "function", init = "positive_count", steps = "positive_count", max = "positive_count"})
  if a.max == nil then
    local first = type(a.train) == "table" and a.train[1] or nil
    local ok, count = pcall(function() return require("torch").is_tensor(first) and #first or #a.train end)
    a.max = a.train ~= nil and ok and count > 0 and count or 65536
  end
  trial.check(a, "train.batch_size_find")
  if (a.train == nil) == (a.loader == nil) then usage("give train or loader", "loader = function(batch_size) return batches end") end
  if a.device then a.model:to(a.device) end
  local _ <close> = autologged.aside()
  local _ <close> = rewind.take {model = a.model, optimizer = a.optimizer, random = true}
  a.model:train()
  local trials, best, failed = {}, nil, nil
  local function try(size)
    local ok = fits(a, size)
    trials[#trials + 1] = {batch_size = size, ok = ok}
    if ok then best = math.max(best or 0, size) else failed = size end
    return ok
  end
  local size = math.min(a.init, a.max)
  while try(size) and size < a.max do size = math.min(size * 2, a.max) end
  while a.mode == "binary" and failed and failed - (best or 0) > 1 do
    if not try(((best or 0) + failed) // 2) and failed == 1 then break end
  end
  return best, trials
end
