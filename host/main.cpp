// The program: its command line, its signals, what it prints when a script fails.
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/log.h"
#include "host/base/status_line.h"
#include "host/trainhost.h"

namespace trainhost {
namespace {

constexpr int kFailed = 1, kUsage = 2, kSignal = 128;
constexpr char kHelp[] =
    "trainhost script.lua [--set name=value ...] [-- args]   runs a script (- or a pipe: from standard input)\n"
    "trainhost -e CODE [-- args]                             runs code\n"
    "trainhost [-i [script.lua]]                             opens the console (after the script)\n"
    "trainhost test FILE|FOLDER ...                          runs Lua tests\n"
    "trainhost attach [RUN [CODE]]                           a console in a training that runs, or the list of those\n"
    "trainhost inspect FOLDER                                what a checkpoint holds, every byte checked\n"
    "trainhost check [--explain] SCRIPT|FOLDER ...           finds mistakes before a script runs; --explain shows the "
    "order\n"
    "                                                        in which its callbacks hear each event\n"
    "trainhost doc [NAME ...]                                shows what there is about torch.add, nn.Linear, "
    "train.fit\n"
    "trainhost runs [--sort METRIC] [--filter TEXT]          the runs that were logged\n"
    "trainhost show RUN                                      all that there is of a run\n"
    "trainhost compare RUN RUN ...                           in what runs differ, and which is best\n"
    "trainhost tail [-f] RUN                                 what a run logs, as it comes\n"
    "trainhost plot RUN|FILE.csv ... [METRIC ...]            draws what runs have logged: in the terminal, or --out "
    "FILE.png\n"
    "trainhost sync [FOLDER]                                 stores what killed processes have logged there and not "
    "stored\n"
    "trainhost new FOLDER                                    makes a small project to start from\n"
    "trainhost stubs FOLDER                                  writes the editor's stubs of everything (LuaCATS)\n"
    "trainhost VERB --help                                   says more about one of these\n"
    "\n"
    "  --set name=value   a parameter, read in the script by host.param(name, default)\n"
    "  --dry-run          train.fit takes one batch of each phase, all callbacks run, nothing is written\n"
    "  --quiet, -q        shows errors only\n"
    "  --stdlib DIR       takes the standard library from a folder instead of the program\n"
    "  --version, -v      versions of trainhost, Lua and LibTorch\n"
    "  --help, -h         this text\n"
    "\n"
    "Exit codes: 0 the script ended, 1 it failed, 2 wrong command line, 130 interrupted, or what os.exit was given.\n"
    "Environment: TRAINHOST_TRACE=full shows all frames in tracebacks, TRAINHOST_COLLECT=N collects after every N "
    "bytes\n"
    "of new tensors.\n";

// `trainhost VERB ARGUMENT ...` runs a Lua file of the standard library; its result is the exit code.
struct Verb {
  std::string_view name;
  const char* chunk;
};
constexpr Verb kVerbs[] = {
    {"test", "os.exit(require('test').main(arg))"},
    {"attach", "os.exit(require('host.attach')(arg))"},
    {"check", "os.exit(require('train.check.command')(arg))"},
    {"doc", "os.exit(require('host.help.command')(arg))"},
    {"plot", "os.exit(require('train.plot.command')(arg))"},
    {"runs", "os.exit(require('host.look.runs')(arg))"},
    {"show", "os.exit(require('host.look.show')(arg))"},
    {"compare", "os.exit(require('host.look.compare')(arg))"},
    {"tail", "os.exit(require('host.look.tail')(arg))"},
    {"new", "os.exit(require('host.new_project')(arg))"},
    {"stubs", "os.exit(require('host.stubs.command')(arg))"},
    {"inspect", "os.exit(require('host.inspect')(arg))"},
    {"sync", "os.exit(require('mlflow.sync')(arg))"},
};

struct CommandLine {
  Options options;
  std::optional<std::string> script, code;
  const Verb* verb = nullptr;
  bool console = false, quiet = false, dry_run = false;
};

[[noreturn]] void wrong_usage(const std::string& what) {
  std::fprintf(stderr, "trainhost: %s (trainhost --help shows the usage)\n", what.c_str());
  std::exit(kUsage);
}

void add_param(Options& options, const std::string& pair) {
  const size_t equals = pair.find('=');
  if (equals == 0 || equals == std::string::npos) wrong_usage("--set expects name=value, got '" + pair + "'");
  options.params[pair.substr(0, equals)] = pair.substr(equals + 1);
}

void print_version() {
  const Versions v = versions();
  std::printf("trainhost %s\nLua %s\nLibTorch %s\nCUDA %s\n", v.trainhost.c_str(), v.lua.c_str(), v.torch.c_str(),
              v.cuda ? "yes" : "no");
}

const Verb* find_verb(std::string_view word) {
  for (const Verb& verb : kVerbs)
    if (verb.name == word) return &verb;
  return nullptr;
}

CommandLine parse(int argc, char** argv) {
  CommandLine line;
  std::vector<std::string> words(argv + 1, argv + argc);
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto value = [&]() -> const std::string& {
      if (i + 1 == words.size()) wrong_usage(word + " expects a value");
      return words[++i];
    };
    if (word == "--") {
      line.options.args.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    if (word == "--set") add_param(line.options, value());
    else if (word.starts_with("--set=")) add_param(line.options, word.substr(6));
    else if (word == "--stdlib") line.options.stdlib_dir = value();
    else if (word == "--quiet" || word == "-q") line.quiet = true;
    else if (word == "--dry-run") line.dry_run = true;
    else if (word == "-i") line.console = true;
    else if (word == "-e") line.code = (line.code ? *line.code + "\n" : "") + value();
    else if (word == "--help" || word == "-h") {
      std::fputs(kHelp, stdout);
      std::exit(0);
    } else if (word == "--version" || word == "-v") {
      print_version();
      std::exit(0);
    } else if (word.size() > 1 && word[0] == '-') {
      wrong_usage("unknown option '" + word + "'" +
                  (line.script ? "; what is meant for the script goes after --" : ""));
    } else if (line.script || line.code) {
      wrong_usage("unexpected '" + word + "'; what is meant for the script goes after --");
    } else if (const Verb* verb = find_verb(word)) {
      line.verb = verb;
      line.options.args.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    } else {
      line.script = word;
    }
  }
  if (line.script && line.code) wrong_usage("a script and -e do not go together");
  line.options.script_name = line.verb ? std::string(line.verb->name) : line.script.value_or(line.code ? "-e" : "");
  line.options.program = "/proc/self/exe";
  if (const char* every = std::getenv("TRAINHOST_COLLECT")) line.options.collect_every = std::atoi(every);
  return line;
}

// --- Signals. One handler for all that end a script; the library knows nothing of them.

std::atomic<Host*> running{nullptr};
std::atomic<int> last_signal{0};
std::atomic<int> unheard{0};
std::atomic<bool> pipe_closed{false}, at_console{false};
pthread_t main_thread;

void on_signal(int signal) {
  const int saved = errno;
  if (!pthread_equal(pthread_self(), main_thread)) {  // any thread may get it: the script's own thread acts
    pthread_kill(main_thread, signal);
  } else if (signal != SIGPIPE || !pipe_closed.exchange(true)) {
    last_signal = signal;
    Host* host = running.load();
    const int count = host ? host->interrupt() : 0;
    // No script runs: at the console's prompt Ctrl-C means nothing, before the script there is nothing to clean up,
    // and after it the second one does not wait.
    const bool idle = count == 0 && !(at_console && signal == SIGINT);
    if (count >= 3 || !host || (idle && ++unheard > 1)) _exit(kSignal + signal);
  }
  errno = saved;
}

void install_signals() {
  main_thread = pthread_self();
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    struct sigaction old {};
    sigaction(signal, nullptr, &old);
    if (old.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);  // ignored: by nohup, or in the background
  }
}

// --- Running

// "train.lua:12: message (hint)", then the frames of the user's scripts, indented.
void print_error(const Error& error) {
  status_line::finish();
  std::fflush(stdout);
  std::string text = error.what();
  std::string_view trace = error.trace();
  const bool one_frame = trace.find('\n') == std::string_view::npos;
  if (one_frame && trace == error.where() + ": in the main chunk") trace = {};
  while (!trace.empty()) {
    const size_t size = std::min(trace.find('\n'), trace.size());
    (text += "\n    ") += trace.substr(0, size);
    trace.remove_prefix(std::min(size + 1, trace.size()));
  }
  std::fprintf(stderr, "%s\n", text.c_str());
}

// Has the reader of standard output gone, as `head` does?
bool reader_left() {
  pollfd out{STDOUT_FILENO, 0, 0};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

// What ended the script. Nothing is said where nobody reads any more; it ends as after SIGTERM all the same, with its
// cleanups, its runs KILLED and all that they logged stored.
void print_end(const Error& error) {
  const bool of_pipe = error.kind() == ErrorKind::interrupted && last_signal == SIGPIPE;
  if (of_pipe && reader_left()) return;
  print_error(error);
  if (of_pipe) std::fputs("    a pipe that the script writes to has lost its reader\n", stderr);
}

std::string read_all(std::FILE* in) {
  std::string text;
  char block[65536];
  for (size_t n; (n = std::fread(block, 1, sizeof block, in)) > 0;) text.append(block, n);
  return text;
}

// Misspelt names in --set: before the script runs, where its text tells. Returns them.
std::vector<Value> warn_of_unknown(Host& host, const CommandLine& line) {
  if (line.options.params.empty() || line.verb || line.code || !line.script || *line.script == "-") return {};
  return host.run_string("return require 'host.given_params'(arg[0])", "=(command line)");
}

void warn_of_unread(const Host& host, const std::vector<Value>& told) {
  for (const auto& param : host.unread_params()) {
    if (std::ranges::any_of(told, [&](const Value& name) { return name.as_string() == param.name; })) continue;
    std::string text = "--set " + param.name + " was never read by the script";
    for (size_t i = 0; i < param.nearest.size(); ++i)
      text += (i == 0 ? "; did you mean '" : i + 1 < param.nearest.size() ? "', '" : "' or '") + param.nearest[i];
    if (!param.nearest.empty()) text += "'?";
    log::warn(text);
  }
}

bool console_open(const CommandLine& line) {
  return line.console || (!line.script && !line.code && !line.verb && isatty(STDIN_FILENO));
}

// Runs what the command line asks for; returns the exit code.
int run(Host& host, const CommandLine& line) {
  if (line.dry_run) host.run_string("require('host').dry_run(true)", "=--dry-run", Results::dropped);
  if (line.verb) host.run_string(line.verb->chunk, "=" + std::string(line.verb->name), Results::dropped);
  else if (line.code) host.run_string(*line.code, "=(command line)", Results::dropped);
  else if (line.script && *line.script != "-") host.run_file(*line.script, Results::dropped);
  else if (line.script || !console_open(line)) host.run_string(read_all(stdin), "=stdin", Results::dropped);
  if (host.exit_code()) return *host.exit_code();
  if (!console_open(line)) return 0;
  if (!line.quiet && isatty(STDIN_FILENO)) {
    print_version();
    std::puts(
        "torch, nn, train, mlflow and host are there; help(torch.add) shows what there is about it; Tab completes "
        "names.");
  }
  at_console = true;
  const int code = host.repl();
  at_console = false;
  return code;
}

int main(int argc, char** argv) {
  install_signals();
  CommandLine line = parse(argc, argv);
  log::set_level(line.quiet ? log::Level::error : log::Level::info);
  int code = kFailed;
  try {
    Host host(line.options);
    running = &host;
    try {
      const std::vector<Value> told = warn_of_unknown(host, line);
      code = run(host, line);
      // A script that stopped in good order after Ctrl-C was interrupted all the same; a verb says itself what came of
      // it.
      if (code == 0 && last_signal && !line.verb && !console_open(line)) code = kSignal + last_signal;
      if (!line.verb) warn_of_unread(host, told);
    } catch (const Error& error) {
      print_end(error);
      code = error.kind() == ErrorKind::interrupted && last_signal ? kSignal + last_signal : kFailed;
    }
    for (const auto& failure : host.close()) {
      log::error("at the end of the script: " + failure);
      if (code == 0) code = last_signal ? kSignal + last_signal : kFailed;
    }
    running = nullptr;
  } catch (const Error& error) {
    print_error(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "trainhost: %s\n", error.what());
  }
  std::fflush(nullptr);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  _exit(code);  // all is closed; LibTorch's static destructors would take another 75 ms
#endif
  return code;
}

}  // namespace
}  // namespace trainhost

int main(int argc, char** argv) { return trainhost::main(argc, argv); }
