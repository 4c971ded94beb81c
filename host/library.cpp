// For the shared library alone: the C streams under the names that its copy of Lua knows them by.
#include <cstdio>

// Note [Lua in a shared library]
// Debian's static Lua is compiled for programs: it reads the variables stdin, stdout and stderr at a fixed distance,
// which a shared library cannot offer for another library's variables. Everything else in it links. So the build
// makes a copy of the archive in which these three carry the names below, which are ours.
extern "C" {
[[gnu::visibility("hidden")]] FILE *trainhost_stdin, *trainhost_stdout, *trainhost_stderr;
}

namespace {

[[gnu::constructor]] void name_the_streams() {
  trainhost_stdin = stdin;
  trainhost_stdout = stdout;
  trainhost_stderr = stderr;
}

}  // namespace
