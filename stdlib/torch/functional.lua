-- Functions of torch that are small composites of operators, as in torch/functional.py.
local is_tensor = require("native.tensor").is_tensor
local keywords = require "host.keywords"
local ops = require "native.ops"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local functional = {}

local function op(name) return ops.find(name) or ops.find_any("aten::" .. name) end

-- Calls with keywords, if there are any: an operator's own defaults stand for the rest.
local function call(of, options, ...)
  if options == nil or next(options) == nil then return of(...) end
  local arguments = table.pack(...)
  arguments[arguments.n + 1] = options
  return of(table.unpack(arguments, 1, arguments.n + 1))
end

-- Tensors as arguments, or a list of them: torch.meshgrid(a, b) and torch.meshgrid({a, b}).
local function list_of(name, ...)
  local list, named = keywords.split(...)
  local count = list.n
  if count == 1 and type(list[1]) == "table" then
    list = list[1]
    count = #list
  end
  for i = 1, count do
    if not is_tensor(list[i]) then
      vm.raise("usage", ("torch.%s: expected Tensors or a list of them, got %s at place %d"):format(name,
        vm.describe(list[i]), i))
    end
  end
  return table.move(list, 1, count, 1, {}), named
end

-- --- Functions of any number of tensors

for _, name in ipairs {"block_diag", "cartesian_prod", "broadcast_tensors", "meshgrid", "chain_matmul"} do
  local of = op(name)
  functional[name] = function(...)
    local list, named = list_of(name, ...)
    return call(of, named, list)
  end
end

-- One tensor gives one, several give a list.
for _, name in ipairs {"atleast_1d", "atleast_2d", "atleast_3d"} do
  local of = op(name)
  functional[name] = function(...)
    if select("#", ...) == 1 then return of(...) end
    return of((list_of(name, ...)))
  end
end

