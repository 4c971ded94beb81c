-- `trainhost inspect FOLDER`: what a checkpoint holds, once every byte has been found to be the one that was written.
local checkpoint = require "host.checkpoint"

local usage = require "host.usage"

local kFailed <const> = 1

local function size(bytes)
  for _, unit in ipairs {"bytes", "KB", "MB"} do
    if bytes < 1000 then return (unit == "bytes" and "%d %s" or "%.1f %s"):format(bytes, unit) end
    bytes = bytes / 1000
  end
  return ("%.1f GB"):format(bytes)
end

local function text_of(err) return type(err) == "table" and err.message or tostring(err) end

-- Where in its training it was taken, when, and of what script.
local function history(state)
  local words = {}
  if math.type(state.steps_done) then
    words[1] = state.within_epoch and ("in epoch %d after batch %d"):format(state.epoch + 1, state.epoch_batches)
      or ("after epoch %d"):format(state.epochs_done)
    words[2] = ("step %d"):format(state.steps_done)
    words[3] = state.seconds and ("%.1f s of training"):format(state.seconds)
  end
  if state.time then words[#words + 1] = "written " .. os.date("%Y-%m-%d %H:%M:%S", math.floor(state.time)) end
  local versions = state.versions
  if versions then words[#words + 1] = ("by trainhost %s with LibTorch %s"):format(versions.trainhost, versions.torch) end
  return table.concat(words, ", ")
end

local function show_one(folder)
  local files = checkpoint.check(folder)
  local found, total = checkpoint.load(folder), 0
  local state = type(found.state) == "table" and found.state or {}
  for _, file in ipairs(files) do total = total + file.bytes end
  print(("%s: whole, %d files, %s"):format(folder, #files, size(total)))
  local line = history(state)
  if line ~= "" then print(line) end
  if state.script and state.script.name then
    print(("script %s%s"):format(state.script.name, state.script.xxh3_128 and ", XXH3-128 " .. state.script.xxh3_128 or ""))
  end
  if state.run_id then print("MLflow run " .. state.run_id) end
  for _, file in ipairs(files) do
    print(("%-40s %12s  %s"):format(file.name, size(file.bytes), file.sum))
    local tensors = {}
    if #file.tensors > 0 then
      for _, pair in ipairs((require("native.save").read_safetensors(folder .. "/" .. file.name, true))) do tensors[pair[1]] = pair[2] end
    end
    for _, pair in ipairs(file.tensors) do
      local tensor = tensors[pair[1]]
      print(("  %-38s %12s  %s  %s"):format(pair[1], tostring(tensor.dtype):gsub("^torch%.", ""), pair[2],
        "[" .. table.concat(tensor.shape, ", ") .. "]"))
    end
  end
end

local function show_all(paths)
  local damaged = 0
  for _, path in ipairs(paths) do
    local ok, found = pcall(checkpoint.load, path)
    if not ok then damaged = damaged + 1 end
    print(ok and ("%s: whole, %s"):format(path, history(type(found.state) == "table" and found.state or {}))
      or ("%s: DAMAGED: %s"):format(path, text_of(found)))
  end
  return damaged
end

---@param words string[] of the command line
---@return integer exit code: 1 if a checkpoint is damaged
return function(words)
  if usage.asked("inspect", words) then return 0 end
  local folder = words[1]
  if not folder or folder:sub(1, 1) == "-" then return usage.wrong("inspect", "which checkpoint?") end
  if #words > 1 then return usage.wrong("inspect", "expects one folder") end
  local paths = checkpoint.list(folder)
  if #paths == 0 then
    io.stderr:write(("trainhost inspect: there is no checkpoint in '%s'\n"):format(folder))
    return kFailed
  end
  if paths[1] ~= folder:gsub("(.)/+$", "%1") then return show_all(paths) == 0 and 0 or kFailed end
  local ok, err = pcall(show_one, paths[1])
  if ok then return 0 end
  io.stderr:write(("trainhost inspect: %s\n"):format(text_of(err)))
  return kFailed
end
