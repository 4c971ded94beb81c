// native.json: Lua values as JSON text and back; Python's json reads and writes the same (NaN and Infinity too).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bindings/guard.h"
#include "bindings/size.h"
#include "host/base/utf8.h"

namespace trainhost::bindings {
namespace {

constexpr int kMostDepth = 200;
const char kArrayMetatable = 0;  // its address is the registry key

// --- Lua to text

enum class NaN { literal, null, error };

class Encoder {
 public:
  Encoder(lua_State* L, int indent, NaN nan) : L_(L), indent_(indent), nan_(nan) {}

  // The value at `index`; `path` names it in an error.
  void value(int index, const std::string& path, int depth) {
    switch (lua_type(L_, index)) {
      case LUA_TNIL:
        text_ += "null";
        return;
      case LUA_TBOOLEAN:
        text_ += lua_toboolean(L_, index) ? "true" : "false";
        return;
      case LUA_TNUMBER:
        return number(index, path);
      case LUA_TSTRING: {
        size_t size = 0;
        const char* s = lua_tolstring(L_, index, &size);
        return string({s, size});
      }
      case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L_, index)) {
          text_ += "null";
          return;
        }
        break;
      case LUA_TTABLE:
        if (depth >= kMostDepth)
          throw_usage("json.encode: tables nested deeper than 200" + at(path), "does the table contain itself?");
        luaL_checkstack(L_, 6, "json.encode");
        return is_array(index, path) ? array(index, path, depth) : object(index, path, depth);
      default:
        break;
    }
    throw_usage("json.encode: cannot write a " + describe(L_, index) + at(path));
  }

  const std::string& text() const { return text_; }

 private:
  static std::string at(const std::string& path) { return path.empty() ? "" : " at " + path; }

  void number(int index, const std::string& path) {
    char buffer[40];
    if (lua_isinteger(L_, index)) {
      const auto end = std::to_chars(buffer, buffer + sizeof buffer, static_cast<int64_t>(lua_tointeger(L_, index)));
      text_.append(buffer, end.ptr);
      return;
    }
    const double x = lua_tonumber(L_, index);
    if (!std::isfinite(x)) {
      if (nan_ == NaN::error) throw_usage("json.encode: " + describe(L_, index) + at(path) + " is not finite");
      if (nan_ == NaN::null) text_ += "null";
      else text_ += std::isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity";
      return;
    }
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, x);
    const std::string_view digits(buffer, static_cast<size_t>(end.ptr - buffer));
    text_ += digits;
    if (digits.find_first_of(".e") == std::string_view::npos) text_ += ".0";  // stays a float when read back
  }

  void string(std::string_view s) {
    text_ += '"';
    for (size_t i = 0; i < s.size();) {
      const auto c = static_cast<unsigned char>(s[i]);
      if (c == '"' || c == '\\') (text_ += '\\') += s[i++];
      else if (c >= 0x80) i += copy_utf8(s.substr(i));
      else if (c >= 0x20 && c != 0x7f) text_ += s[i++];
      else {
        static constexpr char kShort[] = "btn\0fr";
        char buffer[8];
        if (c >= 8 && c <= 13 && kShort[c - 8]) std::snprintf(buffer, sizeof buffer, "\\%c", kShort[c - 8]);
        else std::snprintf(buffer, sizeof buffer, "\\u%04x", c);
        text_ += buffer;
        ++i;
      }
    }
    text_ += '"';
  }

  // JSON is UTF-8: a byte that is not becomes U+FFFD. Returns how many bytes were read.
  size_t copy_utf8(std::string_view s) {
    const size_t size = utf8_sequence(s, 0);
    if (size == 0) {
      text_ += "\xef\xbf\xbd";
      return 1;
    }
    text_ += s.substr(0, size);
    return size;
  }

  bool is_array(int index, const std::string& path) {
    unwrap_size(L_, index);
    if (lua_getmetatable(L_, index)) {
      lua_rawgetp(L_, LUA_REGISTRYINDEX, &kArrayMetatable);
      const bool marked = lua_rawequal(L_, -1, -2);
      lua_pop(L_, 2);
      if (marked) return true;
    }
    size_t names = 0, numbers = 0;
    for (lua_pushnil(L_); lua_next(L_, index); lua_pop(L_, 1)) {
      if (lua_type(L_, -2) == LUA_TSTRING) ++names;
      else if (lua_isinteger(L_, -2)) ++numbers;
      else throw_usage("json.encode: a key" + at(path) + " is " + describe(L_, -2) + ", expected a string or 1..n");
    }
    if (numbers == 0) return false;
    if (names > 0 || numbers != lua_rawlen(L_, index))
      throw_usage("json.encode: the table" + at(path) + " is neither a list (keys 1..n) nor an object (keys strings)");
    return true;
  }

  void line(int depth) {
    if (indent_ == 0) return;
    text_ += '\n';
    text_.append(static_cast<size_t>(indent_ * depth), ' ');
  }

  void array(int index, const std::string& path, int depth) {
    const auto count = static_cast<lua_Integer>(lua_rawlen(L_, index));
    text_ += '[';
    for (lua_Integer i = 1; i <= count; ++i) {
      if (i > 1) text_ += indent_ ? "," : ", ";
      line(depth + 1);
      lua_rawgeti(L_, index, i);
      value(lua_gettop(L_), path + "[" + std::to_string(i) + "]", depth + 1);
      lua_pop(L_, 1);
    }
    if (count) line(depth);
    text_ += ']';
  }

  void object(int index, const std::string& path, int depth) {
    std::vector<std::string_view> keys;
    for (lua_pushnil(L_); lua_next(L_, index); lua_pop(L_, 1)) {
      size_t size = 0;
      const char* key = lua_tolstring(L_, -2, &size);
      keys.emplace_back(key, size);
    }
    std::sort(keys.begin(), keys.end());
    text_ += '{';
    bool first = true;
    for (const std::string_view key : keys) {
      if (!first) text_ += indent_ ? "," : ", ";
      first = false;
      line(depth + 1);
      string(key);
      text_ += ": ";
      lua_pushlstring(L_, key.data(), key.size());
      lua_rawget(L_, index);
      value(lua_gettop(L_), path.empty() ? std::string(key) : path + "." + std::string(key), depth + 1);
      lua_pop(L_, 1);
    }
    if (!keys.empty()) line(depth);
    text_ += '}';
  }

  lua_State* L_;
  int indent_;
  NaN nan_;
  std::string text_;
};

