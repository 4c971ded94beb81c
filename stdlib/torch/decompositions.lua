-- LU with its old name, and randomized low-rank decompositions (Halko 2009), as in torch/functional.py and _lowrank.py.
local native = require "native.tensor"
local ops = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"

local decompositions = {}

local function op(name) return ops.find_any("aten::" .. name) end

local matmul <const>, sparse_mm <const>, qr <const>, svd <const> = op "matmul", op "_sparse_mm", op "linalg_qr",
  op "linalg_svd"

local function multiply(a, b) return (a.layout == native.sparse_coo and sparse_mm or matmul)(a, b) end

local function floating_dtype(a)
  local dtype = a.dtype
  if dtype == native.float16 or dtype == native.float32 or dtype == native.float64 then return dtype end
  return native.float32
end

local function orthonormal(x) return (qr(x)) end

-- a x - m x
local function image(a, m, x)
  local y = multiply(a, x)
  if m ~= nil then y = y - multiply(m, x) end
  return y
end

-- An orthonormal basis of about the first q singular vectors' space.
local function approximate_basis(a, q, niter, m)
  local dtype = a:is_complex() and a.dtype or floating_dtype(a)
  local basis = orthonormal(image(a, m, op "randn"({a:size(-1), q}, {dtype = dtype, device = a.device})))
  for _ = 1, niter or 2 do
    basis = orthonormal(image(a.mH, m and m.mH, basis))
    basis = orthonormal(image(a, m, basis))
  end
  return basis
end

local function decompose(a, q, niter, m)
  q = q or 6
  local rows, columns = a:size(-2), a:size(-1)
  if m ~= nil then m = m:broadcast_to(a.shape) end
  if rows < columns then a, m = a.mH, m and m.mH end
  local basis = approximate_basis(a, q, niter, m)
  local small = multiply(basis.mH, a)
  if m ~= nil then small = small - multiply(basis.mH, m) end
  local u, s, vh = svd(small, false)
  local v = vh.mH
  u = basis:matmul(u)
  if rows < columns then u, v = v, u end
  return u, s, v
end

local parse_svd = signature("torch.svd_lowrank", "A, q=6, niter=2, M=nil")
local parse_pca = signature("torch.pca_lowrank", "A, q=nil, center=true, niter=2")

--- About the largest singular values of a matrix A - M, and their vectors.
---@param A Tensor [..., m, n], dense or sparse
---@param q? integer a little more than how many are wanted, 6
---@param niter? integer subspace iterations, 2
---@param M? Tensor broadcast to A, nil
---@return Tensor U [..., m, q]
---@return Tensor S [..., q]
---@return Tensor V [..., n, q]
---@example local _, values = torch.svd_lowrank(torch.randn(6, 4), 2)
--- values.shape  --> torch.Size([2])
---@source torch.svd_lowrank
function decompositions.svd_lowrank(...) return decompose(parse_svd(...)) end

--- Principal components: svd_lowrank of the columns less their means.
---@param A Tensor [..., m, n], dense or sparse
---@param q? integer how many, min(6, m, n)
---@param center? boolean subtracts the means, true
---@param niter? integer subspace iterations, 2
---@return Tensor U [..., m, q]
---@return Tensor S [..., q]
---@return Tensor V [..., n, q]
---@example local _, values = torch.pca_lowrank(torch.randn(6, 4), {q = 2})
--- values.shape  --> torch.Size([2])
---@source torch.pca_lowrank
function decompositions.pca_lowrank(...)
  local a, q, center, niter = parse_pca(...)
  local rows, columns = a:size(-2), a:size(-1)
  local most = math.min(rows, columns)
  if q == nil then
    q = math.min(6, most)
  elseif not (q >= 0 and q <= most) then
    vm.raise("usage", ("q(=%s) must be non-negative integer and not greater than min(m, n)=%d"):format(q, most))
  end
  if not (niter >= 0) then vm.raise("usage", ("niter(=%s) must be non-negative integer"):format(niter)) end
  if not center then return decompose(a, q, niter) end
  if a.layout ~= native.sparse_coo then return decompose(a - a:mean(-2, true), q, niter) end
  if a:dim() ~= 2 then vm.raise("shape", "pca_lowrank input is expected to be 2-dimensional tensor") end
  local dtype = floating_dtype(a)
  local means = (op "_sparse_sum"(a, {-2}) / rows):coalesce()
  local places = means:indices()[0]
  local index = op "stack"({places, places:new_zeros(places.shape)})
  local column = op "sparse_coo_tensor"(index, means:values(), {columns, 1}, {dtype = dtype, device = a.device})
  local m = sparse_mm(column, op "ones"({1, rows}, {dtype = dtype, device = a.device})).mT
  return decompose(a, q, niter, m)
end


local lu_with_info <const> = op "_lu_with_info"
local parse_lu = signature("torch.lu", "A, pivot=true, get_infos=false, out=nil")

--- The LU factorization of square matrices; torch.linalg.lu_factor is its new name.
---@param A Tensor [..., m, n]
---@param pivot? boolean partial pivoting, true
---@param get_infos? boolean also gives 0 for each matrix that was factored, false: an error if one was not
---@param out? Tensor[] where the results go, nil
---@return Tensor LU [..., m, n]
---@return Tensor pivots int32 [..., m], from 1
---@return Tensor? infos int32 [...]
---@example local lu, pivots = torch.lu(torch.tensor{{2., 1.}, {4., 3.}})
--- lu:diag()  --> tensor([ 4.0000, -0.5000])
--- pivots  --> tensor([2, 2], dtype=torch.int32)
---@source torch.lu
function decompositions.lu(...)
  local a, pivot, get_infos, out = parse_lu(...)
  local factors, pivots, infos = lu_with_info(a, pivot, not get_infos)
  local results = {factors, pivots, get_infos and infos or nil}
  if out ~= nil then
    if type(out) ~= "table" then
      vm.raise("usage", "argument 'out' must be tuple of Tensors, not " .. vm.describe(out))
    end
    if #out ~= #results then
      vm.raise("usage", ("expected tuple of %d elements but got %d"):format(#results, #out))
    end
    for i, result in ipairs(results) do out[i]:resize_as_(result):copy_(result) end
    results = out
  end
  return table.unpack(results)
end

return decompositions
