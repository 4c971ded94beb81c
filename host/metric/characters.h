// What Unicode says about characters, as Python's str and its `regex` do.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace trainhost::metric {

bool is_space(char32_t c) noexcept;  // what str.split() splits at
bool is_punctuation(char32_t c) noexcept;
bool is_symbol(char32_t c) noexcept;
bool is_number(char32_t c) noexcept;

// str.lower(): the sigma at the end of a word has a form of its own.
std::u32string lower(std::u32string_view text);

// The characters of a text; each byte that belongs to no sequence of UTF-8 is a lone one, U+DC80 to U+DCFF.
std::u32string decode(std::string_view text);
std::string encode(std::u32string_view text);

namespace tables {

struct Range {
  char32_t first, last;
};
// Every step-th character, and how far away its lower case is.
struct LowerRun {
  char32_t first, last;
  int step, distance;
};

extern const std::span<const Range> punctuation, symbols, numbers, cased, ignorable;
extern const std::span<const LowerRun> lower;

}  // namespace tables
}  // namespace trainhost::metric
