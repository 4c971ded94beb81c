-- A variational autoencoder learns to draw garments; its loss is two, and each is logged by its name.
--
--   trainhost scripts/06_vae.lua [--set epochs=10] [--set latent=16] [--set beta=1] [--set out=out/vae]
--
-- For a quick try: --set samples=6000 --set epochs=2
local host = require "host"
local mlflow = require "mlflow"
local torch = require "torch"
local train = require "train"
local VAE = require "models.vae"
local png = require "data.png"
local data = torch.utils.data

local latent = host.param("latent", 16, {min = 1, doc = "numbers that stand for an image"})
local width = host.param("width", 32, {min = 1, doc = "channels of the first convolution"})
local beta = host.param("beta", 1.0, {min = 0, doc = "what the divergence counts against the reconstruction"})
local epochs = host.param("epochs", 10, {min = 1})
local batch_size = host.param("batch_size", 128, {min = 1})
local lr = host.param("lr", 2e-3, {min = 0})
local samples = host.param("samples", 60000, {min = 120, max = 60000, doc = "fewer for a quick try"})
local seed = host.param("seed", 1)
local out = host.param("out", "out/vae")

torch.manual_seed(seed)
local set = torch.datasets.fashion_mnist()
local pool = samples < #set.train and data.random_split(set.train, {samples, #set.train - samples}, {seed = seed}) or set.train
local valid_count = samples // 12
local fit_set, valid_set = data.random_split(pool, {samples - valid_count, valid_count}, {seed = seed})

local net = VAE {latent = latent, width = width}
local optimizer = torch.optim.Adam(net:parameters(), {lr = lr})
local noise = torch.randn(32, latent)  -- the same for every picture: how they change is what training does

mlflow.set_experiment("fashion-mnist")
local run <close> = mlflow.start_run {run_name = "vae"}

local function draw()
  local _ <close> = torch.no_grad()
  return net.decoder(noise):sigmoid()
end

local history = train.fit {
  model = net, optimizer = optimizer, epochs = epochs,
  train = data.DataLoader(fit_set, {batch_size = batch_size, shuffle = true, seed = seed}),
  valid = data.DataLoader(valid_set, {batch_size = 1000}),
  scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs),
  -- What step returns beside the loss is averaged over the samples as the loss is, and logged: kl, val_kl, ...
  step = function(_, batch)
    local reconstruction, kl = VAE.losses(batch[1], net(batch[1]))
    return reconstruction + beta * kl, {reconstruction = reconstruction, kl = kl}
  end,
  callbacks = {
    train.on("epoch_end", function(state)
      run:log_artifact(png.write(("%s/epoch_%02d.png"):format(out, state.epoch + 1), draw()), "pictures")
    end),
    mlflow.callback(),
  },
}

-- Eight images of the test set above what the decoder makes of their latent numbers, and pictures between two of them.
net:eval()
local _ <close> = torch.no_grad()
local images = {}
for i = 0, 7 do images[i + 1] = set.test[i][1] end
local real = torch.stack(images)
local again, mu = net(real)
local steps = torch.linspace(0, 1, 8):unsqueeze(1)
local between = net.decoder(mu[0] * (1 - steps) + mu[1] * steps)
run:log_artifact(png.write(out .. "/again.png", torch.cat({real, again:sigmoid(), between:sigmoid()})))
run:log_artifact(train.plot(history, out .. "/loss.svg", {title = "VAE"}))
local last = #history.val_loss
print(("validation: loss %.2f = reconstruction %.2f + %g x divergence %.2f; pictures in %s"):format(history.val_loss[last],
  history.val_reconstruction[last], beta, history.val_kl[last], out))
