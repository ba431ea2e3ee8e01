// Wrapper: how a file becomes an element of a pack. The one place that knows what stands around a
// file's text; XML-like or Markdown. No content can close its own element: the XML tag is made from
// the content's hash and does not occur in it, the Markdown fence is longer than any in it. Equal
// content gives equal text, which is what a prefix cache needs. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "app/codebase/content_hash.h"
#include "runtime/text/tokenizer.h"

namespace app::codebase {

enum class PackFormat : uint8_t { xml, markdown };

struct Wrapper {
    PackFormat format = PackFormat::xml;
    bool line_numbers = false;  // every tenth line and the first carry theirs
    bool operator==(const Wrapper&) const = default;
};

// What an element says of itself beside its path, in this order; empty and 0: nothing.
struct ElementNote {
    std::string_view shows;                 // "outline", "diff"
    int64_t first_line = 0, last_line = 0;  // of a slice
    std::string_view replaces;              // the tag of the revision before this one
    std::string_view now;       // of a diff: the tag of the content that it leads to
};

// What a content decides of its element.
struct ElementMark {
    std::string mark;  // "file-1f6c90d2", or the Markdown fence
    std::string lead;  // the line ends it begins with
};
ElementMark mark_of(const Wrapper& wrapper, std::string_view content, const ElementNote& note = {});
// The same, of a content whose hash is known.
ElementMark mark_of(const Wrapper& wrapper, std::string_view content, const ContentHash& hash);

// An element in two halves. No token ever lies across the border: `head` ends with line ends and
// `rest` does not begin with one, so tokens(head) + tokens(rest) are the element's, and `rest`
// depends on the content alone - its count can be kept by content. `path` is printable (decode.h),
// `content` UTF-8 with LF.
std::string element_head(const Wrapper& wrapper,
                         std::string_view path,
                         const ElementMark& mark,
                         const ElementNote& note = {});
std::string element_rest(const Wrapper& wrapper,
                         std::string_view content,
                         const ElementMark& mark,
                         const ElementNote& note = {});
std::string make_element(const Wrapper& wrapper,
                         std::string_view path,
                         std::string_view content,
                         const ElementNote& note = {});

// "file-1f6c90d2": the tag that a content has in the XML form.
std::string tag_of(std::string_view content);

// Tokens of a text, in pieces small enough for `cancelled` to be asked every few milliseconds. The
// cuts are where the split rule cuts anyway: the sum is exact. -1: cancelled.
int64_t count_tokens(const runtime::Tokenizer& tokenizer,
                     std::string_view text,
                     bool (*cancelled)(const void*) = nullptr,
                     const void* context = nullptr);

}  // namespace app::codebase
