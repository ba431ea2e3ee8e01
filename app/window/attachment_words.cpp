#include "app/window/attachment_words.h"

#include <algorithm>

#include "app/window/format.h"

namespace app::window {
namespace {

constexpr const char* kDot = " \u00B7 ";

std::string counted(int64_t count, const char* what) {
    return with_commas(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

std::string attachment_words(const Attachment& attachment) {
    const int64_t included = attachment.files.included();
    const auto listed = static_cast<int64_t>(attachment.files.size());
    std::string words = included > 0 ? counted(included, "file") + kDot
                        : listed > 0 ? counted(listed, "name") + kDot
                                     : "";  // of a text that came without a list
    words += counted(attachment.tokens, "token");
    return attachment.left_out ? words + ", no longer read by the model" : words;
}

std::string reading_words(const PackingView& packing) {
    const int64_t files = std::max(packing.files, packing.found);
    if (files == 0) {
        return "reading";
    }
    return std::string("reading") + kDot +
           (packing.files > 0 && packing.files < files ? with_commas(packing.files) + " of " : "") +
           counted(files, "file");
}

}  // namespace app::window
