#include "runtime/model/synth.h"

#include "app/cli/commands.h"
#include "app/cli/terminal.h"

namespace app {

int run_synth(const Options& options) {
    runtime::SynthOptions synth;
    synth.preset = options.preset;
    synth.type = options.weight_type;
    synth.seed = options.synth_seed;
    synth.words = options.synth_words;
    ProgressBar bar("writing");
    runtime::write_synthetic_model(options.output, synth, [&bar](int64_t done, int64_t total) {
        bar.update(done, total);
        return true;
    });
    bar.clear();
    std::printf("%s\n", printable(options.output, 4096).c_str());
    return 0;
}

}  // namespace app
