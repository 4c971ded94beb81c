-- `trainhost attach [RUN [CODE]]`: a console in a training that runs, or the list of those.
local file = require "native.file"
local host = require "host"
local serve = require "native.serve"

local usage = require "host.usage"

local GOOD <const>, FAILED <const>, INTERRUPTED <const> = 0, 1, 130
local PATIENCE <const> = 2  -- seconds without an answer after which the client says what it waits for
local LONGEST <const> = 10  -- seconds that a line may take
local TURN <const> = 5  -- seconds that one line waits for its turn behind another client

local NONE <const> = [[
train.fit, train.evaluate, train.predict and loops with train.state{...} can be attached to while `trainhost` runs them;
a loop with a callback list of its own adds train.Attach().]]

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
        if file.exists(about.path) then found[#found + 1] = about end
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

-- By its number or that of its process, the id of its MLflow run or the beginning of it, the run's name, or the script.
local function matches(about, wanted)
  return about.id == wanted or tostring(about.pid) == wanted or about.run_name == wanted or about.script == wanted
    or (about.script or ""):match("([^/]*)$") == wanted
    or (about.run_id ~= nil and #wanted >= 4 and about.run_id:sub(1, #wanted) == wanted)
end

-- Waits for the answer. Ctrl-C gives up what is done for it, the second one the waiting.
local function wait(caller, given_up)
  local waited = false
  while true do
    local line, why = caller:receive(not waited and PATIENCE or nil)
    if line then return host.json.decode(line) end
    if why == "closed" then return nil, why end
    if why == "late" then
      waited = true
      if host.is_tty("stderr") then io.stderr:write("(waiting for the training to end its step)\n") end
    elseif given_up or not pcall(caller.take_back, caller) then
      return nil, "interrupted"
    else
      given_up = true
    end
  end
end

-- Sends a request and waits for its answer; nil and why there is none: "closed", "interrupted".
local function ask(caller, request)
  if not pcall(caller.send, caller, host.json.encode(request)) then return nil, "closed" end
  return wait(caller, request.hello)  -- nothing is done for a greeting
end

-- Runs one text: is it to go on, and the exit code if this is the last one.
local function run(caller, code, timeout)
  local reply, why = ask(caller, {code = code, timeout = timeout})
  if not reply then
    if why == "interrupted" then return false, INTERRUPTED end
    complain("the training has ended")
    return false, FAILED
  end
  if reply.error then io.stderr:write(reply.error, "\n") elseif reply.text ~= "" then print(reply.text) end
  return not reply.left, reply.error and FAILED or GOOD
end

local function is_unfinished(code)
  local _, problem = load(code, "=attach", "t")
  return problem ~= nil and problem:find("<eof>", 1, true) ~= nil and not load("return " .. code, "=attach", "t")
end

local function leaves(line)
  local word = line:match("^%s*(%a+)%s*$") or line:match("^%s*(%a+)%(%)%s*$")
  return word == "exit" or word == "quit"
end

local function console(caller, timeout)
  local tty = host.is_tty("stdin")
  local pending = ""
  while true do
    if tty then io.write(pending == "" and "> " or ">> "):flush() end
    local line = io.read("L")
    if host.stop_wished() then
      if tty then print() end
      return INTERRUPTED
    end
    if not line or (pending == "" and leaves(line)) then
      if pending ~= "" then run(caller, pending, timeout) end
      if tty and not line then print() end
      return GOOD
    end
    pending = pending .. line
    if pending:match("^%s*$") then
      pending = ""
    elseif not is_unfinished(pending) then
      local code = pending:gsub("%s+$", "")
      pending = ""
      local goes_on, result = run(caller, code, timeout)
      if not goes_on then return result end
    end
  end
end

-- {RUN, CODE} and the timeout; nil and what is wrong.
local function parse(words)
  local rest, timeout, i = {}, LONGEST, 1
  while i <= #words do
    local word = words[i]
    local value = word:match("^%-%-timeout=(.*)$")
    if word == "--timeout" then
      i = i + 1
      value = words[i] or ""
    end
    if value then
      timeout = tonumber(value)
      if not timeout or timeout ~= timeout or timeout < 0 or timeout == math.huge then
        return nil, ("--timeout expects seconds, got '%s'"):format(value)
      end
    elseif word == "--" then
      table.move(words, i + 1, #words, #rest + 1, rest)
      break
    elseif word:sub(1, 1) == "-" and #word > 1 and #rest == 0 then
      return nil, ("unknown option '%s'"):format(word)
    else
      rest[#rest + 1] = word
    end
    i = i + 1
  end
  if #rest > 2 then return nil, "expected one RUN and one CODE; CODE with spaces in quotes" end
  return rest, timeout
end

-- Calls a training, again and again while somebody else is attached to it and `patience` lasts. nil and the text if it
-- cannot be reached; the caller, its answer or nil, and why there is none.
local function greet(path, patience)
  local until_when = host.clock() + patience
  while true do
    local ok, caller = pcall(serve.call, path)
    if not ok then return nil, tostring(caller) end
    local hello, why = ask(caller, {hello = true})
    if not (hello and hello.busy) or host.clock() >= until_when or host.stop_wished() then return caller, hello, why end
    caller:close()
    host.sleep(0.1)
  end
end

---@param words string[] RUN, and code to run instead of a console
---@return integer code
return function(words)
  if usage.asked("attach", words) then return GOOD end
  local rest, timeout = parse(words)
  if not rest then return usage.wrong("attach", timeout) end
  local list = trainings()
  if #rest == 0 then
    if #list > 0 then show(list) else print("no training runs\n" .. NONE) end
    return GOOD
  end
  local found = {}
  for _, about in ipairs(list) do
    if matches(about, rest[1]) then found[#found + 1] = about end
  end
  if #found == 0 then
    if #list == 0 then return complain(("no training '%s' runs: none does"):format(rest[1])) end
    show(list)
    return complain(("no training '%s' runs, but these do"):format(rest[1]))
  end
  if #found > 1 then
    show(found)
    return complain(("'%s' is any of these"):format(rest[1]))
  end
  host.graceful(true)
  local caller, hello, why = greet(found[1].path, rest[2] and TURN or 0)
  if not caller then return complain(hello) end
  if not hello then return why == "closed" and complain("the training has ended") or INTERRUPTED end
  if hello.error then return complain(hello.error) end
  if rest[2] then
    local _, code = run(caller, rest[2], timeout)
    return code
  end
  print(("%s: %s"):format(found[1].id, hello.text))
  if host.is_tty("stdin") then
    print("state, lr(value), save(path), stop(reason), help(): a line is run between two steps. Ctrl-D leaves.")
  end
  return console(caller, timeout)
end
