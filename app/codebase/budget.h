// A budget proposes: what could be left out or shortened for a pack to fit, each with the exact
// tokens it would then have. Nothing here acts; a proposal is a set of choices that a person may
// take. Any thread but the main one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/codebase/pack.h"

namespace app::codebase {

struct Proposal {
    std::string text;  // "tests, examples and documentation by name only (212 files)"
    FileChoices choices;
    int64_t tokens = 0;  // of the whole pack then
    bool fits = false;
};

// Cheapest for the answer first; empty where nothing helps. `chosen` are the choices in force.
std::vector<Proposal> propose(const ScanResult& scanned,
                              const FileChoices& chosen,
                              const runtime::Tokenizer& tokenizer,
                              int64_t budget,
                              ScanProgress* progress = nullptr);

// The last line so that lines 1 to it, as an element, have at most `tokens` tokens; 0: not one.
int64_t lines_that_fit(const ScanResult& scanned,
                       const ScannedFile& file,
                       const runtime::Tokenizer& tokenizer,
                       int64_t tokens);

}  // namespace app::codebase
