// JSON text as Lua values, as Python's json reads it (NaN and Infinity too).
#include <charconv>
#include <cstdint>
#include <cstring>

#include "bindings/guard.h"
#include "bindings/json.h"

namespace trainhost::bindings {
namespace {

class Decoder {
 public:
  Decoder(lua_State* L, std::string_view text) : L_(L), begin_(text.data()), p_(begin_), end_(p_ + text.size()) {}

  // Pushes the one value that the text holds.
  void whole() {
    value(0);
    space();
    if (p_ != end_) fail("the end of the text");
  }

 private:
  [[noreturn]] void fail(const char* expected) {
    const std::string got = p_ == end_ ? "the end of the text" : std::string("'") + *p_ + "'";
    throw_io("json.decode: at byte " + std::to_string(p_ - begin_ + 1) + ": expected " + expected + ", got " + got);
  }
  void space() {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\t' || *p_ == '\n' || *p_ == '\r')) ++p_;
  }
  bool take(std::string_view word) {
    if (static_cast<size_t>(end_ - p_) < word.size() || std::memcmp(p_, word.data(), word.size()) != 0) return false;
    p_ += word.size();
    return true;
  }

  void value(int depth) {
    if (depth >= kMostJsonDepth) throw_io("json.decode: nested deeper than 200");
    luaL_checkstack(L_, 6, "json.decode");
    space();
    if (p_ == end_) fail("a value");
    if (*p_ == '{') return object(depth);
    if (*p_ == '[') return array(depth);
    if (*p_ == '"') {
      const std::string s = string();
      lua_pushlstring(L_, s.data(), s.size());
    } else if (take("true")) lua_pushboolean(L_, 1);
    else if (take("false")) lua_pushboolean(L_, 0);
    else if (take("null")) lua_pushlightuserdata(L_, nullptr);
    else if (take("NaN")) lua_pushnumber(L_, NAN);
    else if (take("Infinity")) lua_pushnumber(L_, HUGE_VAL);
    else if (take("-Infinity")) lua_pushnumber(L_, -HUGE_VAL);
    else number();
  }

  void number() {
    const char* start = p_;
    const char* q = p_;
    const auto digits = [&] {
      const char* first = q;
      while (q != end_ && *q >= '0' && *q <= '9') ++q;
      return q != first;
    };
    bool whole = true;
    if (q != end_ && *q == '-') ++q;
    const bool zero = q != end_ && *q == '0';
    if (zero) ++q;
    else if (!digits()) fail("a value");
    if (q != end_ && *q == '.') {
      whole = false;
      ++q;
      if (!digits()) fail("a number");
    }
    if (q != end_ && (*q == 'e' || *q == 'E')) {
      whole = false;
      ++q;
      if (q != end_ && (*q == '+' || *q == '-')) ++q;
      if (!digits()) fail("a number");
    }
    p_ = q;
    int64_t integer = 0;
    if (whole && std::from_chars(start, q, integer).ec == std::errc()) return lua_pushinteger(L_, integer);
    double x = 0;
    if (std::from_chars(start, q, x).ec != std::errc()) x = std::strtod(std::string(start, q).c_str(), nullptr);
    lua_pushnumber(L_, x);
  }

  unsigned hex4() {
    unsigned code = 0;
    if (end_ - p_ < 4) fail("four hexadecimal digits");
    const auto read = std::from_chars(p_, p_ + 4, code, 16);
    if (read.ptr != p_ + 4) fail("four hexadecimal digits");
    p_ += 4;
    return code;
  }

  void escape(std::string& s) {
    static constexpr char kFrom[] = "\"\\/bfnrt", kTo[] = "\"\\/\b\f\n\r\t";
    if (p_ == end_) fail("an escape");
    if (*p_ != 'u') {
      const char* found = std::strchr(kFrom, *p_);
      if (!found || !*found) fail("an escape");
      s += kTo[found - kFrom];
      ++p_;
      return;
    }
    ++p_;
    unsigned code = hex4();
    if (code >= 0xd800 && code < 0xdc00 && take("\\u")) {
      const unsigned low = hex4();
      code = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
    }
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    if (code < 0x80) s += static_cast<char>(code);
    else if (code < 0x800) s.append({byte(0xc0 | code >> 6), byte(0x80 | (code & 63))});
    else if (code < 0x10000)
      s.append({byte(0xe0 | code >> 12), byte(0x80 | (code >> 6 & 63)), byte(0x80 | (code & 63))});
    else
      s.append({byte(0xf0 | code >> 18), byte(0x80 | (code >> 12 & 63)), byte(0x80 | (code >> 6 & 63)),
                byte(0x80 | (code & 63))});
  }
  static char byte(unsigned code) { return static_cast<char>(code); }

  std::string string() {
    std::string s;
    ++p_;
    for (;;) {
      const char* plain = p_;
      while (p_ != end_ && *p_ != '"' && *p_ != '\\' && static_cast<unsigned char>(*p_) >= 0x20) ++p_;
      s.append(plain, p_);
      if (p_ == end_ || static_cast<unsigned char>(*p_) < 0x20) fail("'\"'");
      if (*p_++ == '"') return s;
      escape(s);
    }
  }

  void array(int depth) {
    ++p_;
    lua_newtable(L_);
    push_list_mark(L_);
    lua_setmetatable(L_, -2);
    space();
    if (take("]")) return;
    for (lua_Integer i = 1;; ++i) {
      value(depth + 1);
      lua_rawseti(L_, -2, i);
      space();
      if (take("]")) return;
      if (!take(",")) fail("',' or ']'");
    }
  }

  void object(int depth) {
    ++p_;
    lua_newtable(L_);
    space();
    if (take("}")) return;
    for (;;) {
      space();
      if (p_ == end_ || *p_ != '"') fail("a key in quotes");
      const std::string key = string();
      space();
      if (!take(":")) fail("':'");
      lua_pushlstring(L_, key.data(), key.size());
      value(depth + 1);
      lua_rawset(L_, -3);
      space();
      if (take("}")) return;
      if (!take(",")) fail("',' or '}'");
    }
  }

  lua_State* L_;
  const char *begin_, *p_, *end_;
};

}  // namespace

void decode_json(lua_State* L, std::string_view text) { Decoder(L, text).whole(); }

}  // namespace trainhost::bindings
