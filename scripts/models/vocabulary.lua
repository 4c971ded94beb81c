-- Words as numbers: the split of a sentence into words, the list of those seen often enough, and padded batches.
local torch = require "torch"

local vocabulary = {}
local Vocabulary = {}
Vocabulary.__index = Vocabulary

--- Words and marks in small letters; what is no ASCII belongs to words and keeps its case.
function vocabulary.split(sentence)
  local words = {}
  for word, mark in sentence:lower():gmatch "([%w'\x80-\xff]*)([^%w%s'\x80-\xff]?)" do
    if word ~= "" then words[#words + 1] = word end
    if mark ~= "" then words[#words + 1] = mark end
  end
  return words
end

--- sentences: lists of words; words seen fewer than `least` times are unknown. The first ids are padding, first and
--- last word of a sentence, and unknown.
function vocabulary.new(sentences, least)
  local seen, self = {}, setmetatable({words = {"", "<", ">", "?"}, number = {}}, Vocabulary)
  for _, sentence in ipairs(sentences) do
    for _, word in ipairs(sentence) do
      seen[word] = (seen[word] or 0) + 1
      if seen[word] == least then
        self.number[word] = #self.words
        self.words[#self.words + 1] = word
      end
    end
  end
  return self
end

--- The numbers of a sentence's words, those of its two ends around them.
function Vocabulary:encode(sentence)
  local ids = {1}
  for _, word in ipairs(sentence) do ids[#ids + 1] = self.number[word] or 3 end
  ids[#ids + 1] = 2
  return ids
end

--- The sentence of a list of numbers without its ends.
function Vocabulary:decode(ids)
  local words = {}
  for i, id in ipairs(ids) do words[i] = self.words[id + 1] end
  return table.concat(words, " ")
end

--- Lists of numbers as one tensor, padded with zeros.
function vocabulary.padded(lists)
  local longest = 0
  for _, list in ipairs(lists) do longest = math.max(longest, #list) end
  local rows = {}
  for i, list in ipairs(lists) do
    local row = table.move(list, 1, #list, 1, {})
    for k = #row + 1, longest do row[k] = 0 end
    rows[i] = row
  end
  return torch.tensor(rows)
end

return vocabulary
