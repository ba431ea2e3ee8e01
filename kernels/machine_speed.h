// How fast this machine's cores read memory and multiply, measured: the walls that the speed of a
// model is held against. Takes about half a second. Any thread; the cores should be idle.
#pragma once

namespace kernels {

struct MachineSpeed {
    double read_bytes = 0;     // per second: streaming through memory too large for the caches
    double multiply_adds = 0;  // per second: q8_0 products of 512 rows on data in the caches
};

// threads: 0 = as the CPU backend has them. Uses up to 1 GiB of memory, a quarter of what is free
// at most.
MachineSpeed measure_machine(int threads);

}  // namespace kernels
