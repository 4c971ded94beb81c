// Needs a function that this LibTorch does not have, as a library does that was built against another version.
namespace c10 {
int gone_since_1_0(const char* name, long size);
}
extern "C" int ask() { return c10::gone_since_1_0("x", 1); }
