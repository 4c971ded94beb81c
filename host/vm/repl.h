// The interactive console.
#pragma once

namespace trainhost::vm {

class State;

// Reads, runs and prints until the input ends or the script exits; returns the exit code. At a terminal: line editing,
// history in $XDG_STATE_HOME/trainhost/history, completion with Tab; Ctrl-C clears the line, Ctrl-D leaves. From a
// pipe: no prompt, and the code is 1 if a line failed.
int run_repl(State& state);

}  // namespace trainhost::vm
