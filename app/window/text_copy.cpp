// A text part by part without a layout: for copying and for searching.
#include <algorithm>

#include "app/window/text_layer.h"

namespace app::window {
namespace {

constexpr size_t kDeepFence = 12;  // blanks before the fence of code inside lists

// The displayed bytes of `rich` that lie between two places of the source. `from_start`: nothing
// before it is left out.
std::string cut(const RichText& rich, size_t source, size_t source_end, bool& from_start) {
    std::string out;
    from_start = true;
    for (const Span& span : rich.spans) {
        const bool verbatim = span.end - span.begin == span.source_end - span.source;
        if (span.source_end <= source && span.source < source) {
            from_start = false;
            continue;
        }
        if (span.source >= source_end) {
            break;
        }
        uint32_t begin = span.begin, end = span.end;
        if (verbatim) {
            if (source > span.source) {
                begin += static_cast<uint32_t>(source - span.source);
                from_start = false;
            }
            if (source_end < span.source_end) {
                end -= static_cast<uint32_t>(span.source_end - source_end);
            }
        }
        out.append(rich.text, begin, end - begin);
    }
    return out;
}

}  // namespace

std::string plain_text(const std::vector<Block>& blocks, size_t source, size_t source_end) {
    std::string out;
    const Block* before = nullptr;
    for (const Block& block : blocks) {
        std::string words;
        if (block.kind == Block::Kind::table) {
            for (size_t r = block.repeats_head ? 1 : 0; r < block.rows.size(); r++) {
                const auto& row = block.rows[r];
                std::string line;
                bool any = false, first = true;
                for (const RichText& cell : row) {
                    bool from_start = true;
                    const std::string part = cut(cell, source, source_end, from_start);
                    const bool inside = !cell.spans.empty() &&
                                        cell.spans.front().source < source_end &&
                                        cell.spans.back().source_end > source;
                    if (inside) {
                        line += (first ? "" : "\t") + part;
                        first = false;
                        any = true;
                    } else if (any && cell.spans.empty()) {
                        line += "\t";
                    }
                }
                if (any) {
                    words += (words.empty() ? "" : "\n") + line;
                }
            }
        } else {
            bool from_start = true;
            words = cut(block.rich, source, source_end, from_start);
            if (!words.empty() && from_start && !block.marker.empty()) {
                words = std::string(2 * static_cast<size_t>(std::max(block.indent - 1, 0)), ' ') +
                        block.marker + " " + words;
            }
        }
        if (words.empty()) {
            continue;
        }
        if (before) {
            out += block.continued                                       ? "\n"
                   : block.tight_after(*before) && !block.marker.empty() ? "\n"
                                                                         : "\n\n";
        }
        out += words;
        before = &block;
    }
    return out;
}

std::vector<Block> blocks_of_part(std::string_view text,
                                  size_t begin,
                                  size_t end,
                                  const TextCutter::Part& part,
                                  bool continues,
                                  std::string_view references) {
    std::string_view piece = text.substr(begin, end - begin);
    if (part.head_end > part.head) {
        const std::string_view head = text.substr(part.head, part.head_end - part.head);
        std::vector<Block> blocks =
            parse_markdown(std::string(head).append(piece), begin - head.size(), references);
        if (!blocks.empty() && !blocks.front().rows.empty()) {
            blocks.front().repeats_head = true;
            for (RichText& cell : blocks.front().rows.front()) {
                for (Span& span : cell.spans) {
                    span.source = span.source_end = static_cast<uint32_t>(begin);
                }
            }
        }
        return blocks;
    }
    if (!part.in_fence) {
        std::vector<Block> blocks =
            parse_markdown(piece, begin, continues ? std::string_view() : references);
        if (continues && !blocks.empty() && blocks.back().kind == Block::Kind::code) {
            blocks.back().continues = true;
        }
        return blocks;
    }
    // Inside a fence there is nothing but code, up to the line that closes it.
    const std::string_view opening =
        text.substr(part.fence, text.find('\n', part.fence) - part.fence);
    const Fence open = fence_of(opening, kDeepFence);
    if (!continues) {
        const size_t last = piece.find_last_not_of('\n');
        const size_t newline =
            last == std::string_view::npos ? last : piece.substr(0, last).rfind('\n');
        const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
        if (fence_of(piece.substr(line, piece.find('\n', line) - line), kDeepFence).closes(open)) {
            piece = piece.substr(0, line);
        }
    }
    if (piece.ends_with('\n')) {
        piece.remove_suffix(1);
    }
    Block block;
    block.kind = Block::Kind::code;
    block.language = part.language;
    block.continued = true;
    block.continues = continues;
    block.rich.text = piece;
    if (!piece.empty()) {
        block.rich.spans.push_back({0, static_cast<uint32_t>(piece.size()),
                                    static_cast<uint32_t>(begin),
                                    static_cast<uint32_t>(begin + piece.size()), 0, -1});
    }
    return {std::move(block)};
}

std::vector<Block> blocks_of_part(std::string_view text, const TextCutter& cutter, size_t index) {
    const auto& parts = cutter.parts();
    const bool last = index + 1 == parts.size();
    return blocks_of_part(text, parts[index].begin, last ? text.size() : parts[index + 1].begin,
                          parts[index], !last && parts[index + 1].in_fence, cutter.references());
}

TextParts::TextParts(std::string_view text) : text_(text) {
    cutter_.feed(text);
}

bool TextParts::goes_on(size_t index) const {
    const TextCutter::Part& part = cutter_.parts()[index];
    return part.joined || part.tight || part.head_end > part.head;
}

SourceRange TextParts::range(size_t index) const {
    const auto& parts = cutter_.parts();
    return {parts[index].begin, index + 1 < parts.size() ? parts[index + 1].begin : text_.size()};
}

std::vector<Block> TextParts::blocks(size_t index) const {
    return blocks_of_part(text_, cutter_, index);
}

std::string copy_as_text(std::string_view text, SourceRange range) {
    const TextParts parts(text);
    std::string out;
    bool first = true;
    for (size_t i = 0; i < parts.size(); i++) {
        const SourceRange here = parts.range(i);
        if (here.end <= range.begin || here.begin >= range.end) {
            continue;
        }
        const std::vector<Block> blocks = parts.blocks(i);
        const std::string piece = plain_text(blocks, range.begin, range.end);
        if (piece.empty()) {
            continue;
        }
        const bool joined = here.begin > 0 && text[here.begin - 1] != '\n';
        out += first || joined ? "" : parts.goes_on(i) ? "\n" : "\n\n";
        out += piece;
        first = false;
    }
    return out;
}

std::string copy_as_markdown(std::string_view text, SourceRange range) {
    range.end = std::min(range.end, text.size());
    if (range.begin >= range.end) {
        return {};
    }
    // Where a line is taken from its first visible character on, its signs (#, -, >, **) come
    // along; so do those behind its last one.
    const auto line_begin = [&](size_t at) {
        const size_t newline = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
        return newline == std::string_view::npos ? 0 : newline + 1;
    };
    const auto line_end = [&](size_t at) { return std::min(text.find('\n', at), text.size()); };
    size_t begin = range.begin, end = range.end;
    if (const size_t from = line_begin(begin);
        copy_as_text(text, {from, begin}).find_first_not_of(" \n\t") == std::string::npos) {
        begin = from;
    }
    if (const size_t to = line_end(end);
        copy_as_text(text, {end, to}).find_first_not_of(" \n\t") == std::string::npos) {
        end = to;
    }
    // Code that is taken from its first line on needs its fence, and up to its last line the
    // closing one.
    const auto open_at = [&](size_t place) {
        Fence open;
        for (size_t at = 0; at < place; at = line_end(at) + 1) {
            const Fence fence = fence_of(text.substr(at, line_end(at) - at), 12);
            open = open.mark == 0 ? fence : fence.closes(open) ? Fence() : open;
        }
        return open;
    };
    if (begin > 0 && open_at(begin).mark != 0) {
        const size_t before = line_begin(begin - 1);
        if (fence_of(text.substr(before, begin - 1 - before), 12).mark != 0) {
            begin = before;
        }
    }
    if (end + 1 < text.size() && text[end] == '\n') {
        const size_t next = end + 1;
        const Fence open = open_at(next);
        if (open.mark != 0 && fence_of(text.substr(next, line_end(next) - next), 12).closes(open)) {
            end = line_end(next);
        }
    }
    return std::string(text.substr(begin, end - begin));
}

}  // namespace app::window
