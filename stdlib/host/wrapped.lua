-- Functions that read the arguments of another and call it: wrapper -> that function, which help tells about.
return setmetatable({}, {__mode = "k"})
