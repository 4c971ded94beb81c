-- How the recommender is trained by the parity test and the benchmark; matrix_factorization.py line by line.
local torch = require "torch"
local MatrixFactorization = require "models.matrix_factorization"
local F = torch.nn.functional

return function(c)
  local net = MatrixFactorization(c.users, c.items, c.width, 3.5)
  local optimizer = torch.optim.SparseAdam(net:parameters(), {lr = 0.01})
  local users, items = torch.randint(0, c.users, {c.batch}), torch.randint(0, c.items, {c.batch})
  local scores = torch.randint(1, 6, {c.batch}):to(torch.float32)

  local function loss() return F.mse_loss(net(users, items), scores) end

  return {modules = {net}, optimizer = optimizer, loss = loss, samples = c.batch}
end
