-- torch.lobpcg: the extreme eigenpairs of a large symmetric matrix by locally optimal block preconditioned conjugate
-- gradients (Knyazev 2001; with orthonormalization Stathopoulos 2002), as in torch/_lobpcg.py.
local native = require "native.tensor"
local new_worker = require "torch.lobpcg_worker"
local ops = require "native.ops"
local signature = require "torch.signature"
local vm = require "native.vm"

local lobpcg = {}

local function op(name) return ops.find_any("aten::" .. name) end

local randn <const> = op "randn"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

local EPS <const> = {[native.float32] = 1.2e-07, [native.float64] = 2.23e-16}

local function equal_shape(a, b) return op "is_same_size"(a, b) end

-- The eigenpairs of one matrix or of each of a batch, without gradients.
local function solve(A, k, B, X, n, iK, niter, tol, largest, method, tracker, ortho_i, ortho_f, ortho_b)
  local shape = A.shape
  local dims, m = #shape, shape[#shape]
  if shape[dims - 1] ~= m then fail("A must be square, got shape %s", tostring(A.shape)) end
  if B ~= nil and not equal_shape(A, B) then
    fail("A and B must have same shape, got %s vs %s", tostring(A.shape), tostring(B.shape))
  end
  local dtype = EPS[A.dtype] and A.dtype or native.float32
  tol = tol or EPS[dtype] ^ 0.5
  k = k or (X == nil and 1 or X:size(-1))
  if X ~= nil then n = X:size(-1) else n = n or k end
  if m < 3 * n then
    fail("LOBPCG algorithm is not applicable when the number of A rows (=%d) is smaller than 3 x the number of requested "
      .. "eigenpairs (=%d)", m, n)
  end
  method = method or "ortho"
  local iparams, fparams = {m = m, n = n, k = k, niter = niter or 1000}, {tol = tol}
  local bparams = {largest = largest ~= false}
  if method == "ortho" then
    for _, pair in ipairs {{iparams, ortho_i}, {fparams, ortho_f}, {bparams, ortho_b}} do
      for name, value in pairs(pair[2] or {}) do pair[1][name] = value end
    end
    iparams.ortho_i_max, iparams.ortho_j_max = iparams.ortho_i_max or 3, iparams.ortho_j_max or 3
    for _, name in ipairs {"ortho_tol", "ortho_tol_drop", "ortho_tol_replace"} do fparams[name] = fparams[name] or tol end
    bparams.ortho_use_drop = bparams.ortho_use_drop or false
  end
  local options = {dtype = dtype, device = A.device}

  local function run(a, b, x)
    x = x or randn({m, n}, options)
    if x:dim() ~= 2 or x:size(0) ~= m or x:size(1) ~= n then
      fail("X shape mismatch: got %s, expected (%d, %d)", tostring(x.shape), m, n)
    end
    local worker = new_worker(a, b, x, iK, iparams, fparams, bparams, method, tracker)
    worker:run()
    return worker.E:narrow(0, 0, k), worker.X:narrow(1, 0, k)
  end

  if dims == 2 then return run(A, B, X) end
  local batch = table.move(shape, 1, dims - 2, 1, {})
  local a, b, x = A:reshape(-1, m, m), B and B:reshape(-1, m, m), X and X:reshape(-1, X:size(-2), X:size(-1))
  local values, vectors = {}, {}
  for i = 0, a:size(0) - 1 do
    iparams.batch_index = i
    values[i + 1], vectors[i + 1] = run(a[i], b and b[i], x and x[i])
  end
  local of_values, of_vectors = table.move(batch, 1, #batch, 1, {}), table.move(batch, 1, #batch, 1, {})
  table.move({k}, 1, 1, #batch + 1, of_values)
  table.move({m, k}, 1, 2, #batch + 1, of_vectors)
  return op "stack"(values):reshape(of_values), op "stack"(vectors):reshape(of_vectors)
end

local parse = signature("torch.lobpcg", "A, k=nil, B=nil, X=nil, n=nil, iK=nil, niter=nil, tol=nil, largest=nil, "
  .. "method=nil, tracker=nil, ortho_iparams=nil, ortho_fparams=nil, ortho_bparams=nil")

--- The k largest (or smallest) eigenvalues and their eigenvectors of A x = lambda B x. Differentiable for a dense real A
--- with no B.
---@param A Tensor [..., m, m] symmetric positive definite, dense or sparse
---@param k? integer how many, X's columns or 1
---@param B? Tensor [..., m, m], the identity
---@param X? Tensor [..., m, n] where to begin, random
---@param n? integer columns of a random X, k; m >= 3 n
---@param iK? Tensor [..., m, m] preconditioner, the identity
---@param niter? integer the most steps, 1000; -1 for no limit
---@param tol? number of the residuals, the root of the dtype's epsilon
---@param largest? boolean true
---@param method? string "basic" or "ortho"
---@param tracker? fun(worker: table) called at each step
---@param ortho_iparams? table integers of the method "ortho"
---@param ortho_fparams? table numbers of the method "ortho"
---@param ortho_bparams? table booleans of the method "ortho"
---@return Tensor eigenvalues [..., k]
---@return Tensor eigenvectors [..., m, k]
---@example local values = torch.lobpcg(torch.diag(torch.arange(1., 10.)), {k = 1})
--- ("%.3f"):format(values:item())  --> 9.000
---@source torch.lobpcg
function lobpcg.lobpcg(...)
  local A, k, B, X, n, iK, niter, tol, largest, method, tracker, ortho_i, ortho_f, ortho_b = parse(...)
  local function run(a, b)
    return solve(a, k, b, X, n, iK, niter, tol, largest, method, tracker, ortho_i, ortho_f, ortho_b)
  end
  if A.requires_grad or B ~= nil and B.requires_grad then
    local gradient = require "torch.lobpcg_gradient"
    return gradient(run, (A + A.mT) / 2, B and (B + B.mT) / 2, largest ~= false)
  end
  return run(A, B)
end

return lobpcg
