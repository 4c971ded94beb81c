-- What a tensor costs the collector, and how gradient modes are left.
local test = require "test"
local host = require "host"
local torch = require "torch"
local nn = require "torch.nn"

-- Megabytes of new memory that `f` charged.
local function charged(f)
  local before = host.native_bytes().charged
  f()
  return (host.native_bytes().charged - before) // (1 << 20)
end

test.case("outputs that autograd saves are charged", function()
  local x = torch.randn(1024, 1024, {requires_grad = true}) -- 4 MB
  for _, f in ipairs {torch.relu, torch.sigmoid, torch.exp, torch.sin} do
    test.equal(charged(function() for _ = 1, 8 do f(x) end end), 32)
  end
end)

test.case("what is no new memory is not charged", function()
  local x = torch.randn(1024, 1024)
  test.equal(charged(function()
    for _ = 1, 8 do
      torch.dropout(x, 0.5, false)
      x:view(-1)
      x:t()
      x:add_(1)
    end
  end), 0)
end)

test.case("a list of results is charged", function()
  local x = torch.randn(1024, 1024)
  test.equal(charged(function() for _ = 1, 8 do torch.split_copy(x, 512) end end), 32)
end)

test.case("the collector runs in time", function()
  local net = nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 256))
  local before = host.native_bytes()
  repeat
    net(torch.randn(256, 256)):sum():backward()
    local now = host.native_bytes()
  until now.collections > before.collections or now.charged - before.charged > 2 * before.budget
  test.truthy(host.native_bytes().collections > before.collections)
end)

test.case("a gradient mode that was forgotten is not undone by the collector", function()
  torch.set_grad_enabled(false)
  collectgarbage()
  collectgarbage()
  test.equal(torch.is_grad_enabled(), false)
  torch.set_grad_enabled(true)
  do
    local _ <close> = torch.no_grad()
    collectgarbage()
    collectgarbage()
    test.equal(torch.is_grad_enabled(), false)
  end
  test.equal(torch.is_grad_enabled(), true)
end)

test.case("scopes nest, and errors leave them", function()
  do
    local _ <close> = torch.no_grad()
    do
      local _ <close> = torch.enable_grad()
      test.equal(torch.is_grad_enabled(), true)
    end
    test.equal(torch.is_grad_enabled(), false)
    pcall(function()
      local _ <close> = torch.enable_grad()
      error "out"
    end)
    test.equal(torch.is_grad_enabled(), false)
  end
  test.equal(torch.is_grad_enabled(), true)
  do
    local _ <close> = torch.inference_mode()
    test.equal(torch.ones(1):is_inference(), true)
  end
  test.equal(torch.ones(1):is_inference(), false)
end)
