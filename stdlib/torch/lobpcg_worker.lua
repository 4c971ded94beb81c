-- The steps of torch.lobpcg on one matrix: a block of pairs, their residuals and directions, made orthonormal.
local native = require "native.tensor"
local ops = require "native.ops"
local vm = require "native.vm"

local function op(name) return ops.find_any("aten::" .. name) end

local dense <const>, sparse <const>, norm <const> = op "matmul", op "_sparse_mm", op "linalg_vector_norm"
local zeros <const> = op "zeros"

local function fail(message, ...) vm.raise("usage", message:format(...)) end

-- a x; no matrix is the identity.
local function multiply(a, x)
  if a == nil then return x end
  return (a.layout == native.sparse_coo and sparse or dense)(a, x)
end

-- s^T a s
local function form(a, s) return multiply(s.mT, multiply(a, s)) end

-- Eigenpairs of a small matrix, the least first or the greatest.
local function eigenpairs(a, largest)
  local values, vectors = op "linalg_eigh"(a, "U")
  if largest then return values:flip(-1), vectors:flip(-1) end
  return values, vectors
end

local function columns(x, first, last) return x:narrow(1, first, last - first) end

local Worker = {}
Worker.__index = Worker

local function new(A, B, X, iK, iparams, fparams, bparams, method, tracker)
  local m, n = iparams.m, iparams.n
  local options = {dtype = X.dtype, device = X.device}
  return setmetatable({A = A, B = B, X = X, iK = iK, iparams = iparams, fparams = fparams, bparams = bparams,
    method = method, tracker = tracker, E = zeros({n}, options), R = zeros({m, n}, options),
    S = zeros({m, 3 * n}, options), tvars = {}, ivars = {istep = 0}, fvars = {_ = 0.0}, bvars = {_ = false}}, Worker)
end

function Worker:update()
  local ivars, fvars = self.ivars, self.fvars
  if ivars.istep == 0 then
    fvars.X_norm = norm(self.X):item()
    fvars.A_norm = norm(multiply(self.A, self.X)):item() / fvars.X_norm
    fvars.B_norm = norm(multiply(self.B, self.X)):item() / fvars.X_norm
    ivars.iterations_left, ivars.converged_count, ivars.converged_end = self.iparams.niter, 0, 0
  end
  if self.method == "ortho" then self:update_ortho() else self:update_basic() end
  ivars.iterations_left, ivars.istep = ivars.iterations_left - 1, ivars.istep + 1
end

function Worker:update_residual()
  self.R = multiply(self.A, self.X) - multiply(self.B, self.X) * self.E
end

-- How many of the first pairs have a small residual.
function Worker:update_converged_count()
  local before = self.ivars.converged_count
  local errors = norm(self.R, 2, {0}) / (norm(self.X, 2, {0})
    * (self.fvars.A_norm + columns(self.E:unsqueeze(0), 0, self.X:size(-1)):squeeze(0):abs() * self.fvars.B_norm))
  local count = 0
  for _, converged in ipairs(errors:lt(self.fparams.tol):tolist()) do
    if not converged then break end
    count = count + 1
  end
  if count < before then
    fail("the number of converged eigenpairs (was %d, got %d) cannot decrease", before, count)
  end
  self.ivars.converged_count, self.tvars.rerr = count, errors
  return count
end

function Worker:run()
  repeat
    self:update()
    if self.tracker ~= nil then self.tracker(self) end
  until self.bvars.force_stop or self.ivars.iterations_left == 0
    or self.ivars.converged_count >= self.iparams.k
end

-- S = [X, P, W]: the pairs, the directions of before, the residuals.
function Worker:set_directions(p, w)
  local n = self.iparams.n
  columns(self.S, 0, n):copy_(self.X)
  local at = n
  for _, part in ipairs {p or w, p and w} do
    columns(self.S, at, at + part:size(-1)):copy_(part)
    at = at + part:size(-1)
  end
  self.ivars.converged_end = at
end

function Worker:update_basic()
  local ns, nc, n, largest = self.ivars.converged_end, self.ivars.converged_count, self.iparams.n, self.bparams.largest
  if self.ivars.istep == 0 then
    local transform = self:rayleigh_ritz(self.X)
    local values, vectors = eigenpairs(form(form(self.A, self.X), transform), largest)
    self.X:copy_(dense(self.X, dense(transform, vectors)))
    self.E:copy_(values)
    self:update_residual()
    self:update_converged_count()
    self:set_directions(nil, multiply(self.iK, self.R))
    return
  end
  local s = columns(self.S, nc, ns)
  local transform = self:rayleigh_ritz(s)
  local values, vectors = eigenpairs(form(form(self.A, s), transform), largest)
  columns(self.X, nc, n):copy_(dense(s, dense(transform, columns(vectors, 0, n - nc))))
  self.E:narrow(0, nc, n - nc):copy_(values:narrow(0, 0, n - nc))
  local p = dense(s, dense(transform, columns(vectors, n, math.min(2 * n - nc, vectors:size(1)))))
  self:update_residual()
  nc = self:update_converged_count()
  self:set_directions(p, multiply(self.iK, columns(self.R, nc, n)))
