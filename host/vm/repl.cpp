// The console on libedit: stdlib/host/repl.lua shows the values and completes the names.
#include "host/vm/repl.h"

#include <histedit.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <lua.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/file.h"
#include "host/vm/errors.h"
#include "host/vm/state.h"

namespace trainhost::vm {
namespace {

constexpr char kPrompt[] = "> ", kMorePrompt[] = ">> ";
constexpr int kHistoryLines = 5000;

// Calls host.repl.NAME with one string; its results are left on the stack. Throws what it raises.
int call_helper(State& state, const char* name, const std::string& text) {
  lua_State* L = state.lua();
  lua_getglobal(L, "require");
  lua_pushliteral(L, "host.repl");
  state.call(1, 1);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
  lua_pushlstring(L, text.data(), text.size());
  return state.call(1, LUA_MULTRET);
}

// A line of input; nothing at its end. `cancelled`: Ctrl-C at the prompt.
class Input {
 public:
  virtual ~Input() = default;
  virtual std::optional<std::string> line(bool more) = 0;
  virtual bool cancelled() { return false; }
  virtual void remember(const std::string&) {}
};

class PipedInput final : public Input {
 public:
  std::optional<std::string> line(bool) override {
    std::string text;
    for (int c; (c = std::getc(stdin)) != EOF;) {
      if (c == '\n') return text;
      text += static_cast<char>(c);
    }
    if (text.empty()) return std::nullopt;
    return text;
  }
};

std::string history_file() {
  if (const char* dir = std::getenv("XDG_STATE_HOME"); dir && *dir) return std::string(dir) + "/trainhost/history";
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::string(home) + "/.local/state/trainhost/history";
  return {};
}

class TerminalInput final : public Input {
 public:
  explicit TerminalInput(State& state) : state_(state), file_(history_file()) {
    edit_.reset(el_init("trainhost", stdin, stdout, stderr));
    history_.reset(history_init());
    if (!edit_ || !history_) throw Error(ErrorKind::io, "cannot open the terminal for editing");
    HistEvent event;
    history(history_.get(), &event, H_SETSIZE, kHistoryLines);
    history(history_.get(), &event, H_SETUNIQUE, 1);
    if (!file_.empty()) history(history_.get(), &event, H_LOAD, file_.c_str());
    EditLine* el = edit_.get();
    el_set(el, EL_CLIENTDATA, this);
    el_set(el, EL_PROMPT, prompt);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_HIST, history, history_.get());
    el_set(el, EL_ADDFN, "complete", "complete a name", complete);
    el_set(el, EL_BIND, "^I", "complete", nullptr);
    el_set(el, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    // While a line is edited Ctrl-C is a key; while a chunk runs it is the program's SIGINT.
    el_set(el, EL_ADDFN, "cancel", "clear the line", cancel);
    el_set(el, EL_SETTY, "-d", "-isig", nullptr);
    el_set(el, EL_BIND, "^C", "cancel", nullptr);
    el_source(el, nullptr);
  }

  std::optional<std::string> line(bool more) override {
    more_ = more;
    cancelled_ = false;
    int count = 0;
    el_set(edit_.get(), EL_PREP_TERM, 1);  // before the prompt: what is typed from then on is the editor's
    const char* text = el_gets(edit_.get(), &count);
    if (cancelled_) return "";
    if (!text || count <= 0) {
      std::fputc('\n', stdout);
      return std::nullopt;
    }
    std::string line(text, static_cast<size_t>(count));
    while (!line.empty() && line.back() == '\n') line.pop_back();
    return line;
  }

  bool cancelled() override { return cancelled_; }

  void remember(const std::string& chunk) override {
    HistEvent event;
    history(history_.get(), &event, H_ENTER, chunk.c_str());
    if (file_.empty()) return;
    try {
      if (!saved_) file::mkdir(file::folder_of(file_));
      saved_ = true;
      history(history_.get(), &event, H_SAVE, file_.c_str());
    } catch (const Error&) {
      file_.clear();  // a history that cannot be kept is not worth a message at every line
    }
  }

