// What `keyhole inspect` tells about a GGUF file: its metadata and tensors, what Keyhole recognises
// in it, and what keeps it from being used. Works on any GGUF file that opens, also of models
// Keyhole does not run. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/model/gguf.h"
#include "runtime/model/model_config.h"

namespace runtime {

struct InspectReport {
    struct Key {
        std::string name, type, value;  // value: one line, cut where it is long
    };
    struct Tensor {
        std::string name, type, shape;  // shape in GGUF order: "{2048, 768}"
        uint64_t bytes = 0;
    };
    struct Type {
        std::string name;
        int64_t tensors = 0;
        uint64_t bytes = 0;
        bool computed = false;  // Keyhole computes with it
    };

    std::string path;
    uint32_t version = 0;
    int parts = 1;
    uint64_t file_bytes = 0;
    std::vector<Key> metadata;
    std::vector<Tensor> tensors;
    std::vector<Type> types;  // most bytes first
    bool mla = false;         // multi-head latent attention: one K row per token and layer, no V
    std::string dialect;      // "mainline llama.cpp", ...; empty where not recognised
    std::optional<ModelConfig> config;  // where the hyper-parameters could be read
    int64_t k_bytes_per_token = 0;      // f16 cache, all layers; 0 without config
    std::vector<std::string> notes;     // odd, but usable
    std::vector<std::string> problems;  // each keeps Keyhole from running the file

    bool usable() const { return problems.empty(); }
};

InspectReport inspect(const GgufFile& file);

// For people, with one line per tensor if `all_tensors`. Ends with a line end.
std::string to_text(const InspectReport& report, bool all_tensors = true);

}  // namespace runtime
