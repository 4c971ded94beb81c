// Where the console's lines come from.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "host/vm/state.h"

namespace trainhost::vm {

// A line of input; nothing at its end. `cancelled`: Ctrl-C at the prompt.
class Input {
 public:
  virtual ~Input() = default;
  virtual std::optional<std::string> line(bool more) = 0;
  virtual bool cancelled() { return false; }
  virtual void remember(const std::string&) {}
};

// Whose lines they are: the module whose `complete(line)` gives the names, as host.repl's does, and the file of the
// history, in the user's folder of states.
struct Prompted {
  const char* module = "host.repl";
  const char* history = "history";
};

// libedit on a terminal, with history and completion; else plain lines of standard input. An io Error if the terminal
// cannot be opened.
std::unique_ptr<Input> open_input(State& state, bool terminal, const Prompted& prompted = {});

// Pushes MODULE.NAME. Throws what requiring it raises.
void push_function_of(State& state, const char* module, const char* name);

}  // namespace trainhost::vm