 private:
  static TerminalInput& of(EditLine* el) {
    void* self = nullptr;
    el_get(el, EL_CLIENTDATA, &self);
    return *static_cast<TerminalInput*>(self);
  }

  static char* prompt(EditLine* el) { return const_cast<char*>(of(el).more_ ? kMorePrompt : kPrompt); }

  static unsigned char cancel(EditLine* el, int) {
    of(el).cancelled_ = true;
    std::fputs("^C\n", stdout);
    std::fflush(stdout);
    el_deletestr(el, el_line(el)->lastchar - el_line(el)->buffer);
    return CC_NEWLINE;
  }

  static unsigned char complete(EditLine* el, int) {
    const LineInfo* info = el_line(el);
    const std::string before(info->buffer, info->cursor);
    if (before.find_first_not_of(" \t") == std::string::npos) {
      el_insertstr(el, "  ");
      return CC_REFRESH;
    }
    try {
      return of(el).complete_name(el, before);
    } catch (const Error&) {
      return CC_ERROR;
    }
  }

  unsigned char complete_name(EditLine* el, const std::string& before) {
    lua_State* L = state_.lua();
    const int top = lua_gettop(L);
    call_helper(state_, "complete", before);
    std::vector<std::string> names;
    for (lua_Integer i = 1; lua_rawgeti(L, top + 1, i) == LUA_TSTRING; ++i, lua_pop(L, 1))
      names.push_back(lua_tostring(L, -1));
    const auto replaced = static_cast<size_t>(lua_tointeger(L, top + 2));
    lua_settop(L, top);
    if (names.empty()) return CC_ERROR;
    std::string shared = names.front();
    for (const auto& name : names) {
      const auto differ = std::mismatch(shared.begin(), shared.end(), name.begin(), name.end());
      shared.erase(differ.first, shared.end());
    }
    if (shared.size() > replaced) {
      el_insertstr(el, shared.c_str() + replaced);
      return names.size() == 1 ? CC_REFRESH : CC_REFRESH_BEEP;
    }
    if (names.size() == 1) return CC_NORM;
    show(names);
    return CC_REDISPLAY;
  }

  // In columns below the line, at most a screen of them.
  static void show(const std::vector<std::string>& names) {
    size_t widest = 0;
    for (const auto& name : names) widest = std::max(widest, name.size());
    const size_t columns = std::max<size_t>(1, 80 / (widest + 2)), most = columns * 20;
    std::fputc('\n', stdout);
    for (size_t i = 0; i < names.size() && i < most; ++i) {
      const bool last = (i + 1) % columns == 0 || i + 1 == names.size();
      std::printf("%-*s%s", static_cast<int>(last ? 0 : widest + 2), names[i].c_str(), last ? "\n" : "");
    }
    if (names.size() > most) std::printf("... %zu more\n", names.size() - most);
    std::fflush(stdout);
  }

