-- torch.sparse: products, sums and softmax of sparse tensors, and the check of new ones' indices.
local ops = require "native.ops"
local signature = require "torch.signature"

local sparse = {}

local function op(name) return ops.find_any("aten::" .. name) end

--- The product of a sparse matrix and a dense or sparse one, with gradients for both.
---@param mat1 Tensor sparse [n, m]
---@param mat2 Tensor [m, p]
---@param reduce? string sum, mean, amax or amin over the products of CSR matrices
---@return Tensor [n, p]
sparse.mm = op "_sparse_mm"

--- beta input + alpha mat1 mat2 at the places that input stores.
---@param input Tensor CSR [m, n]
---@param mat1 Tensor [m, k]
---@param mat2 Tensor [k, n]
---@param beta? number 1
---@param alpha? number 1
---@param out? Tensor
---@return Tensor CSR
sparse.sampled_addmm = op "sparse_sampled_addmm"

local addmm <const> = op "_sparse_addmm"
local parse_addmm = signature("torch.sparse.addmm", "mat, mat1, mat2, *, beta=1, alpha=1")

--- beta mat + alpha mat1 mat2, with gradients for a sparse mat1.
---@param mat Tensor dense [n, p]
---@param mat1 Tensor sparse [n, m]
---@param mat2 Tensor dense [m, p]
---@param beta? number 1
---@param alpha? number 1
---@return Tensor [n, p]
---@example torch.sparse.addmm(torch.ones(2, 1), torch.eye(2):to_sparse(), torch.ones(2, 1)):flatten()  --> tensor([2., 2.])
function sparse.addmm(...)
  local mat, mat1, mat2, beta, alpha = parse_addmm(...)
  return addmm(mat, mat1, mat2, {beta = beta, alpha = alpha})
end

local sum <const> = op "_sparse_sum"
local parse_sum = signature("torch.sparse.sum", "input, dim=nil, dtype=nil")

--- The sum over all elements, or over dimensions: sparse unless all sparse dimensions are summed.
---@param input Tensor sparse
---@param dim? integer|integer[] all
---@param dtype? dtype the input's
---@return Tensor
---@example torch.sparse.sum(torch.eye(3):to_sparse())  --> tensor(3.)
function sparse.sum(...)
  local input, dim, dtype = parse_sum(...)
  if math.type(dim) then dim = {dim} end
  if dtype == nil then
    if dim == nil then return sum(input) end
    return sum(input, dim)
  end
  if dim == nil then return sum(input, {dtype = dtype}) end
  return sum(input, dim, {dtype = dtype})
end

local function softmax(name)
  local of = op("_sparse_" .. name)
  local parse = signature("torch.sparse." .. name, "input, dim, *, dtype=nil")
  return function(...)
    local input, dim, dtype = parse(...)
    return of(input, dim, dtype)
  end
end

--- Softmax of the stored elements: the others are minus infinity.
---@param input Tensor sparse COO
---@param dim integer
---@param dtype? dtype the input's
---@return Tensor sparse COO
---@example torch.sparse.softmax(torch.eye(2):to_sparse(), 1):to_dense():tolist()  --> {{1.0, 0.0}, {0.0, 1.0}}
sparse.softmax = softmax "softmax"

--- The logarithm of torch.sparse.softmax.
---@param input Tensor sparse COO
---@param dim integer
---@param dtype? dtype the input's
---@return Tensor sparse COO
---@example torch.sparse.log_softmax(torch.eye(2):to_sparse(), 1):values()  --> tensor([0., 0.])
sparse.log_softmax = softmax "log_softmax"

--- A sparse matrix with these diagonals.
---@param diagonals Tensor [count, length]
---@param offsets Tensor int64 [count], 0 the main diagonal
---@param shape integer[] of the matrix
---@param layout? layout COO, CSR or CSC; COO
---@return Tensor sparse
sparse.spdiags = op "_spdiags"

--- The solution x of a x = b for a square CSR matrix; needs CUDA with cuDSS.
---@param input Tensor CSR [n, n]
---@param other Tensor [n] or [n, k]
---@param left? boolean true
---@return Tensor
sparse.spsolve = op "_spsolve"

sparse.check_sparse_tensor_invariants = require("torch.sparse_factories").check_sparse_tensor_invariants

return require("host.namespace")("torch.sparse", {held = sparse})
