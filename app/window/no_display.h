// Why no window can be opened here: no display, or no OpenGL 3.
#pragma once

#include <stdexcept>

namespace app {

class NoDisplay : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace app
