// The order of a pack: definitions before uses, from what files include and import; files that the
// person put in focus last, where a model reads best. A pure function of paths and contents - never
// of times, of the walk or of the order of clicks - because another order is another prefix for the
// cache. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace app::codebase {

// What a file names of other files, as candidates for paths without endings ("engine/sequence"), a
// line each; bounded. Reads the include and import lines of C, C++, Python, JavaScript, TypeScript,
// Rust, Go, Java and their relatives.
std::string imports_of(std::string_view path, std::string_view text);

struct OrderedFile {
    std::string_view path;
    std::string_view imports;  // as imports_of() gives them
    bool focus = false;
};
// Indexes into `files`. Circles are broken at the file whose path comes first.
std::vector<size_t> pack_order(const std::vector<OrderedFile>& files);

}  // namespace app::codebase
