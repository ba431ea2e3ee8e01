// Citations: places in files that an answer names ("engine.cpp:118", "src/a.c:10-20"), checked
// against what the model was shown. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/codebase/ledger.h"

namespace app::codebase {

struct Citation {
    size_t begin = 0, end = 0;  // bytes of the text
    std::string path;           // printable, as the snapshot calls it
    int64_t line = 0;           // 0: the file as a whole
    int64_t last_line = 0;      // of a range; else `line`
    bool line_exists = true;    // in what the model was shown
};

// Names of files that were shown: whole, or as an end that only one file has ("a.c" for "src/a.c").
// What was not shown is no citation.
std::vector<Citation> find_citations(std::string_view text, const Snapshot& snapshot);

// Whether the shown content has this line of the file.
bool has_line(const SeenFile& file, int64_t line);

}  // namespace app::codebase
