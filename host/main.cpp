// The program: a first, small form (script, -e, test) until the command line lands.
#include <cstdio>
#include <cstring>

#include "bindings/bindings.h"
#include "host/vm/state.h"

int main(int argc, char** argv) {
  using namespace trainhost;
  vm::Options options;
  int first = 1;
  const char* code = nullptr;
  const char* script = nullptr;
  bool test = false;
  for (; first < argc && !script && !code; ++first) {
    if (!std::strcmp(argv[first], "-e") && first + 1 < argc) code = argv[++first];
    else if (!std::strcmp(argv[first], "--stdlib") && first + 1 < argc) options.stdlib_dir = argv[++first];
    else script = argv[first];
  }
  if (script && !std::strcmp(script, "test")) test = true;
  options.script_name = script ? script : "-e";
  for (int i = first; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--set") && i + 1 < argc) {
      std::string pair = argv[++i];
      options.params[pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
    } else if (std::strcmp(argv[i], "--")) {
      options.args.push_back(argv[i]);
    }
  }
  if (const char* every = std::getenv("TRAINHOST_COLLECT")) options.collect_every = std::atoi(every);
  try {
    vm::State state(options);
    bindings::open_all(state.lua());
    if (test) state.run_string("os.exit(require('test').main(arg))", "=test");
    else if (code) state.run_string(code, "=(command line)");
    else if (script) state.run_file(script);
    return state.exit_code().value_or(0);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n%s\n", e.what(), e.trace().c_str());
    return 1;
  }
}
