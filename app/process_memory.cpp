#include "app/process_memory.h"

#include <fstream>
#include <sstream>
#include <string>

namespace app {

ProcessMemory process_memory() {
    ProcessMemory memory;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        std::istringstream words(line);
        std::string key;
        int64_t kib = 0;
        if (!(words >> key >> kib)) {
            continue;
        }
        if (key == "VmRSS:") {
            memory.resident_bytes = kib * 1024;
        } else if (key == "RssAnon:") {
            memory.anonymous_bytes = kib * 1024;
        } else if (key == "RssFile:") {
            memory.file_bytes = kib * 1024;
        }
    }
    return memory;
}

}  // namespace app
