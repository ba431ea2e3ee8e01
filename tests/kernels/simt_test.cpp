// The execution layer itself: words and fragments mean what CUDA says, and every planted bug is
// noticed, in each schedule that promises it. The same file tests the plain build and the one with
// the access checker.
#include "kernels/simt/simt.h"

#include "tests/kernels/simt_cases.h"
#include "tests/support/catch.h"
#include "tests/support/child.h"
#include "tests/support/simt_modes.h"

using simt::cpu::Copies;
using simt::cpu::Mode;
using simt::cpu::Schedule;

TEST_CASE("simt: words, fragments and copies mean what CUDA says, in every schedule") {
    for (const Mode& mode : tests::all_modes()) {
        const tests::WithMode with(mode);
        INFO(tests::name(mode));
        for (const char* name : {"mma f16", "mma bf16", "ldmatrix f16", "ldmatrix transposed f16",
                                 "ldmatrix transposed bf16"}) {
            INFO(name);
            CHECK(tests::layer_difference(name) <= 4e-6);  // sums of 16 products of size 1 in float
        }
        for (const char* name : {"mma int8", "words", "cp.async", "cp.async of words",
                                 "victim without a bug", "warp tree", "early start"}) {
            INFO(name);
            CHECK(tests::layer_difference(name) == 0);
        }
    }
}

namespace {

struct PlantedBug {
    const char* name;
    bool plainly;  // noticed without the checker in at least one mode: a report, or a wrong result
    const char* message;  // of the checker build where it reports; empty: the result is wrong
};

// What the checker alone can see: in one OS thread the values come out right in every order that
// was tried.
const PlantedBug kBugs[] = {
    {"no barrier", true, "uninitialised shared memory"},
    {"write after read", true, "race ("},
    {"out of bounds, shared", false, "out of bounds of shared memory"},
    {"out of bounds, global", true, "out of bounds of device memory"},
    {"barrier by some", true, "__syncthreads"},
    {"shuffle in a branch", true, "__shfl_xor_sync"},
    {"two lines of shuffle", true, "divergent warp"},
    {"read before the wait", true, "before the asynchronous copy was waited for"},
    {"wait without a barrier", true, "race"},
    {"copy never waited for", true, "cp.async"},
    {"tail not filled", true, ""},
    {"write during a copy", true, "write over an asynchronous copy in flight"},
    {"two writers", true, "race"},
    {"misaligned copy", true, "not aligned to 16"},
    {"no __syncwarp", true, "race"},
    {"uninitialised", false, "uninitialised shared memory"},
    {"shuffle is no barrier", false, "race"},
    {"barrier after exit", true, "have left the kernel"},
    {"deadlock", true, "deadlock"},
    {"early without a wait", true, "16 of 32 threads of a block never waited"},
    {"early read", false, "reads what an earlier launch wrote before it waited"},
    {"early copy", false, "reads what an earlier launch wrote before it waited"},
    {"early write", false, "writes device memory before it waited"},
    {"too much shared", true, "the device's limit is 101376"},
    {"static beside dynamic shared", true, "the limit is 49152"},
    {"tall grid", true, "a grid ends at 2147483647 x 65535 x 65535"},
    {"large block", true, "bad shape: 1025 threads"},
    {"no blocks", true, "bad shape"},
#if !defined(__SANITIZE_ADDRESS__)
    {"deep stack", true, "stack overflow"},
#endif
};

}  // namespace

TEST_CASE("simt: every planted bug is noticed") {
    for (const PlantedBug& bug : kBugs) {
        INFO(bug.name);
        int noticed = 0;
        std::string said;
        // The checker's verdict hangs on no schedule: three that differ most. (A report looks up
        // source lines: slow.)
        std::vector<Mode> modes = tests::all_modes();
        if (simt::cpu::checking()) {
            modes = {modes.at(0), modes.at(5), modes.at(7)};
        }
        for (const Mode& mode : modes) {
            const tests::ChildOutcome outcome = tests::in_child([&] {
                const tests::WithMode with(mode);
                if (!tests::bug_goes_unnoticed(bug.name)) {
                    throw std::runtime_error("wrong result");
                }
            });
            if (outcome.status != 0) {
                noticed++;
                said += outcome.errors;
            }
        }
        if (simt::cpu::checking()) {
            CHECK(noticed == static_cast<int>(modes.size()));
            CHECK_THAT(said,
                       ContainsSubstring(*bug.message != '\0' ? bug.message : "wrong result"));
        } else if (bug.plainly) {
            CHECK(noticed > 0);
        }
    }
}

TEST_CASE("simt: counters count collectives, conflicts and sectors") {
    simt::cpu::reset_counters();
    Mode mode;
    mode.count_traffic = true;
    const tests::WithMode with(mode);
    tests::layer_difference("ldmatrix f16");
    const simt::cpu::Counters c = simt::cpu::counters();
    CHECK(c.launches == 1);
    CHECK(c.mma == 1);
    CHECK(c.collectives == 4);  // __syncwarp, two ldmatrix, mma
    CHECK(c.ldmatrix_matrices == 6);
    CHECK(c.ldmatrix_wavefronts == 6);  // rows 48 bytes apart: no conflicts
    if (simt::cpu::checking()) {
        CHECK(c.global_requests > 0);
        CHECK(c.global_sectors >= c.global_requests);
        CHECK(c.shared_wavefronts >= c.shared_requests);
    }
}
