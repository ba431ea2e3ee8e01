// Nothing but the header: CMake precompiles it only for a library with a file that may use it, which main.cpp may not.
#include "tests/support/catch.h"
