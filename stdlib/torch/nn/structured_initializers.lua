-- Initializers of torch.nn.init that give a tensor a structure: identity, orthogonality, zeros.
local named = require "torch.named"
local torch = require "torch"
local vm = require "native.vm"

local init = {}

local function check_matrix(tensor)
  if tensor:dim() ~= 2 then vm.raise("shape", "Only tensors with 2 dimensions are supported") end
end

--- Fills a matrix with the identity.
---@param tensor Tensor filled in place
---@return Tensor tensor
---@example nn.init.eye_(torch.empty(2, 2)):tolist()  --> {{1.0, 0.0}, {0.0, 1.0}}
---@source torch.nn.init.eye_
init.eye_ = named("nn.init.eye_", "tensor", function(tensor)
  check_matrix(tensor)
  tensor:detach():copy_(torch.eye(tensor:size(0), tensor:size(1)))
  return tensor
end)

--- Fills the weight of a convolution so that it passes its channels on, as many as it can.
---@param tensor Tensor of 3, 4 or 5 dimensions, filled in place
---@param groups integer of the convolution, 1
---@return Tensor tensor
---@example nn.init.dirac_(torch.empty(2, 2, 3)):tolist()  --> {{{0.0, 1.0, 0.0}, {0.0, 0.0, 0.0}}, {{0.0, 0.0, 0.0}, {0.0, 1.0, 0.0}}}
---@source torch.nn.init.dirac_
init.dirac_ = named("nn.init.dirac_", "tensor, groups=1", function(tensor, groups)
  local dims = tensor:dim()
  if dims < 3 or dims > 5 then vm.raise("shape", "Only tensors with 3, 4, or 5 dimensions are supported") end
  if tensor:size(0) % groups ~= 0 then vm.raise("shape", "dim 0 must be divisible by groups") end
  local data, per_group = tensor:detach():zero_(), tensor:size(0) // groups
  for group = 0, groups - 1 do
    for d = 0, math.min(per_group, tensor:size(1)) - 1 do
      local at = {group * per_group + d, d}
      for dim = 2, dims - 1 do at[dim + 1] = tensor:size(dim) // 2 end
      data[at] = 1
    end
  end
  return tensor
end)

--- Fills with orthogonal rows or columns, whichever are fewer (Saxe 2013).
---@param tensor Tensor of two dimensions or more, the later ones taken as one; filled in place
---@param gain number 1
---@param generator? Generator the default one
---@return Tensor tensor
---@example local w = nn.init.orthogonal_(torch.empty(2, 5))
--- torch.allclose(w:mm(w:t()), torch.eye(2), {atol = 1e-5})  --> true
---@source torch.nn.init.orthogonal_
init.orthogonal_ = named("nn.init.orthogonal_", "tensor, gain=1, generator=nil", function(tensor, gain, generator)
  if tensor:dim() < 2 then vm.raise("shape", "Only tensors with 2 or more dimensions are supported") end
  if tensor:numel() == 0 then return tensor end
  local rows = tensor:size(0)
  local columns = tensor:numel() // rows
  local flat = tensor:detach():new_empty({rows, columns}):normal_(0, 1, {generator = generator or torch.random.default_generator})
  if rows < columns then flat:t_() end
  local q, r = torch.linalg.qr(flat)
  q:mul_(torch.diag(r, 0):sign())
  if rows < columns then q:t_() end
  local data = tensor:detach()
  data:view_as(q):copy_(q)
  data:mul_(gain)
  return tensor
end)

--- Fills a matrix with normal numbers and zeroes a share of each column (Martens 2010).
---@param tensor Tensor filled in place
---@param sparsity number share of zeros in each column
---@param std number of the others, 0.01
---@param generator? Generator the default one; which elements are zero is drawn by the default one
---@return Tensor tensor
---@example nn.init.sparse_(torch.empty(4, 3), 0.5):eq(0):sum(0)  --> tensor([2, 2, 2])
---@source torch.nn.init.sparse_
init.sparse_ = named("nn.init.sparse_", "tensor, sparsity, std=0.01, generator=nil", function(tensor, sparsity, std, generator)
  check_matrix(tensor)
  local rows, columns = tensor:size(0), tensor:size(1)
  local zeros = math.ceil(sparsity * rows)
  local data = tensor:detach():normal_(0, std, {generator = generator or torch.random.default_generator})
  for column = 0, columns - 1 do
    data:select(1, column):index_fill_(0, torch.randperm(rows):narrow(0, 0, math.min(zeros, rows)), 0)
  end
  return tensor
end)

return init
