// StopScanner: finds the first of several stop strings in streamed text, and lets through what can
// no longer belong to one. The match that ends first wins, of several that end together the
// longest. Linear in the text. One thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace runtime {

class StopScanner {
public:
    explicit StopScanner(std::vector<std::string> stops);

    // The text before a stop string, or before what may become one. After found() nothing more
    // comes.
    std::string add(std::string_view text);
    std::string flush();  // what was held back: no stop string comes any more, or none may reach
                          // over this point

    bool found() const { return found_ != nullptr; }
    const std::string& stop_string() const;

private:
    struct Stop {
        std::string text;
        std::vector<size_t>
            fallback;        // Knuth-Morris-Pratt: length of the longest border of each prefix
        size_t matched = 0;  // characters of `text` that the input ends with
    };

    std::vector<Stop> stops_;
    std::string held_;
    const Stop* found_ = nullptr;
};

}  // namespace runtime
