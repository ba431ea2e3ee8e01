// Fonts of this machine by the names people know: which families there are, and the file of a face.
// Asks fontconfig, which reads its cache: not for the main thread while frames are drawn. Any
// thread.
#pragma once

#include <string>
#include <vector>

namespace app::window {

struct FontFamilies {
    std::vector<std::string> all, mono;  // sorted
};
FontFamilies font_families();

struct FontFile {
    std::string path;  // empty: there is no such family, or it cannot be drawn
    int index = 0;     // of the face in a collection
};
FontFile font_file(const std::string& family, bool bold, bool italic);

}  // namespace app::window
