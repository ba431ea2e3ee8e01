// What the operating system counts for this process. Any thread; a few file reads.
#pragma once

#include <cstdint>

namespace app {

struct ProcessMemory {
    // -1: the system does not say.
    int64_t resident_bytes = -1;
    int64_t anonymous_bytes = -1;  // of these: not backed by a file
    int64_t file_bytes = -1;       // of these: mapped files, weights among them
};

ProcessMemory process_memory();

}  // namespace app
