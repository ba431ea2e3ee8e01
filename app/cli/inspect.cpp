// keyhole inspect: what a model file says and what Keyhole makes of it. Reads no tensor data.
#include "runtime/model/inspect.h"

#include <cstdio>

#include "app/cli/commands.h"
#include "runtime/error.h"

namespace app {

int run_inspect(const Options& options) {
    const auto file = runtime::GgufFile::open(options.model);
    const runtime::InspectReport report = runtime::inspect(*file);
    std::fputs(runtime::to_text(report).c_str(), stdout);
    // The report is the result; a file that cannot be used is nevertheless a failure for whoever
    // asks the exit status.
    if (!report.usable()) {
        std::fflush(stdout);
        throw runtime::ModelError("this model cannot be used: " + report.problems.front());
    }
    return 0;
}

}  // namespace app
