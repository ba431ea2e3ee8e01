// Whether this build has the address sanitizer: everything takes several times as long, and what it
// looks for shows in small shapes too.
#pragma once

namespace tests {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace tests
