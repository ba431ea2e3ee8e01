// The commands. Each returns the program's exit status; failures that a person can act on are
// thrown and reported by main in one line.
#pragma once

#include "app/options.h"

namespace app {

int run_serve(const Options& options);
int run_chat(const Options& options);
int run_inspect(const Options& options);
int run_plan(const Options& options);
int run_eval(const Options& options);
int run_bench(const Options& options);
int run_synth(const Options& options);
int run_pack(const Options& options);

}  // namespace app
