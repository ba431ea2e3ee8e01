// Catch2 for all tests: one include for version 2 (Debian 12) and version 3 (Debian 13).
// Tests use TEST_CASE, SECTION, REQUIRE, CHECK, INFO, CAPTURE, REQUIRE_THROWS_AS / _WITH, Contains,
// GENERATE-free loops and no SKIP, which only version 3 has.
#pragma once

#ifdef KEYHOLE_CATCH_V3
#    include <catch2/catch_all.hpp>
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
#else
#    include <catch2/catch.hpp>
inline auto ContainsSubstring(const std::string& text) {
    return Catch::Matchers::Contains(text);
}
#endif
