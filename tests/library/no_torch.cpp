// A shared library that has nothing to do with LibTorch.
extern "C" int seven() { return 7; }
