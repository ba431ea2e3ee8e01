// keyhole pack: the text that dropping a folder on the window would add.
#include "app/codebase/pack.h"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <memory>

#include "app/cli/commands.h"
#include "app/cli/terminal.h"
#include "app/json/json.h"
#include "app/paths.h"
#include "runtime/error.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"

namespace app {
namespace {

// Tokens are those of the model named, else of the demo model; without either there are no counts.
std::unique_ptr<runtime::Tokenizer> tokenizer_for(const Options& options) {
    std::string path = options.model;
    if (path.empty()) {
        const auto demo = demo_model();
        if (!demo) {
            std::fprintf(stderr, "keyhole: no model named with -m, so nothing is counted\n");
            return nullptr;
        }
        path = demo->string();
    }
    return std::make_unique<runtime::Tokenizer>(
        runtime::vocabulary_of(*runtime::GgufFile::open(path)));
}

Json pack_json(const codebase::Pack& pack) {
    Json files = Json::array();
    for (const auto& file : pack.files) {
        files.push_back({{"path", file.path},
                         {"status", codebase::to_string(file.status)},
                         {"reason", file.reason},
                         {"bytes", file.bytes},
                         {"tokens", file.tokens}});
    }
    return {{"root", pack.root}, {"files", files}, {"tokens", pack.tokens}, {"budget", nullptr}};
}

}  // namespace

int run_pack(const Options& options) {
    const auto tokenizer = tokenizer_for(options);
    const codebase::Pack pack = codebase::pack_folder(options.pack_folder, tokenizer.get());
    std::string out;
    if (options.json) {
        out = to_text(pack_json(pack)) + "\n";
    } else if (options.list) {
        for (const auto& file : pack.files) {
            if (file.status == codebase::FileStatus::full ||
                file.status == codebase::FileStatus::outline) {
                out += file.path + "\n";
            }
        }
    } else {
        out = pack.text;
    }
    if (options.output.empty()) {
        std::fwrite(out.data(), 1, out.size(), stdout);
    } else {
        std::ofstream file(options.output, std::ios::binary | std::ios::trunc);
        file << out;
        file.close();
        if (!file) {
            throw std::runtime_error(options.output + " could not be written");
        }
    }
    std::fprintf(stderr, "%" PRId64 " of %zu files, %zu bytes, %" PRId64 " tokens%s\n",
                 pack.files_taken(), pack.files.size(), pack.text.size(), pack.tokens,
                 pack.note.empty() ? "" : ("; " + pack.note).c_str());
    return 0;
}

}  // namespace app
