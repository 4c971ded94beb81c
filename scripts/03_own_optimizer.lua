-- An optimizer written in Lua: Lion (Chen et al., 2023), beside AdamW, on a small regression.
local torch = require "torch"
local host = require "host"
local nn, F = torch.nn, torch.nn.functional

local steps = host.param("steps", 200, {min = 1})

-- The options with their defaults make the constructor; groups, hooks and state dicts come from the base class.
local Lion = torch.optim.class("Lion", "lr=1e-4, betas={0.9, 0.99}, weight_decay=0")

function Lion:step(closure)
  local loss = closure and torch.enable_grad(closure)
  for _, group in ipairs(self.param_groups) do
    local beta1, beta2 = table.unpack(group.betas)
    for _, p in ipairs(group.params) do
      if p.grad then
        local state = self.state[p]
        state.exp_avg = state.exp_avg or torch.zeros_like(p)
        p:mul_(1 - group.lr * group.weight_decay)
        p:add_(state.exp_avg:lerp(p.grad, 1 - beta1):sign_(), {alpha = -group.lr})
        state.exp_avg:lerp_(p.grad, 1 - beta2)
      end
    end
  end
  return loss
end

local function train(make)
  torch.manual_seed(0)
  local net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
  local x = torch.randn(256, 8)
  local y = x:sin():sum(1, true)
  local optimizer = make(net:parameters())
  local scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
  local first, last
  for _ = 1, steps do
    local loss = optimizer:step(function()
      optimizer:zero_grad()
      local l = F.mse_loss(net(x), y)
      l:backward()
      return l
    end)
    scheduler:step()
    first, last = first or loss:item(), loss:item()
  end
  return first, last, optimizer
end

local first, last, lion = train(function(params) return Lion(params, {lr = 3e-3, weight_decay = 0.01}) end)
print(("Lion   loss %.3f -> %.4f"):format(first, last))
first, last = train(function(params) return torch.optim.AdamW(params, {lr = 1e-2}) end)
print(("AdamW  loss %.3f -> %.4f"):format(first, last))

-- Its state dict is one as any other's: it can be saved and loaded.
local again = Lion(lion.param_groups[1].params)
again:load_state_dict(lion:state_dict())
print(("resumed with lr %g and %d states"):format(again.param_groups[1].lr, #again.param_groups[1].params))
