#include "kernels/cpu/system.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sched.h>

namespace kernels::cpu {
namespace {

std::optional<int64_t> read_number(const std::string& path) {
    std::ifstream file(path);
    int64_t value = 0;
    if (file >> value) {  // "max", an empty or an absent file: no number
        return value;
    }
    return std::nullopt;
}

// Value of "key: 123 kB" or "key 123" in a file of such lines, unscaled.
std::optional<int64_t> read_entry(const std::string& path, const std::string& key) {
    std::ifstream file(path);
    std::string word;
    while (file >> word) {
        if (word == key) {
            int64_t value = 0;
            if (file >> value) {
                return value;
            }
            return std::nullopt;
        }
        file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    return std::nullopt;
}

struct Cgroup {
    std::vector<std::string>
        unified;  // folders of version 2, from the process's group up to the root
    std::vector<std::string> memory;  // folders of version 1's memory controller
};

Cgroup find_cgroup() {
    Cgroup cgroup;
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) {
            continue;
        }
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const bool memory = (',' + controllers + ',').find(",memory,") != std::string::npos;
        if (!controllers.empty() && !memory) {
            continue;
        }
        const std::string root = memory ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
        std::string path = line.substr(second + 1);
        std::vector<std::string>& folders = memory ? cgroup.memory : cgroup.unified;
        while (path.size() > 1) {
            folders.push_back(root + path);
            path.resize(path.rfind('/'));
        }
        folders.push_back(root);
    }
    return cgroup;
}

}  // namespace

int physical_cores() {
    std::set<std::pair<int64_t, int64_t>> cores;
    int allowed = 0;
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &mask)) {
                continue;
            }
            allowed++;
            const std::string folder =
                "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
            const auto core = read_number(folder + "core_id");
            const auto package = read_number(folder + "physical_package_id");
            if (core) {
                cores.emplace(package.value_or(0), *core);
            } else {
                cores.emplace(-1, cpu);
            }
        }
    }
    int64_t count = !cores.empty()
                        ? static_cast<int64_t>(cores.size())
                        : std::max<int64_t>(allowed, std::thread::hardware_concurrency());
    for (const std::string& folder : find_cgroup().unified) {
        std::ifstream file(folder + "/cpu.max");
        int64_t quota = 0, period = 0;
        if (file >> quota >> period && period > 0) {
            count = std::min(count, quota / period);
        }
    }
    return static_cast<int>(std::clamp<int64_t>(count, 1, 256));
}

SystemMemory system_memory() {
    constexpr const char* kMeminfo = "/proc/meminfo";
    SystemMemory memory;
    memory.total_bytes = read_entry(kMeminfo, "MemTotal:").value_or(0) * 1024;
    memory.free_bytes = read_entry(kMeminfo, "MemAvailable:").value_or(0) * 1024;
    memory.swap_bytes = read_entry(kMeminfo, "SwapFree:").value_or(0) * 1024;

    // File pages in the group's count are given back when memory is asked for: they are free here.
    const auto limit = [&](const std::string& folder, const char* max, const char* used,
                           const char* cached) {
        const auto bytes = read_number(folder + max);
        if (!bytes || *bytes <= 0 || *bytes >= memory.total_bytes) {
            return;
        }
        memory.total_bytes = *bytes;
        const int64_t in_use = read_number(folder + used).value_or(0) -
                               read_entry(folder + "/memory.stat", cached).value_or(0);
        memory.free_bytes = std::min(memory.free_bytes, std::max<int64_t>(*bytes - in_use, 0));
        memory.swap_bytes = 0;
    };
    const Cgroup cgroup = find_cgroup();
    for (const std::string& folder : cgroup.unified) {
        limit(folder, "/memory.max", "/memory.current", "inactive_file");
    }
    for (const std::string& folder : cgroup.memory) {
        limit(folder, "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file");
    }
    return memory;
}

}  // namespace kernels::cpu
