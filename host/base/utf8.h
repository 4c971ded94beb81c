// UTF-8, checked by sequence.
#pragma once

#include <cstddef>
#include <string_view>

namespace trainhost {

// The length of the UTF-8 sequence at `at`, 0 if there is none (overlong, cut, a surrogate, past U+10FFFF).
size_t utf8_sequence(std::string_view text, size_t at) noexcept;

}  // namespace trainhost
