-- random_split: a dataset in random parts, the same ones that PyTorch draws from the same seed.
local datasets = require "torch.utils.data.dataset"
local keywords = require "host.keywords"
local native = require "native.data"
local vm = require "native.vm"

local splits = {}

-- Counts for fractions: rounded down, what is left goes to the first parts, one each.
local function counts_of(fractions, count)
  local counts, left = {}, count
  for i, fraction in ipairs(fractions) do
    if fraction < 0 or fraction > 1 then
      vm.raise("usage", ("random_split: fraction %d must be between 0 and 1, got %s"):format(i, fraction))
    end
    counts[i] = math.floor(count * fraction)
    left = left - counts[i]
  end
  for i = 0, left - 1 do
    local at = i % #counts + 1
    counts[at] = counts[at] + 1
  end
  return counts
end

--- Splits a dataset into random parts without overlap: `local a, b = random_split(set, {55000, 5000}, {seed = 1})`.
--- With a seed the parts are those of PyTorch's `random_split(..., generator=torch.Generator().manual_seed(seed))`,
--- without one those of the given or the default generator.
---@param set table a dataset
---@param lengths number[] counts that add up to #set, or fractions that add up to 1
---@param options? table {generator = Generator} or {seed = integer}
---@return table ... as many Subsets as lengths
---@example local set = torch.utils.data.TensorDataset(torch.arange(10))
--- local a, b = torch.utils.data.random_split(set, {7, 3})
--- #a  --> 7
--- #b  --> 3
function splits.random_split(set, lengths, options)
  local count = datasets.length(set, "random_split")
  local given = keywords.check("random_split", options, {seed = keywords.none, generator = keywords.none})
  if given.seed ~= nil and given.generator ~= nil then
    vm.raise("usage", "random_split: 'seed' and 'generator' exclude each other")
  end
  if type(lengths) ~= "table" or #lengths == 0 then
    vm.raise("usage", "random_split: expected a list of counts or fractions, got " .. vm.describe(lengths))
  end
  local sum = 0
  for i, length in ipairs(lengths) do
    if type(length) ~= "number" then
      vm.raise("usage", ("random_split: lengths[%d] must be a number, got %s"):format(i, vm.describe(length)))
    end
    sum = sum + length
  end
  local fractions = sum <= 1 and math.abs(sum - 1) <= 1e-9
  local counts, total = fractions and counts_of(lengths, count) or {}, 0
  for i, length in ipairs(fractions and counts or lengths) do
    counts[i] = math.tointeger(length)
    if not counts[i] or length < 0 then
      vm.raise("usage", ("random_split: expected counts of samples or fractions that add up to 1, got %s")
        :format(length))
    end
    total = total + counts[i]
  end
  if total ~= count then
    vm.raise("usage", ("random_split: the lengths add up to %d, the dataset has %d samples"):format(total, count))
  end
  local order = native.permutation(count, given.seed, given.generator)
  local parts, begin = {}, 0
  for i, length in ipairs(counts) do
    parts[i] = datasets.Subset(set, table.move(order, begin + 1, begin + length, 1, {}))
    begin = begin + length
  end
  return table.unpack(parts)
end

return splits
