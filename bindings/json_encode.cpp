// Lua values as JSON text, as Python's json writes them (NaN and Infinity too).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bindings/guard.h"
#include "bindings/json.h"
#include "bindings/size.h"
#include "host/base/utf8.h"

namespace trainhost::bindings {
namespace {

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
        if (depth >= kMostJsonDepth)
          throw_usage("json.encode: tables nested deeper than 200" + at(path), "does the table contain itself?");
        luaL_checkstack(L_, 6, "json.encode");
        return is_array(index, path) ? array(index, path, depth) : object(index, path, depth);
      default:
        break;
    }
    throw_usage("json.encode: cannot write a " + describe(L_, index) + at(path));
  }

  std::string text() && { return std::move(text_); }

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
      push_list_mark(L_);
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

}  // namespace

std::string encode_json(lua_State* L, int index, int indent, NaN nan) {
  Encoder encoder(L, indent, nan);
  encoder.value(index, "", 0);
  return std::move(encoder).text();
}

}  // namespace trainhost::bindings
