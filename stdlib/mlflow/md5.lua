-- MD5 (RFC 1321) of short texts, for digests that must equal those of others; not for secrets.
local shifts, sines = {}, {}
for round, row in ipairs{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}} do
  for i = 0, 15 do shifts[(round - 1) * 16 + i] = row[i % 4 + 1] end
end
for i = 0, 63 do sines[i] = math.floor(2 ^ 32 * math.abs(math.sin(i + 1))) end

local WORD <const> = 0xffffffff

--- The digest of a text in 32 hexadecimal digits.
---@param text string
---@return string
---@example require("mlflow.md5")("abc")  --> "900150983cd24fb0d6963f7d28e17f72"
return function(text)
  local a0, b0, c0, d0 = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476
  local length = #text
  text = text .. "\x80" .. ("\0"):rep((55 - length) % 64) .. ("<I8"):pack(length * 8)
  local block = "<" .. ("I4"):rep(16)
  for at = 1, #text, 64 do
    local words = {block:unpack(text, at)}
    local a, b, c, d = a0, b0, c0, d0
    for i = 0, 63 do
      local mixed, k
      if i < 16 then mixed, k = (b & c) | (~b & d), i
      elseif i < 32 then mixed, k = (d & b) | (~d & c), (5 * i + 1) % 16
      elseif i < 48 then mixed, k = b ~ c ~ d, (3 * i + 5) % 16
      else mixed, k = c ~ (b | (~d & WORD)), 7 * i % 16 end
      local sum = (a + mixed + sines[i] + words[k + 1]) & WORD
      local shift = shifts[i]
      a, d, c, b = d, c, b, (b + (sum << shift | sum >> (32 - shift))) & WORD
    end
    a0, b0, c0, d0 = (a0 + a) & WORD, (b0 + b) & WORD, (c0 + c) & WORD, (d0 + d) & WORD
  end
  return (("<I4I4I4I4"):pack(a0, b0, c0, d0):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end
