-- One sentence about each operator that works element by element.
return {
  add = "Adds `other`, scaled by `alpha`, to `input`, with broadcasting and type promotion.",
}
