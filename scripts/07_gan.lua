-- A small DCGAN learns to draw garments: two networks, two optimizers, a loop by hand.
--
--   trainhost scripts/07_gan.lua [--set epochs=5] [--set class=9] [--set lr=0.0002] [--set out=out/gan]
--
-- For a quick try: --set samples=3000 --set epochs=2
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local gan = require "models.gan"
local png = require "data.png"
local F = torch.nn.functional
local data = torch.utils.data

local latent = host.param("latent", 64, {min = 1, doc = "numbers that a picture is made of"})
local width = host.param("width", 32, {min = 1, doc = "channels of the widest pictures"})
local epochs = host.param("epochs", 5, {min = 1})
local batch_size = host.param("batch_size", 64, {min = 2})
local lr = host.param("lr", 2e-4, {min = 0})
local class = host.param("class", -1, {min = -1, max = 9, doc = "learn one class only; -1 learns all"})
local samples = host.param("samples", 60000, {min = 128, max = 60000, doc = "fewer for a quick try"})
local seed = host.param("seed", 1)
local out = host.param("out", "out/gan")

torch.manual_seed(seed)
local set = torch.datasets.fashion_mnist {normalize = {0.5, 0.5}}  -- -1 ... 1, as tanh draws
local wanted = set.train
if class >= 0 then
  wanted = data.Subset(wanted, set.train.tensors[2]:eq(class):nonzero():flatten():tolist())
end
if samples < #wanted then wanted = data.random_split(wanted, {samples, #wanted - samples}, {seed = seed}) end
if #wanted < batch_size then
  error(("batch_size = %d: there are %d samples to train on, and each batch is a whole one"):format(batch_size, #wanted), 0)
end
local loader = data.DataLoader(wanted, {batch_size = batch_size, shuffle = true, drop_last = true, seed = seed})

local generator = gan.Generator {latent = latent, width = width}
local discriminator = gan.Discriminator {width = width}
local options = {lr = lr, betas = {0.5, 0.999}}
local optimizer_g = torch.optim.Adam(generator:parameters(), options)
local optimizer_d = torch.optim.Adam(discriminator:parameters(), options)

local bce = F.binary_cross_entropy_with_logits
local yes, no = torch.full({batch_size}, 0.9), torch.zeros(batch_size)  -- 0.9: not too sure of the real ones
local all = torch.ones(batch_size)
local noise = torch.randn(64, latent)

mlflow.set_experiment("fashion-mnist")
local run <close> = mlflow.start_run {run_name = "gan"}

-- What is done after every epoch: the losses are logged, and the generator draws the same noise again.
local function draw(state)
  local _ <close> = torch.no_grad()
  generator:eval()
  run:log_artifact(png.write(("%s/epoch_%02d.png"):format(out, state.epoch + 1), generator(noise) * 0.5 + 0.5), "pictures")
  generator:train()
end

local function save(state)
  host.checkpoint.save(out .. "/last", {tensors = {generator = generator:state_dict(),
    discriminator = discriminator:state_dict()}, state = {epochs = state.epochs_done}})
end

-- The callbacks of train.fit: two models and two optimizers make no difference to them.
local state = train.state {epochs = epochs, batch_count = #loader, callbacks = {
  train.TerminateOnNaN(),
  train.on("epoch_end", {group = "logging"}, draw),
  train.on("epoch_end", {every = 5, group = "checkpoint"}, save),
  train.on("train_end", {group = "checkpoint"}, save),
  mlflow.callback(),
  train.Progress(),
}}

state:emit("train_begin")
while not state.stopping and state.epochs_done < epochs do
  state:emit("epoch_begin")
  local loss_d, loss_g, taken = train.metrics.Mean(), train.metrics.Mean(), train.metrics.Mean()
  for real in loader:iter() do
    state:emit("batch_begin")
    -- The discriminator tells real from drawn; nothing of it reaches the generator.
    local fake = generator(torch.randn(batch_size, latent))
    local for_real, for_fake = discriminator(real), discriminator(fake:detach())
    local d = bce(for_real, yes) + bce(for_fake, no)
    optimizer_d:zero_grad()
    d:backward()
    optimizer_d:step()

    -- The generator learns what the discriminator would take for real.
    local g = bce(discriminator(fake), all)
    optimizer_g:zero_grad()
    g:backward()
    optimizer_g:step()

    loss_d:update(d, batch_size)
    loss_g:update(g, batch_size)
    taken:update(for_fake:detach():gt(0):float():mean(), batch_size)
    state.logs.loss = d:detach() + g:detach()  -- read only by who looks
    state:emit("batch_end")
  end
  state.logs.loss_d = loss_d:result()
  state.logs.loss_g = loss_g:result()
  state.logs.fakes_taken = taken:result()
  state:emit("epoch_end")
end
state:emit("train_end")
print(("pictures of every epoch and the weights are in %s"):format(out))