end

function Worker:update_ortho()
  local ns, nc, n, largest = self.ivars.converged_end, self.ivars.converged_count, self.iparams.n, self.bparams.largest
  if self.ivars.istep == 0 then
    local transform = self:rayleigh_ritz(self.X)
    local _, vectors = eigenpairs(form(form(self.A, self.X), transform), largest)
    self.X = dense(self.X, dense(transform, vectors))
    self:update_residual()
    self:update_converged_count()
    self:set_directions(nil, self:orthonormal(self.R, self.X))
    return
  end
  local s = columns(self.S, nc, ns)
  local values, vectors = eigenpairs(form(self.A, s), largest)
  columns(self.X, nc, n):copy_(dense(s, columns(vectors, 0, n - nc)))
  self.E:narrow(0, nc, n - nc):copy_(values:narrow(0, 0, n - nc))
  local rest = columns(vectors, n - nc, vectors:size(1))
  local p = dense(s, dense(rest, (op "linalg_qr"(rest:narrow(0, 0, n - nc).mT))))
  self:update_residual()
  nc = self:update_converged_count()
  columns(self.S, 0, n):copy_(self.X)
  columns(self.S, n, n + p:size(-1)):copy_(p)
  self:set_directions(p, self:orthonormal(columns(self.R, nc, n), columns(self.S, 0, n + p:size(-1))))
end

-- What makes s orthonormal in the product of B.
function Worker:rayleigh_ritz(s)
  local product = form(self.B, s)
  local row = product:diagonal(0, -2, -1) ^ -0.5
  local factor = op "linalg_cholesky"(product * row * row:reshape(row:size(0), 1), {upper = true})
  return op "linalg_solve_triangular"(factor, row:diag_embed(), {upper = true, left = false})
end

-- An orthonormal basis of u's columns by a singular value decomposition; small directions are dropped or replaced.
function Worker:svqb(u, drop, tau)
  if u:numel() == 0 then return u end
  local product = form(self.B, u)
  local d = product:diagonal(0, -2, -1)
  local places = d:abs():ne(0):nonzero():squeeze(1)
  if places:size(0) < d:size(0) then
    u = u:index_select(1, places)
    if u:numel() == 0 then return u end
    product = form(self.B, u)
    d = product:diagonal(0, -2, -1)
  end
  local scale = (d ^ -0.5):reshape(d:size(0), 1)
  local values, vectors = eigenpairs(product * scale * scale.mT)
  local least = tau * values:abs():max()
  if drop then
    local keep = values:gt(least):nonzero():squeeze(1)
    values, vectors, scale = values:index_select(0, keep), vectors:index_select(1, keep), scale:index_select(0, keep)
  else
    values:masked_fill_(values:lt(least), least)
  end
  return dense(u * scale.mT, vectors * values ^ -0.5)
end

-- u made orthonormal, and orthogonal to v, in the product of B.
function Worker:orthonormal(u, v)
  local fparams, iparams, fvars, ivars = self.fparams, self.iparams, self.fvars, self.ivars
  for name in pairs(fvars) do
    if name:find "^ortho_.*_rerr$" then fvars[name] = nil end
  end
  ivars.ortho_i, ivars.ortho_j = nil, nil
  local of_v = norm(multiply(self.B, v)):item()
  local bu = multiply(self.B, u)
  local overlap = dense(v.mT, bu)
  local i, j = 0, 0
  for outer = 0, iparams.ortho_i_max - 1 do
    i = outer
    u = u - dense(v, overlap)
    local drop, tau = false, fparams.ortho_tol_drop
    for inner = 0, iparams.ortho_j_max - 1 do
      j = inner
      if self.bparams.ortho_use_drop then
        u = self:svqb(u, drop, tau)
        drop, tau = true, fparams.ortho_tol_replace
      else
        u = self:svqb(u, false, fparams.ortho_tol_replace)
      end
      if u:numel() == 0 then
        ivars.ortho_i, ivars.ortho_j = i, j
        return u
      end
      bu = multiply(self.B, u)
      local product = dense(u.mT, bu)
      local off = product - op "eye"(product:size(-1), {dtype = product.dtype, device = product.device})
      local rerr = norm(off):item() / (norm(bu) * norm(u)):item()
      fvars[("ortho_UBUmI_rerr[%d, %d]"):format(i, j)] = rerr
      if rerr < fparams.ortho_tol then break end
    end
    overlap = dense(v.mT, bu)
    local rerr = norm(overlap):item() / (of_v * norm(u):item())
    fvars[("ortho_VBU_rerr[%d]"):format(i)] = rerr
    if rerr < fparams.ortho_tol then break end
    if iparams.m < u:size(-1) + v:size(-1) then
      if self.B == nil then fail "B must not be None" end
      fail("Overdetermined shape of U: #B-cols(=%d) >= #U-cols(=%d) + #V-cols(=%d) must hold", self.B:size(-1), u:size(-1),
        v:size(-1))
    end
  end
  ivars.ortho_i, ivars.ortho_j = i, j
  return u
end

return new