do
  local of = op "einsum"
  local few <const> = "einsum(): must specify the equation string and at least one operand, or at least one operand and "
    .. "its subscripts list"

  -- {0, 1, "..."} -> "AB..."
  local function letters(subscripts)
    local names = {}
    for i, n in ipairs(subscripts) do
      if n == "..." then names[i] = n
      elseif math.type(n) == "integer" and n >= 0 and n < 26 then names[i] = string.char(65 + n)
      elseif math.type(n) == "integer" and n >= 26 and n < 52 then names[i] = string.char(97 + n - 26)
      else vm.raise("usage", "einsum(): subscript in subscript list is not within the valid range [0, 52)") end
    end
    return table.concat(names)
  end

  --- Sums of products by Einstein's convention: torch.einsum("ij,jk->ik", a, b), or with lists of subscripts
  --- torch.einsum(a, {0, 1}, b, {1, 2}, {0, 2}).
  ---@param equation string
  ---@param ... Tensor or one list of them
  ---@return Tensor
  ---@example torch.einsum("ij,j->i", torch.ones(2, 3), torch.tensor{1., 2., 3.})  --> tensor([6., 6.])
  function functional.einsum(equation, ...)
    local given = select("#", ...)
    if given == 0 then vm.raise("usage", few) end
    if type(equation) == "string" then return of(equation, (list_of("einsum", ...))) end
    if not is_tensor(equation) or type((...)) ~= "table" then
      vm.raise("usage", "torch.einsum: argument 'equation' must be a string, got " .. vm.describe(equation))
    end
    local arguments, operands, subscripts = {equation, ...}, {}, {}
    for i = 1, given, 2 do
      operands[#operands + 1], subscripts[#subscripts + 1] = arguments[i], letters(arguments[i + 1])
    end
    local sums = table.concat(subscripts, ",")
    if given % 2 == 0 then sums = sums .. "->" .. letters(arguments[given + 1]) end
    return of(sums, operands)
  end
end

-- --- Products, norms, distances

local function range(first, last)
  local list = {}
  for i = first, last do list[#list + 1] = i end
  return list
end

do
  local of = op "tensordot"
  local parse = signature("torch.tensordot", "a, b, dims=2, out=nil")
  --- Contracts dimensions of two tensors: the last `dims` of a with the first of b, or those that are listed.
  ---@param a Tensor
  ---@param b Tensor
  ---@param dims? integer|integer[][]|Tensor 2, or {{dims of a}, {dims of b}}
  ---@return Tensor
  ---@example torch.tensordot(torch.ones(2, 3), torch.ones(3, 4), {dims = 1}).shape  --> torch.Size([2, 4])
  function functional.tensordot(...)
    local a, b, dims, out = parse(...)
    if is_tensor(dims) then dims = dims:numel() > 1 and dims:tolist() or dims:item() end
    local of_a, of_b
    if type(dims) == "table" then
      of_a, of_b = dims[1], dims[2]
    else
      local count = math.type(dims) and math.tointeger(dims)
      if not count then
        vm.raise("usage", "tensordot expects dims to be int or tuple[list[int], list[int]] or list[list[int]] containing two "
          .. "lists, but got dims=" .. text.value(dims))
      end
      if count < 0 then vm.raise("usage", "tensordot expects dims >= 0, but got dims=" .. count) end
      if count > math.min(a:dim(), b:dim()) then
        vm.raise("shape", "tensordot expects dims < ndim_a or ndim_b, but got dims=" .. count)
      end
      of_a, of_b = range(-count, -1), range(0, count - 1)
    end
    return call(of, {out = out}, a, b, of_a, of_b)
  end
end

do
  local of, vector, matrix = op "norm", op "linalg_vector_norm", op "linalg_matrix_norm"
  local frobenius, nuclear = op "frobenius_norm", op "nuclear_norm"
  local strided = require("native.tensor").strided
  local parse = signature("torch.norm", "input, p='fro', dim=nil, keepdim=false, out=nil, dtype=nil")

  -- Of a sparse tensor, which torch.linalg does not take.
  local function sparse_norm(input, p, dim, keepdim, out, dtype)
    if type(p) ~= "string" then
      return call(of, {out = out, dtype = dtype}, input, p, dim or range(0, input:dim() - 1), keepdim)
    end
    if p ~= "fro" and p ~= "nuc" then
      vm.raise("usage", "only valid string values are 'fro' and 'nuc', found " .. p)
    end
    if dtype ~= nil then
      vm.raise("usage", ("dtype argument is not supported in %s norm"):format(p == "fro" and "frobenius" or "nuclear"))
    end
    if p == "fro" then return call(frobenius, {out = out}, input, dim or {}, keepdim) end
    if dim == nil then return call(nuclear, {out = out}, input, keepdim) end
    return call(nuclear, {out = out}, input, dim, keepdim)
  end

  --- The norm of all elements or along dimensions: of order p, "fro" or "nuc".
  ---@param input Tensor
  ---@param p? number|string "fro"
  ---@param dim? integer|integer[] all
  ---@param keepdim? boolean false
  ---@return Tensor
  ---@example torch.norm(torch.tensor{3., 4.})  --> tensor(5.)
  function functional.norm(...)
    local count, first, second = select("#", ...), ...
    if (count == 1 or count == 2 and type(second) == "number") and is_tensor(first) and first.layout == strided then
      return vector(first, second or 2)
    end
    local input, p, dim, keepdim, out, dtype = parse(...)
    if math.type(dim) then dim = {dim} end
    if input.layout ~= strided then return sparse_norm(input, p, dim, keepdim, out, dtype) end
    local options = {keepdim = keepdim, dim = dim, dtype = dtype, out = out}
    if type(p) ~= "string" then return vector(input, p or 2, options) end
    if p == "fro" and (dim == nil or #dim <= 2) then return vector(input, 2, options) end
    options.dim = dim or range(0, input:dim() - 1)
    return matrix(input, p, options)
  end
end

do
  local of = op "cdist"
  local parse = signature("torch.cdist", "x1, x2, p=2.0, compute_mode='use_mm_for_euclid_dist_if_necessary'")
  local MODES <const> = {use_mm_for_euclid_dist_if_necessary = 0, use_mm_for_euclid_dist = 1,
    donot_use_mm_for_euclid_dist = 2}
  --- The distances between the rows of two batches of vectors.
  ---@param x1 Tensor
  ---@param x2 Tensor
  ---@param p? number 2.0
  ---@param compute_mode? string
  ---@return Tensor
  ---@example torch.cdist(torch.zeros(1, 2), torch.tensor{{3., 4.}})  --> tensor([[5.]])
  function functional.cdist(...)
    local x1, x2, p, mode = parse(...)
    local number = MODES[mode]
    if not number then vm.raise("usage", text.value(mode) .. " is not a valid value for compute_mode") end
    if number == 0 then return of(x1, x2, p) end
    return of(x1, x2, p, number)
  end
end

-- --- Short-time Fourier transform

do
  local of = op "stft"
  local parse = signature("torch.stft", "input, n_fft, hop_length=nil, win_length=nil, window=nil, center=true, "
    .. "pad_mode='reflect', normalized=false, onesided=nil, return_complex=nil, align_to_window=nil")
  --- Fourier transforms of short windows; with center the input is padded by n_fft // 2 on both sides.
  ---@param input Tensor [time] or [batch, time]
  ---@param n_fft integer
  ---@return Tensor [batch, frequencies, frames]
  ---@example torch.stft(torch.ones(8), 4, {return_complex = true, window = torch.ones(4)}).shape
  --- --> torch.Size([3, 9])
  function functional.stft(...)
    local input, n_fft, hop, length, window, center, pad_mode, normalized, onesided, complex, align = parse(...)
    if center and align ~= nil then
      vm.raise("usage", "stft align_to_window should only be set when center = false")
    end
    local options = {hop_length = hop, win_length = length, window = window, normalized = normalized,
      onesided = onesided, return_complex = complex, align_to_window = align, center = center, pad_mode = pad_mode}
    return of(input, n_fft, options)
  end
end

return functional
