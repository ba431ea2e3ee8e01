// Small kernels that show what the execution layer does: right ones with their results, wrong ones
// that must be noticed. Compiled once plainly and once with the access checker.
#pragma once

#include <string>
#include <vector>

namespace tests {

// Result of a right kernel, compared with plain loops: the largest difference. Names are in
// simt_test.cpp.
double layer_difference(const std::string& name);

// A kernel with a planted bug. Returns true where it ran to its end with right results, that is:
// nothing was noticed.
bool bug_goes_unnoticed(const std::string& name);

}  // namespace tests
