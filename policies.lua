local train = require "train"
return {train.on("epoch_end", function(state) state.logs.half = 0.5 * state.logs.loss end)}
