// Where a script is: the user's own line, and the frames around it.
#include "host/vm/traceback.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <lua.hpp>
#include <vector>

namespace trainhost::vm {

bool is_stdlib(const lua_Debug& frame) {
  constexpr char kSource[] = "=stdlib/";
  return std::strncmp(frame.source, kSource, sizeof kSource - 1) == 0;
}

namespace {

constexpr int kMostLevels = 120, kOutermost = 20;
constexpr size_t kLongestTurn = 8, kFewestTurns = 4;  // of repeated frames

// "train.lua:12: in function 'f'".
std::string frame_text(const lua_Debug& ar) {
  std::string text = ar.short_src;
  if (ar.currentline > 0) text += ":" + std::to_string(ar.currentline);
  if (*ar.what == 'm') text += ": in the main chunk";
  else if (*ar.what == 'C') text += ": in a native function";
  else if (ar.name && *ar.name != '?')
    text += std::string(": in ") + (*ar.namewhat ? ar.namewhat : "function") + " '" + ar.name + "'";
  else text += ": in function <line " + std::to_string(ar.linedefined) + ">";
  if (ar.istailcall) text += " (tail calls left out)";
  return text;
}

int level_count(lua_State* L) {
  lua_Debug ar;
  int none = 1;  // doubled until no such level, then halved towards the last
  while (lua_getstack(L, none, &ar)) none *= 2;
  int last = none / 2;
  while (none - last > 1) {
    const int middle = last + (none - last) / 2;
    (lua_getstack(L, middle, &ar) ? last : none) = middle;
  }
  return none;
}

// The frames of the levels from `begin` to before `end`; those of the user's scripts unless `full`.
std::vector<std::string> user_frames(lua_State* L, int begin, int end, bool full) {
  std::vector<std::string> frames;
  lua_Debug ar;
  for (int level = begin; level < end && lua_getstack(L, level, &ar); ++level) {
    lua_getinfo(L, "Slnt", &ar);
    if (full || (*ar.what != 'C' && !is_stdlib(ar))) frames.push_back(frame_text(ar));
  }
  return frames;
}

// Frames that repeat, alone or in turns of up to kLongestTurn, stand once with their count.
void fold_repeats(std::vector<std::string>& frames) {
  std::vector<std::string> folded;
  for (size_t i = 0; i < frames.size();) {
    size_t turn = 0, times = 1;
    for (size_t size = 1; size <= kLongestTurn && turn == 0; ++size) {
      size_t equal = 0;
      while (i + size + equal < frames.size() && frames[i + equal] == frames[i + size + equal]) ++equal;
      if (equal / size + 1 < kFewestTurns) continue;
      turn = size;
      times = equal / size + 1;
    }
    if (turn == 0) turn = 1;
    for (size_t k = 0; k < turn; ++k) folded.push_back(std::move(frames[i + k]));
    if (times > 1) {
      const std::string what = turn == 1 ? "this frame" : "these " + std::to_string(turn) + " frames";
      folded.push_back("... " + what + " " + std::to_string(times) + " times");
    }
    i += turn * times;
  }
  frames = std::move(folded);
}

}  // namespace

std::string user_line(lua_State* L) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); ++level) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline > 0 && !is_stdlib(ar)) return std::string(ar.short_src) + ":" + std::to_string(ar.currentline);
  }
  return {};
}

std::string traceback(lua_State* L, int level) {
  const char* wish = std::getenv("TRAINHOST_TRACE");
  const bool full = wish && std::strcmp(wish, "full") == 0;
  const int end = level_count(L);
  const bool deep = end - level > kMostLevels;
  std::vector<std::string> frames = user_frames(L, level, deep ? level + kMostLevels - kOutermost : end, full);
  fold_repeats(frames);
  if (deep) {  // finding a level costs its depth: of a deep recursion the middle is left out
    frames.push_back("... " + std::to_string(end - level - kMostLevels) + " levels left out");
    for (std::string& frame : user_frames(L, end - kOutermost, end, full))
      if (std::find(frames.begin(), frames.end(), frame) == frames.end()) frames.push_back(std::move(frame));
  }
  std::string text;
  for (const std::string& frame : frames) text += (text.empty() ? "" : "\n") + frame;
  return text;
}

}  // namespace trainhost::vm