  struct Closer {
    void operator()(EditLine* el) const { el_end(el); }
    void operator()(History* h) const { history_end(h); }
  };
  State& state_;
  std::unique_ptr<History, Closer> history_;  // outlives the editor
  std::unique_ptr<EditLine, Closer> edit_;
  std::string file_;
  bool more_ = false, cancelled_ = false, saved_ = false;
};

enum class Compiled { yes, incomplete, wrong };

// Pushes the chunk (as an expression if it is one), or the error message.
Compiled compile(lua_State* L, const std::string& chunk) {
  const std::string expression = "return " + chunk;
  if (luaL_loadbufferx(L, expression.data(), expression.size(), "=stdin", "t") == LUA_OK) return Compiled::yes;
  lua_pop(L, 1);
  const int status = luaL_loadbufferx(L, chunk.data(), chunk.size(), "=stdin", "t");
  if (status == LUA_OK) return Compiled::yes;
  size_t size = 0;
  const char* message = lua_tolstring(L, -1, &size);
  constexpr std::string_view kEnd = "<eof>";
  const bool incomplete =
      status == LUA_ERRSYNTAX && size >= kEnd.size() && std::string_view(message, size).ends_with(kEnd);
  return incomplete ? Compiled::incomplete : Compiled::wrong;
}

void print_error(const Error& error) {
  std::fflush(stdout);
  std::string text = error.what();
  for (const char* p = error.trace().c_str(); *p;) {
    const std::string_view rest(p);
    const size_t size = std::min(rest.find('\n'), rest.size());
    // The line of the console itself says nothing that the message does not.
    if (rest.substr(0, size).find("stdin:") != 0) text += "\n    " + std::string(rest.substr(0, size));
    p += size + (size < rest.size());
  }
  std::fprintf(stderr, "%s\n", text.c_str());
}

// Runs the chunk on top of the stack and prints its results; false if it failed.
bool run(State& state) {
  lua_State* L = state.lua();
  const int top = lua_gettop(L) - 1;
  bool fine = true;
  try {
    const int count = state.call(0, LUA_MULTRET);
    if (count > 0) {
      lua_pushvalue(L, top + 1);
      lua_setglobal(L, "_");
      lua_getglobal(L, "require");
      lua_pushliteral(L, "host.repl");
      state.call(1, 1);
      lua_getfield(L, -1, "show");
      lua_remove(L, -2);
      lua_insert(L, top + 1);
      state.call(count, 1);
      size_t size = 0;
      if (const char* text = lua_tolstring(L, -1, &size)) std::fwrite(text, 1, size, stdout);
      std::fputc('\n', stdout);
    }
  } catch (const Error& error) {
    print_error(error);
    fine = false;
  }
  std::fflush(stdout);
  lua_settop(L, top);
  return fine;
}

// The console's global `help`, loaded when it is first used, unless the script has one of its own.
void set_help(State& state) {
  constexpr std::string_view kChunk =
      "if rawget(_G, 'help') == nil then\n"
      "  local call = {__call = function(_, ...) return require('host.help')(...) end}\n"
      "  function call.__tostring() return tostring(require('host.help')) end\n"
      "  rawset(_G, 'help', setmetatable({}, call))\n"
      "end";
  if (luaL_loadbufferx(state.lua(), kChunk.data(), kChunk.size(), "=help", "t") != LUA_OK) throw pop_error(state.lua());
  state.call(0, 0);
}

}  // namespace

int run_repl(State& state) {
  lua_State* L = state.lua();
  set_help(state);
  const bool terminal = isatty(STDIN_FILENO);
  std::unique_ptr<Input> input;
  if (terminal) input = std::make_unique<TerminalInput>(state);
  else input = std::make_unique<PipedInput>();
  bool fine = true;
  std::string chunk;
  for (;;) {
    const std::optional<std::string> line = input->line(!chunk.empty());
    if (!line || input->cancelled()) {
      if (!line && chunk.empty()) break;
      if (!line && !terminal) {
        compile(L, chunk);
        print_error(pop_error(L));
        return 1;
      }
      chunk.clear();
      continue;
    }
    if (chunk.empty() && line->find_first_not_of(" \t\r") == std::string::npos) continue;
    chunk += (chunk.empty() ? "" : "\n") + *line;
    const Compiled compiled = compile(L, chunk);
    if (compiled == Compiled::incomplete) {
      lua_pop(L, 1);
      continue;
    }
    input->remember(chunk);
    if (compiled == Compiled::yes) {
      fine = run(state) && fine;
    } else {
      print_error(pop_error(L));
      fine = false;
    }
    chunk.clear();
    if (const auto code = state.exit_code()) return *code;
  }
  return fine || terminal ? 0 : 1;
}

}  // namespace trainhost::vm