// --- text to Lua

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
    if (depth >= kMostDepth) throw_io("json.decode: nested deeper than 200");
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
    lua_rawgetp(L_, LUA_REGISTRYINDEX, &kArrayMetatable);
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

// --- the module

int encode(lua_State* L) {
  int indent = 0;
  NaN nan = NaN::literal;
  if (!lua_isnoneornil(L, 2)) {
    if (!lua_istable(L, 2)) throw_argument(L, "json.encode", "options", "a table {indent = n, nan = how}", 2);
    if (lua_getfield(L, 2, "indent") != LUA_TNIL) indent = static_cast<int>(lua_tointeger(L, -1));
    if (indent < 0 || indent > 16) throw_argument(L, "json.encode", "indent", "an integer from 0 to 16", -1);
    if (lua_getfield(L, 2, "nan") != LUA_TNIL) {
      const std::string how = lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
      if (how == "null") nan = NaN::null;
      else if (how == "error") nan = NaN::error;
      else if (how != "literal") throw_argument(L, "json.encode", "nan", "\"literal\", \"null\" or \"error\"", -1);
    }
  }
  lua_settop(L, 1);
  Encoder encoder(L, indent, nan);
  encoder.value(1, "", 0);
  lua_pushlstring(L, encoder.text().data(), encoder.text().size());
  return 1;
}

int decode(lua_State* L) {
  if (lua_type(L, 1) != LUA_TSTRING) throw_argument(L, "json.decode", "text", "a string", 1);
  size_t size = 0;
  const char* text = lua_tolstring(L, 1, &size);
  Decoder(L, {text, size}).whole();
  return 1;
}

int mark_array(lua_State* L) {
  if (lua_isnoneornil(L, 1)) lua_newtable(L);
  else if (!lua_istable(L, 1)) throw_argument(L, "json.array", "list", "a table", 1);
  else lua_pushvalue(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kArrayMetatable);
  lua_setmetatable(L, -2);
  return 1;
}

constexpr Row kRows[] = {
    {"encode", guarded<encode>,
     "Writes a value as JSON: tables with keys 1..n as lists, with string keys as objects in sorted order, `{}` as an\n"
     "object unless json.array marks it.\n@param value any\n@param options {indent: integer, nan: string}|nil indent\n"
     "spaces a level, 0 for one line; nan: \"literal\" (NaN, Infinity, as Python does), \"null\" or \"error\"\n"
     "@return string"},
    {"decode", guarded<decode>,
     "Reads JSON: null is json.null, whole numbers are integers, lists are marked as json.array does.\n"
     "@param text string\n@return any"},
    {"array", guarded<mark_array>,
     "Marks a table as a list, so that an empty one is written `[]`.\n@param list table|nil\n@return table"},
    {nullptr, nullptr, nullptr},
};

}  // namespace

int open_json(lua_State* L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kArrayMetatable);
  lua_newtable(L);
  set_functions(L, kRows);
  lua_pushlightuserdata(L, nullptr);
  lua_setfield(L, -2, "null");
  return 1;
}

}  // namespace trainhost::bindings
