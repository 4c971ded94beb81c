-- `trainhost attach [RUN [CODE]]`: a console in a training that runs, or the list of those.
local editor = require "native.repl"
local host = require "host"
local names = require "host.attach.names"
local serve = require "native.serve"
local trainings = require "host.attach.trainings"
local usage = require "host.usage"

local GOOD <const>, FAILED <const>, INTERRUPTED <const> = 0, 1, 130
local PATIENCE <const> = 2  -- seconds without an answer after which the client says what it waits for
local LONGEST <const> = 10  -- seconds that a line may take
local NAMES <const> = 1  -- seconds that Tab waits for the names of the training
local TURN <const> = 5  -- seconds that one line waits for its turn behind another client

local NONE <const> = [[
train.fit, train.evaluate, train.predict and loops with train.state{...} can be attached to while `trainhost` runs them;
a loop with a callback list of its own adds train.Attach().]]

local function complain(text)
  io.stderr:write(("trainhost attach: %s\n"):format(text))
  return FAILED
end

-- Waits for the answer. Ctrl-C gives up what is done for it, the second one the waiting.
local function wait(caller, given_up)
  local waited = false
  while true do
    local line, why = caller:receive(not waited and PATIENCE or nil)
    local reply = line and host.json.decode(line)
    if reply and not reply.complete then return reply end  -- names that came too late are nobody's
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

-- The names that may end a line; nil if the training is within a long step.
local function ask_names(caller, line)
  if not pcall(caller.send, caller, host.json.encode {complete = line}) then return nil end
  local deadline = host.clock() + NAMES
  while host.clock() < deadline do
    local text = caller:receive(deadline - host.clock())
    local reply = text and host.json.decode(text)
    if not reply then return nil end
    if reply.complete == line then return reply end
  end
  return nil
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

-- The next line; nil at the end, and whether Ctrl-C dropped what was typed.
local function read_line(tty, more)
  if tty then return editor.line(more) end
  return io.read("l"), false
end

local function console(caller, timeout)
  local tty = host.is_tty("stdin")
  names.ask = function(line) return ask_names(caller, line) end
  local pending = ""
  while true do
    local line, cancelled = read_line(tty, pending ~= "")
    if host.stop_wished() then return INTERRUPTED end
    if cancelled then
      pending = ""
    elseif not line or (pending == "" and leaves(line)) then
      if pending ~= "" and not tty then run(caller, pending, timeout) end
      return GOOD
    else
      pending = pending == "" and line or pending .. "\n" .. line
      if pending:match("^%s*$") then
        pending = ""
      elseif not is_unfinished(pending) then
        local code = pending:gsub("%s+$", "")
        pending = ""
        if tty then editor.remember(code) end
        local goes_on, result = run(caller, code, timeout)
        if not goes_on then return result end
      end
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
  local list = trainings.list()
  if #rest == 0 then
    if #list > 0 then trainings.show(list) else print("no training runs\n" .. NONE) end
    return GOOD
  end
  local found = trainings.meant(list, rest[1])
  if #found == 0 then
    if #list == 0 then return complain(("no training '%s' runs: none does"):format(rest[1])) end
    trainings.show(list)
    return complain(("no training '%s' runs, but these do; RUN is the # of the list, the process, the script, or the name or id "
      .. "(4 letters of it at least) of the MLflow run"):format(rest[1]))
  end
  if #found > 1 then
    trainings.show(found)
    return complain(("'%s' is any of these: give what only one of them has"):format(rest[1]))
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
