#include "runtime/text/detokenizer.h"

#include "runtime/text/unicode.h"

namespace runtime {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::string Detokenizer::add(TokenId id, bool show_special) {
    const std::string_view bytes = tokenizer_.bytes(id, show_special);
    held_ += bytes;
    std::string out;
    std::string_view rest = held_;
    while (!rest.empty()) {
        const Utf8Unit unit = utf8_unit(rest);
        if (unit.kind == Utf8Unit::Kind::incomplete) {
            break;
        }
        out += unit.kind == Utf8Unit::Kind::character ? rest.substr(0, unit.length) : kReplacement;
        rest.remove_prefix(unit.length);
    }
    held_ = std::string(rest);
    return out;
}

std::string Detokenizer::flush() {
    // What is held is one incomplete sequence, by the loop above.
    const std::string out(held_.empty() ? std::string_view() : kReplacement);
    held_.clear();
    return out;
}

}  // namespace runtime
