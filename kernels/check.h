// Invariants that stay on in release, and the error of a device that refuses.
// ENSURE is for bugs (a broken invariant, a wrong shape): it throws std::logic_error with the expression, the values
// given and the place. (Catch2 owns the name CHECK.) DENSURE is the same in debug builds only, for inner loops.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace kernels {

// The device cannot do what was asked: out of memory, lost, not supported. The text says what was asked for, what
// there was, and what would help.
class DeviceError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

[[noreturn]] void ensure_failed(const char* expression, const char* file, int line, const std::string& values);

template <typename... Values>
std::string describe(const Values&... values) {
    std::ostringstream out;
    ((out << values), ...);
    return out.str();
}

}  // namespace kernels

#define ENSURE(condition, ...)                                                                       \
    do {                                                                                             \
        if (!(condition)) [[unlikely]] {                                                             \
            ::kernels::ensure_failed(#condition, __FILE__, __LINE__, ::kernels::describe(__VA_ARGS__)); \
        }                                                                                            \
    } while (false)

#ifdef NDEBUG
#    define DENSURE(condition, ...) ((void)0)
#else
#    define DENSURE(condition, ...) ENSURE(condition, __VA_ARGS__)
#endif
