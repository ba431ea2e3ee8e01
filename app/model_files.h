// Where on this machine model files lie, and what each of them is: the folders of Keyhole, Hugging
// Face, LM Studio, llama.cpp, Ollama and Jan, and those a person names. Reads directories and the
// heads of files; writes nothing. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace app {

// A folder to look through.
struct ModelPlace {
    enum class Kind { folder, ollama };
    std::string name;  // "Hugging Face cache"
    std::filesystem::path folder;
    int depth = 6;  // of folders below it
    Kind kind = Kind::folder;
};

// Those that exist, each once. `own` is Keyhole's models folder; `named` are a person's.
std::vector<ModelPlace> model_places(const std::filesystem::path& own,
                                     const std::vector<std::string>& named);

struct ModelFile {
    std::string path;   // of the first part
    std::string name;   // to show: the file's name, or what Ollama calls it
    std::string place;  // ModelPlace::name
    int64_t bytes = 0;  // of all parts
    int parts = 1;
};

// What stands at `path`; bytes 0: nothing does.
ModelFile model_file(const std::filesystem::path& path, const std::string& place);

// The GGUF files of a place, by name. Links are followed to files, never to folders; a place with
// very many entries is given up on. Stops early when `cancel` is set.
std::vector<ModelFile> find_models(const ModelPlace& place, const std::atomic<bool>& cancel);

// What a file is, as `keyhole inspect` sees it.
struct ModelFacts {
    bool usable = false;
    bool mla = false;
    bool demo = false;
    std::string name, architecture, type, description, dialect;
    int64_t n_layers = 0, n_mtp_layers = 0, n_experts = 0, n_experts_used = 0;
    int64_t context_length = 0;
    int64_t bytes_per_token = 0;  // of an f16 K cache
    std::vector<std::string> notes, problems;
};
// Never throws: a file that does not open has its reason in `problems`.
ModelFacts model_facts(const std::string& path);

}  // namespace app
