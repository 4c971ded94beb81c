// Lines from libedit or from a pipe.
#include "host/vm/repl_input.h"

#include <histedit.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <lua.hpp>
#include <vector>

#include "host/base/file.h"

namespace trainhost::vm {
namespace {

constexpr char kPrompt[] = "> ", kMorePrompt[] = ">> ";
constexpr int kHistoryLines = 5000;

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

std::string history_file(const std::string& name) {
  if (const char* dir = std::getenv("XDG_STATE_HOME"); dir && *dir) return std::string(dir) + "/trainhost/" + name;
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::string(home) + "/.local/state/trainhost/" + name;
  return {};
}

class TerminalInput final : public Input {
 public:
  TerminalInput(State& state, const Prompted& prompted)
      : state_(state), module_(prompted.module), file_(history_file(prompted.history)) {
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
    push_function_of(state_, module_, "complete");
    lua_pushlstring(L, before.data(), before.size());
    state_.call(1, 2);
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
  const char* module_;
  std::unique_ptr<History, Closer> history_;  // outlives the editor
  std::unique_ptr<EditLine, Closer> edit_;
  std::string file_;
  bool more_ = false, cancelled_ = false, saved_ = false;
};

}  // namespace

std::unique_ptr<Input> open_input(State& state, bool terminal, const Prompted& prompted) {
  if (terminal) return std::make_unique<TerminalInput>(state, prompted);
  return std::make_unique<PipedInput>();
}

void push_function_of(State& state, const char* module, const char* name) {
  lua_State* L = state.lua();
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  state.call(1, 1);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

}  // namespace trainhost::vm
