-- host.reload: the functions of a file that is edited between their calls.
local host = require "host"
local test = require "test"

local COUNTER <const> = [[
local M = {n = 0, by = 1}
function M.next() M.n = M.n + M.by return M.n end
function M.state_dict() return {n = M.n} end
function M.load_state_dict(state) M.n = state.n end
return M
]]

local function open(text)
  local path = test.tmpdir() .. "/counter.lua"
  local function write(new) host.file.write_atomic(path, new) end
  write(text)
  return host.reload(path), write
end

test.case("the next call takes the newest version, with the state of before", function()
  local counter, write = open(COUNTER)
  test.equal({counter.next(), counter.next()}, {1, 2})
  write((COUNTER:gsub("by = 1", "by = 10")))
  test.equal(counter.next(), 12)
  test.equal(counter.by, 10)
end)

test.case("a function that was kept in a local is looked up at each call", function()
  local counter, write = open(COUNTER)
  local next_one = counter.next
  test.equal(next_one(), 1)
  write((COUNTER:gsub("by = 1", "by = 5")))
  test.equal(next_one(), 6)
  test.equal(counter.next, next_one)
end)

test.case("methods in the colon form keep their state too", function()
  local text = COUNTER:gsub("M%.state_dict%(%)", "M:state_dict()"):gsub("M%.load_state_dict%(", "M:load_state_dict(")
  local counter, write = open(text)
  counter.next()
  write((text:gsub("by = 1", "by = 5")))
  test.equal(counter.next(), 6)
end)

test.case("an edit that does not compile or fails as it runs is warned of once and not used", function()
  local counter, write = open(COUNTER)
  test.equal(counter.next(), 1)
  local texts = test.warnings(function()
    write(COUNTER .. " if")
    test.equal({counter.next(), counter.next()}, {2, 3})
    write("leaked_name = 1 error 'no'")
    test.equal({counter.next(), counter.next()}, {4, 5})
    write("return 7")
    test.equal(counter.next(), 6)
  end)
  test.equal(#texts, 3)
  test.truthy(texts[1]:find("host.reload: the edit of counter.lua is not used, the code of before goes on: "), texts[1])
  test.equal(rawget(_G, "leaked_name"), nil)
end)

test.case("where a function of an edit fails, the version of before is called in its place", function()
  local counter, write = open(COUNTER)
  counter.next()
  local texts = test.warnings(function()
    write((COUNTER:gsub("return M.n end", "return M.nothing.n end", 1)))
    test.equal({counter.next(), counter.next()}, {2, 3})
  end)
  test.equal(#texts, 1)
end)

test.case("what the first version raises is the script's", function()
  local module = open "return {fail = function() error('mine') end}"
  test.raises("mine", function() module.fail() end)
end)

test.case("a file may return a function, and a table is walked by pairs", function()
  local f, write = open "return function(x) return x + 1 end"
  test.equal(f(1), 2)
  write "return function(x) return x + 2 end"
  test.equal(f(1), 3)
  local names = {}
  for name in pairs((open(COUNTER))) do names[#names + 1] = name end
  test.equal(names, {"by", "load_state_dict", "n", "next", "state_dict"})
end)

test.case("a file that is not there or wrong from the start is an error", function()
  test.raises("cannot open", function() host.reload(test.tmpdir() .. "/none.lua") end)
  test.raises("expected the path of a Lua file, got number 3", function() host.reload(3) end)
  test.raises("must return a table or a function, got number 7", function() open "return 7" end)
  test.raises("counter.lua:1:", function() open "return {" end)
end)
