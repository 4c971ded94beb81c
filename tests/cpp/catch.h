// The one include point of Catch2, version 2 (Debian 12, Ubuntu 22.04) or 3: tests use what both have.
#ifndef TRAINHOST_TESTS_CPP_CATCH_H  // not `pragma once`: it does not hold across the precompiled header
#define TRAINHOST_TESTS_CPP_CATCH_H

#if __has_include(<c10/util/Logging.h>)
// It defines CHECK as well: here, before Catch2, so that Catch2's stands whatever a test includes later.
#include <c10/util/Logging.h>
#undef CHECK
#endif

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <string>

// Matches a string that holds `text`: CHECK_THAT(message, Holds("Expected")).
inline auto Holds(const std::string& text) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(text);
#else
  return Catch::Matchers::Contains(text);
#endif
}

#endif  // TRAINHOST_TESTS_CPP_CATCH_H
