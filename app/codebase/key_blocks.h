// Private keys that are written as blocks of lines: between BEGIN and END (RSA, OpenSSH, PGP), and
// PuTTY's. Pure, any thread.
#pragma once

#include <string_view>
#include <vector>

#include "app/codebase/secrets.h"

namespace app::codebase {

// The bodies alone, in no order.
std::vector<Secret> find_key_blocks(std::string_view text);

}  // namespace app::codebase
