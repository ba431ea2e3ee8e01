#include "kernels/check.h"

namespace kernels {

void ensure_failed(const char* expression, const char* file, int line, const std::string& values) {
    throw std::logic_error(describe("broken invariant: ", expression, values.empty() ? "" : ": ", values, " (", file, ":", line, ")"));
}

}  // namespace kernels
