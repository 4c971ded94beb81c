// The C streams for the Lua inside libtrainhost.
#include <cstdio>

// Debian's liblua5.4-c++.a is not position independent where it reads the C library's stdin, stdout and stderr, so that
// it cannot stand in a shared library as it is. In the copy that goes into libtrainhost (see CMakeLists.txt) these three
// names are changed to ours, which the linker can reach.
extern "C" {
std::FILE* trainhost_stdin = stdin;
std::FILE* trainhost_stdout = stdout;
std::FILE* trainhost_stderr = stderr;
}
