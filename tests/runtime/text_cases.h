// The golden cases of tests/golden/text: fields of bytes, each "<length>\n<bytes>\n", and the
// vocabulary made of them.
#pragma once

#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/text/tokenizer.h"

namespace tests {

inline std::vector<std::string> read_fields(const std::string& name) {
    const std::string path = std::string(TESTS_DIR) + "/golden/text/" + name;
    std::ifstream in(path, std::ios::binary);
    const std::string data{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    std::vector<std::string> fields;
    for (size_t at = 0; at < data.size();) {
        const size_t line_end = data.find('\n', at);
        const size_t length = std::stoul(data.substr(at, line_end - at));
        fields.push_back(data.substr(line_end + 1, length));
        at = line_end + 1 + length + 1;
    }
    if (fields.empty()) {
        throw std::runtime_error("no cases in " + path);
    }
    return fields;
}

template <typename Number>
std::vector<Number> numbers(const std::string& text) {
    std::istringstream in(text);
    return {std::istream_iterator<Number>(in), std::istream_iterator<Number>()};
}

// The vocabulary of the golden models: 256 bytes, 64 merges, 36 special tokens at 324.., padding.
inline runtime::Vocabulary small_vocabulary() {
    runtime::Vocabulary vocabulary;
    bool merges = false;
    for (const std::string& field : read_fields("vocabulary.txt")) {
        if (field.empty()) {
            merges = true;
        } else if (merges) {
            vocabulary.merges.push_back(field);
        } else {
            const size_t space = field.find(' ');
            vocabulary.types.push_back(std::stoi(field.substr(0, space)));
            vocabulary.tokens.push_back(field.substr(space + 1));
        }
    }
    vocabulary.pre = "glm4";
    vocabulary.model = "gpt2";
    vocabulary.eos = 324;
    vocabulary.eot = 331;
    vocabulary.eom = 333;
    return vocabulary;
}

}  // namespace tests
