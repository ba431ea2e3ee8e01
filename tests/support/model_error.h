// What a ModelError says: the tests' view of a refusal.
#pragma once

#include <string>

#include "runtime/error.h"

namespace tests {

// The message of the ModelError that `action` throws, or "" if it throws none. Other exceptions
// pass through: they are bugs, whatever the file holds.
template <typename Action>
std::string refusal(const Action& action) {
    try {
        action();
    } catch (const runtime::ModelError& error) {
        return error.what();
    }
    return {};
}

}  // namespace tests
