-- `trainhost attach [RUN [CODE]]`: a console in a training that runs, or the list of those.
local file = require "native.file"
local host = require "host"
local serve = require "native.serve"

local GOOD <const>, FAILED <const>, USAGE <const> = 0, 1, 2

local function complain(text)
  io.stderr:write(("trainhost attach: %s\n"):format(text))
  return FAILED
end

-- The trainings that run; what killed ones have left is removed.
local function trainings()
  local folder, found = serve.folder(), {}
  for _, name in ipairs(file.list(folder)) do
    local id = name:match("^(.*)%.json$")
    if id then
      local ok, about = pcall(function() return host.json.decode(file.read(folder .. "/" .. name)) end)
      local is_one = ok and type(about) == "table" and math.type(about.pid)
      if is_one and serve.is_alive(about.pid) then
        about.path = ("%s/%s.sock"):format(folder, id)
        found[#found + 1] = about
      elseif is_one then
        pcall(file.remove, folder .. "/" .. name)
        pcall(file.remove, ("%s/%s.sock"):format(folder, id))
      end
    end
  end
  return found
end

local function show(list)
  local rows = {{"RUN", "SCRIPT", "STARTED", "MLFLOW RUN", "FOLDER"}}
  for _, about in ipairs(list) do
    rows[#rows + 1] = {about.id, about.script ~= "" and about.script or "-", os.date("%H:%M:%S", math.floor(about.started)),
      about.run_id and ("%s %s"):format(about.run_id, about.run_name or "") or "-", about.folder}
  end
  local widths = {}
  for _, row in ipairs(rows) do
    for i, word in ipairs(row) do widths[i] = math.max(widths[i] or 0, #word) end
  end
  for _, row in ipairs(rows) do
    for i, word in ipairs(row) do row[i] = word .. (" "):rep(widths[i] - #word) end
    print((table.concat(row, "  "):gsub("%s+$", "")))
  end
end

-- By its number, the id of its MLflow run or the beginning of it, the run's name, or the script.
local function matches(about, wanted)
  return about.id == wanted or about.run_name == wanted or about.script == wanted
    or (about.script or ""):match("([^/]*)$") == wanted
    or (about.run_id ~= nil and #wanted >= 4 and about.run_id:sub(1, #wanted) == wanted)
end

-- Sends a request and waits for its answer; nil when the training has ended.
local function ask(caller, request)
  if not pcall(caller.send, caller, host.json.encode(request)) then return nil end
  local line = caller:receive()
  return line and host.json.decode(line)
end

-- Runs one text; false when that was the last one.
local function run(caller, code)
  local reply = ask(caller, {code = code})
  if not reply then
    print("the training has ended")
    return false
  end
  if reply.error then io.stderr:write(reply.error, "\n") elseif reply.text ~= "" then print(reply.text) end
  return true, reply.error == nil
end

local function is_unfinished(code)
  local _, problem = load(code, "=attach", "t")
  return problem ~= nil and problem:find("<eof>", 1, true) ~= nil and not load("return " .. code, "=attach", "t")
end

local function console(caller)
  local tty = host.is_tty("stdin")
  local pending = ""
  while true do
    if tty then io.write(pending == "" and "> " or ">> "):flush() end
    local line = io.read("L")
    if not line then
      if pending ~= "" then run(caller, pending) end
      return GOOD
    end
    pending = pending .. line
    if pending:match("^%s*$") then
      pending = ""
    elseif not is_unfinished(pending) then
      local code = pending:gsub("%s+$", "")
      pending = ""
      if not run(caller, code) then return GOOD end
    end
  end
end

---@param words string[] RUN, and code to run instead of a console
---@return integer code
return function(words)
  for _, word in ipairs(words) do
    if word:sub(1, 1) == "-" and #word > 1 and word ~= words[2] then
      complain(("unknown option '%s' (trainhost attach [RUN [CODE]])"):format(word))
      return USAGE
    end
  end
  if #words > 2 then
    complain("one RUN and one CODE (trainhost attach [RUN [CODE]])")
    return USAGE
  end
  local list = trainings()
  if #words == 0 then
    if #list == 0 then print("no training runs") else show(list) end
    return GOOD
  end
  local found = {}
  for _, about in ipairs(list) do
    if matches(about, words[1]) then found[#found + 1] = about end
  end
  if #found == 0 then
    return complain(("no training '%s' runs%s"):format(words[1], #list > 0 and "; trainhost attach lists those that do" or ""))
  end
  if #found > 1 then
    show(found)
    return complain(("'%s' is any of these"):format(words[1]))
  end
  local ok, caller = pcall(serve.call, found[1].path)
  if not ok then return complain(tostring(caller)) end
  local hello = ask(caller, {hello = true})
  if not hello then return complain("the training has ended") end
  if hello.error then return complain(hello.error) end
  if words[2] then
    local _, good = run(caller, words[2])
    return good and GOOD or FAILED
  end
  print(("%s: %s"):format(found[1].id, hello.text))
  if host.is_tty("stdin") then print("state, lr(value), save(path), stop(reason); a line is run between two steps. Ctrl-D leaves.") end
  return console(caller)
end
