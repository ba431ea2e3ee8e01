// How kernels are run on the CPU, the planted faults and the counters: what a test sets and reads
// between launches.
#include <algorithm>
#include <atomic>

#include "kernels/simt/runtime.h"

namespace simt::cpu {
namespace {

Mode current;
Site planted;
std::atomic<bool> recording{false};
std::mutex sites_mutex;
std::vector<Site> sites;  // guarded by sites_mutex
std::mutex totals_mutex;
Counters totals;  // guarded by totals_mutex
thread_local Counters mine;

bool same_place(const Site& site, Loc loc) {
    return site.line == loc.line() && site.file == loc.file_name();
}

}  // namespace

void set_mode(const Mode& new_mode) {
    current = new_mode;
}
const Mode& mode() {
    return current;
}

void plant(const Site& site) {
    planted = site;
}

void record_sites(bool on) {
    recording = on;
    if (on) {
        const std::lock_guard lock(sites_mutex);
        sites.clear();
    }
}

std::vector<Site> recorded_sites() {
    const std::lock_guard lock(sites_mutex);
    return sites;
}

bool faulty(Fault fault, Loc loc) {
    if (recording) [[unlikely]] {
        const std::lock_guard lock(sites_mutex);
        const Site here{fault, loc.file_name(), loc.line()};
        if (std::find(sites.begin(), sites.end(), here) == sites.end()) {
            sites.push_back(here);
        }
    }
    return planted.fault == fault && same_place(planted, loc);
}

void count(uint64_t Counters::*counter, uint64_t n) {
    mine.*counter += n;
}

void hand_in_counters() {
    const std::lock_guard lock(totals_mutex);
    for (const auto counter :
         {&Counters::barriers, &Counters::collectives, &Counters::mma, &Counters::ldmatrix_matrices,
          &Counters::ldmatrix_wavefronts, &Counters::async_bytes, &Counters::launches,
          &Counters::global_requests, &Counters::global_sectors, &Counters::shared_requests,
          &Counters::shared_wavefronts}) {
        totals.*counter += mine.*counter;
    }
    mine = {};
}

void reset_counters() {
    const std::lock_guard lock(totals_mutex);
    totals = {};
}

Counters counters() {
    const std::lock_guard lock(totals_mutex);
    return totals;
}
bool checking() {
    return hooks != nullptr;
}

}  // namespace simt::cpu
