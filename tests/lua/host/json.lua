-- host.json: what Python's json writes and reads.
local test = require "test"
local json = require("host").json

test.case("writes objects with sorted keys, lists, numbers as Python does", function()
  test.equal(json.encode{b = {1, 2.5, "x"}, a = true, c = json.null}, '{"a": true, "b": [1, 2.5, "x"], "c": null}')
  test.equal(json.encode(1.0), "1.0")
  test.equal(json.encode(0.1 + 0.2), "0.30000000000000004")
  test.equal(json.encode(1e300), "1e+300")
  test.equal(json.encode(math.mininteger), "-9223372036854775808")
  test.equal(json.encode(nil), "null")
end)

test.case("an empty table is an object, a marked one a list", function()
  test.equal(json.encode({}), "{}")
  test.equal(json.encode(json.array()), "[]")
  test.equal(json.encode(json.decode('{"a": [], "b": {}}')), '{"a": [], "b": {}}')
end)

test.case("not-a-number and infinity go through, or become null, or raise", function()
  local text = json.encode{1 / 0, -1 / 0, 0 / 0}
  test.equal(text, "[Infinity, -Infinity, NaN]")
  local back = json.decode(text)
  test.equal({back[1], back[2], back[3]}, {1 / 0, -1 / 0, 0 / 0})
  test.equal(json.encode({0 / 0}, {nan = "null"}), "[null]")
  test.raises("at a[2] is not finite", json.encode, {a = {1, 0 / 0}}, {nan = "error"})
end)

test.case("indents", function()
  test.equal(json.encode({a = {1, 2}, b = {}}, {indent = 2}), '{\n  "a": [\n    1,\n    2\n  ],\n  "b": {}\n}')
end)

test.case("strings survive, bytes that are no UTF-8 become U+FFFD", function()
  local text = 'quote " back \\ tab \t newline \n zero \0 bell \a é 漢 😀'
  test.equal(json.decode(json.encode(text)), text)
  test.equal(json.decode(json.encode("a\xffb")), "a\u{fffd}b")
  test.equal(json.decode('"\\ud83d\\ude00 \\u00e9 \\/"'), "😀 é /")
end)

test.case("whole numbers are integers, others floats, large ones floats", function()
  local list = json.decode("[1, -0, 1.0, 1e2, 9223372036854775807, 9223372036854775808, -1.5E-3]")
  local types = {}
  for i, x in ipairs(list) do types[i] = math.type(x) end
  test.equal(types, {"integer", "integer", "float", "float", "integer", "float", "float"})
  test.equal(list[7], -0.0015)
end)

test.case("what cannot be written is named by its place", function()
  test.raises("cannot write a function at a.b[2]", json.encode, {a = {b = {1, print}}})
  test.raises("the table at a is neither a list (keys 1..n) nor an object (keys strings)", json.encode,
    {a = {1, 2, x = 3}})
  test.raises("neither a list", json.encode, {[2] = 1})
  local loop = {}
  loop.loop = loop
  test.raises("does the table contain itself?", json.encode, loop)
end)

test.case("bad text is an io error with the byte", function()
  for text, message in pairs{
    ['{"a": }'] = "at byte 7: expected a value, got '}'", ["[1 2]"] = "at byte 4: expected ',' or ']', got '2'",
    ['{"a" 1}'] = "expected ':'", ["[1] x"] = "expected the end of the text, got 'x'", ['"abc'] = "the end of the text",
    ["01"] = "expected the end of the text", ["1."] = "expected a number", ["nul"] = "expected a value",
    ['"\\x"'] = "expected an escape", [""] = "got the end of the text", ["{a: 1}"] = "expected a key in quotes",
  } do
    test.equal(test.raises(message, json.decode, text).kind, "io", text)
  end
  test.raises("nested deeper than 200", json.decode, ("["):rep(100000))
end)
