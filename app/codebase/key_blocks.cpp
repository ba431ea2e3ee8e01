#include "app/codebase/key_blocks.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

#include "app/codebase/key_formats.h"

namespace app::codebase {
namespace {

// The body between the BEGIN and END lines; also on one line with \n spelled out, as in JSON.
void private_keys(std::string_view text, std::vector<Secret>& found) {
    constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ";
    for (size_t at = text.find(kBegin); at != std::string_view::npos;
         at = text.find(kBegin, at + 1)) {
        const size_t name_end = text.find("-----", at + kBegin.size());
        if (name_end == std::string_view::npos || name_end - at > 64) {
            continue;
        }
        const std::string_view name =
            text.substr(at + kBegin.size(), name_end - at - kBegin.size());
        if (name.find("PRIVATE KEY") == std::string_view::npos) {
            continue;
        }
        const size_t begin = name_end + 5;
        size_t end = text.find(kEnd, begin);
        const bool closed = end != std::string_view::npos;
        end = closed ? end : text.size();
        const std::string_view body = text.substr(begin, end - begin);
        // A mention of the marker is no key: of one, the body is nearly all base64, in long lines.
        const auto is_base64 = [](char c) { return in_alphabet(c, Alphabet::base64); };
        const auto letters = std::count_if(body.begin(), body.end(), is_base64);
        const auto signs = std::count_if(body.begin(), body.end(), [](char c) {
            return !std::isspace(static_cast<unsigned char>(c));
        });
        int64_t longest = 0, run = 0;
        for (const char c : body) {
            run = is_base64(c) ? run + 1 : 0;
            longest = std::max(longest, run);
        }
        if (letters >= 40 && longest >= 32 && letters * 10 >= signs * 8 &&
            (closed || body.size() < 16384)) {
            size_t from = begin, to = end;
            while (from < to && std::isspace(static_cast<unsigned char>(text[from]))) {
                from++;
            }
            while (to > from && std::isspace(static_cast<unsigned char>(text[to - 1]))) {
                to--;
            }
            found.push_back({from, to, "private key"});
        }
    }
}

void putty_keys(std::string_view text, std::vector<Secret>& found) {
    constexpr std::string_view kBegin = "Private-Lines: ";
    for (size_t at = text.find(kBegin); at != std::string_view::npos;
         at = text.find(kBegin, at + 1)) {
        const size_t begin = text.find('\n', at);
        const size_t end = text.find("Private-MAC", at);
        if (begin != std::string_view::npos && end != std::string_view::npos && end > begin &&
            end - begin < 8192) {
            found.push_back({begin + 1, end - 1, "private key"});
        }
    }
}

}  // namespace

std::vector<Secret> find_key_blocks(std::string_view text) {
    std::vector<Secret> found;
    private_keys(text, found);
    putty_keys(text, found);
    return found;
}

}  // namespace app::codebase
