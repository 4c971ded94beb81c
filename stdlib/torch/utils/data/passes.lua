-- Who wants to see the passes over loaders: `watch(loader, next_batch, state, control, closing)` gives what the loop gets.
return {watch = nil}
