// What the machine gives this process: processor cores and memory, the limits of a container
// included.
#pragma once

#include <cstdint>

namespace kernels::cpu {

// Physical cores in the process's affinity mask, not more than the processor time its cgroup
// grants; at least 1.
int physical_cores();

struct SystemMemory {
    int64_t total_bytes = 0;
    int64_t free_bytes = 0;  // available without swapping
    int64_t swap_bytes = 0;  // free swap space
};
// Read anew at each call: a few small files of /proc and the cgroup.
SystemMemory system_memory();

}  // namespace kernels::cpu
