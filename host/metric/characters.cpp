// Look-ups in the tables, lower case, and UTF-8.
#include "host/metric/characters.h"

#include <algorithm>

#include "host/base/utf8.h"

namespace trainhost::metric {
namespace {

template <class Row>
const Row* find(std::span<const Row> rows, char32_t c) noexcept {
  const auto at = std::partition_point(rows.begin(), rows.end(), [c](const Row& row) { return row.last < c; });
  return at != rows.end() && at->first <= c ? &*at : nullptr;
}

// The sigma at `at` ends a word: what can be in upper or lower case is before it and not behind, passing over marks.
bool ends_word(std::u32string_view text, size_t at) noexcept {
  const auto ignorable = [](char32_t c) { return find(tables::ignorable, c) != nullptr; };
  size_t before = at, behind = at + 1;
  while (before > 0 && ignorable(text[before - 1])) --before;
  if (before == 0 || !find(tables::cased, text[before - 1])) return false;
  while (behind < text.size() && ignorable(text[behind])) ++behind;
  return behind == text.size() || !find(tables::cased, text[behind]);
}

}  // namespace

bool is_space(char32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_punctuation(char32_t c) noexcept { return find(tables::punctuation, c); }
bool is_symbol(char32_t c) noexcept { return find(tables::symbols, c); }
bool is_number(char32_t c) noexcept { return find(tables::numbers, c); }

std::u32string lower(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == 0x130) {  // the one character whose lower case are two
      result += U"i\u0307";
    } else if (c == 0x3A3) {
      result += ends_word(text, i) ? U'\u03C2' : U'\u03C3';
    } else {
      const auto* run = find(tables::lower, c);
      const bool has = run && (c - run->first) % static_cast<char32_t>(run->step) == 0;
      result += has ? static_cast<char32_t>(static_cast<int32_t>(c) + run->distance) : c;
    }
  }
  return result;
}

std::u32string decode(std::string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const size_t length = utf8_sequence(text, i);
    if (length <= 1) {
      result += length == 1 ? first : char32_t{0xDC00} + first;
      ++i;
      continue;
    }
    char32_t c = first & (0xFFu >> (length + 1));
    for (size_t k = 1; k < length; ++k) c = c << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3F);
    result += c;
    i += length;
  }
  return result;
}

std::string encode(std::u32string_view text) {
  std::string result;
  result.reserve(text.size());
  const auto byte = [&](char32_t bits) { result += static_cast<char>(bits); };
  for (const char32_t c : text) {
    if (c < 0x80) {
      byte(c);
    } else if (c >= 0xDC80 && c <= 0xDCFF) {
      byte(c - 0xDC00);
    } else if (c < 0x800) {
      byte(0xC0 | c >> 6);
      byte(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      byte(0xE0 | c >> 12);
      byte(0x80 | (c >> 6 & 0x3F));
      byte(0x80 | (c & 0x3F));
    } else {
      byte(0xF0 | c >> 18);
      byte(0x80 | (c >> 12 & 0x3F));
      byte(0x80 | (c >> 6 & 0x3F));
      byte(0x80 | (c & 0x3F));
    }
  }
  return result;
}

}  // namespace trainhost::metric
