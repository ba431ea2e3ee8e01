#include "app/window/markdown.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>

#include <md4c.h>

#include "app/window/markdown_signs.h"
#include "app/window/utf8.h"

namespace app::window {
namespace {

// Entities that people and models write; any other stays as it stands.
std::string entity(std::string_view text) {
    static constexpr std::pair<std::string_view, std::string_view> kNamed[] = {
        {"&amp;", "&"},         {"&lt;", "<"},          {"&gt;", ">"},
        {"&quot;", "\""},       {"&apos;", "'"},        {"&nbsp;", "\u00A0"},
        {"&mdash;", "\u2014"},  {"&ndash;", "\u2013"},  {"&hellip;", "\u2026"},
        {"&copy;", "\u00A9"},   {"&reg;", "\u00AE"},    {"&trade;", "\u2122"},
        {"&deg;", "\u00B0"},    {"&plusmn;", "\u00B1"}, {"&times;", "\u00D7"},
        {"&divide;", "\u00F7"}, {"&middot;", "\u00B7"}, {"&bull;", "\u2022"},
        {"&laquo;", "\u00AB"},  {"&raquo;", "\u00BB"},  {"&ldquo;", "\u201C"},
        {"&rdquo;", "\u201D"},  {"&lsquo;", "\u2018"},  {"&rsquo;", "\u2019"},
        {"&rarr;", "\u2192"},   {"&larr;", "\u2190"},   {"&euro;", "\u20AC"},
        {"&para;", "\u00B6"},   {"&sect;", "\u00A7"},   {"&le;", "\u2264"},
        {"&ge;", "\u2265"},     {"&ne;", "\u2260"},     {"&infin;", "\u221E"}};
    for (const auto& [name, value] : kNamed) {
        if (text == name) {
            return std::string(value);
        }
    }
    if (text.size() > 3 && text[1] == '#') {
        const bool hex = text[2] == 'x' || text[2] == 'X';
        std::string out;
        append_utf8(out, std::strtoul(std::string(text.substr(hex ? 3 : 2)).c_str(), nullptr,
                                      hex ? 16 : 10));
        return out;
    }
    return std::string(text);
}

class Builder {
public:
    // `copy` is what md4c reads: the source with some of it hidden, references behind it.
    Builder(std::string_view source, std::string_view copy, std::vector<Hidden> hidden, size_t base)
        : source_(source), copy_(copy), hidden_(std::move(hidden)), base_(base) {}

    std::vector<Block> take() {
        close();
        return std::move(blocks_);
    }

    void enter(MD_BLOCKTYPE type, void* detail) {
        switch (type) {
            case MD_BLOCK_QUOTE:
                close();
                quotes_.push_back({static_cast<int>(lists_.size()), next_quote_++});
                break;
            case MD_BLOCK_UL:
                close();
                lists_.push_back({});
                break;
            case MD_BLOCK_OL:
                close();
                lists_.push_back({static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start});
                break;
            case MD_BLOCK_LI: {
                close();
                const auto* item = static_cast<MD_BLOCK_LI_DETAIL*>(detail);
                if (item->is_task) {
                    marker_ = item->task_mark == ' ' ? "\u2610" : "\u2611";
                } else if (!lists_.empty() && lists_.back()) {
                    marker_ = std::to_string((*lists_.back())++) + ".";
                } else {
                    marker_ = lists_.size() % 2 == 1 ? "\u2022" : "\u25E6";
                }
                break;
            }
            case MD_BLOCK_HR:
                begin(Block::Kind::rule);
                close();
                break;
            case MD_BLOCK_H:
                begin(Block::Kind::heading).level =
                    static_cast<int>(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level);
                break;
            case MD_BLOCK_CODE: {
                const auto* code = static_cast<MD_BLOCK_CODE_DETAIL*>(detail);
                Block& block = begin(Block::Kind::code);
                if (code->lang.text) {
                    block.language.assign(code->lang.text, code->lang.size);
                    std::transform(block.language.begin(), block.language.end(),
                                   block.language.begin(),
                                   [](unsigned char c) { return std::tolower(c); });
                }
                break;
            }
            case MD_BLOCK_P:
                begin(Block::Kind::paragraph);
                break;
            case MD_BLOCK_TABLE:
                begin(Block::Kind::table);
                break;
            case MD_BLOCK_TR:
                if (open_) {
                    open_->rows.emplace_back();
                }
                break;
            case MD_BLOCK_TH:
            case MD_BLOCK_TD:
                if (open_ && !open_->rows.empty()) {
                    if (open_->rows.size() == 1) {
                        const auto align = static_cast<MD_BLOCK_TD_DETAIL*>(detail)->align;
                        open_->columns.push_back(align == MD_ALIGN_RIGHT    ? Align::right
                                                 : align == MD_ALIGN_CENTER ? Align::centre
                                                                            : Align::left);
                    }
                    open_->rows.back().emplace_back();
                    cell_ = true;
                }
                break;
            default:
                break;
        }
    }

    void leave(MD_BLOCKTYPE type) {
        switch (type) {
            case MD_BLOCK_QUOTE:
                close();
                quotes_.pop_back();
                break;
            case MD_BLOCK_UL:
            case MD_BLOCK_OL:
                close();
                lists_.pop_back();
                break;
            case MD_BLOCK_LI:
                if (!marker_.empty()) {
                    begin(Block::Kind::paragraph);  // an item without text still shows its bullet
                }
                close();
                break;
            case MD_BLOCK_TH:
            case MD_BLOCK_TD:
                cell_ = false;
                break;
            case MD_BLOCK_P:
            case MD_BLOCK_H:
            case MD_BLOCK_CODE:
            case MD_BLOCK_TABLE:
                close();
                break;
            default:
                break;
        }
    }

    void span(MD_SPANTYPE type, void* detail, bool enter) {
        const auto toggle = [&](uint16_t style) {
            int& depth = depth_[static_cast<size_t>(__builtin_ctz(style))];
            depth += enter ? 1 : -1;
            style_ = static_cast<uint16_t>(depth > 0 ? style_ | style : style_ & ~style);
        };
        const auto link = [&](const MD_ATTRIBUTE& target) {
            toggle(kLink);
            if (enter) {
                RichText& text = rich();
                text.links.emplace_back(target.text ? target.text : "", target.size);
                link_ = static_cast<int>(text.links.size()) - 1;
            } else {
                link_ = -1;
            }
        };
        switch (type) {
            case MD_SPAN_EM:
                toggle(kItalic);
                break;
            case MD_SPAN_STRONG:
                toggle(kBold);
                break;
            case MD_SPAN_CODE:
                toggle(kCode);
                break;
            case MD_SPAN_DEL:
                toggle(kStrike);
                break;
            case MD_SPAN_A:
                link(static_cast<MD_SPAN_A_DETAIL*>(detail)->href);
                break;
            case MD_SPAN_IMG:  // pictures are not fetched; their words lead to them
                if (link_ < 0 || (style_ & kLink) != 0) {
                    link(static_cast<MD_SPAN_IMG_DETAIL*>(detail)->src);
                }
                break;
            default:
                break;
        }
    }

    void text(MD_TEXTTYPE type, const char* piece, size_t size) {
        const bool in_copy = piece >= copy_.data() && piece < copy_.data() + copy_.size();
        const bool in_source = in_copy && piece + size <= copy_.data() + source_.size();
        if (in_copy && !in_source) {
            return;  // of the references, where they did not end up as such
        }
        const size_t at = in_source ? static_cast<size_t>(piece - copy_.data()) : last_;
        const std::string_view shown =
            in_source ? source_.substr(at, size) : std::string_view(piece, size);
        switch (type) {
            case MD_TEXT_NULLCHAR:
                add("\uFFFD", last_, last_ + 1);
                break;
            case MD_TEXT_BR:
            case MD_TEXT_SOFTBR: {
                const size_t newline = source_.find('\n', last_);
                const size_t from = newline == std::string_view::npos ? last_ : newline;
                add("\n", from, std::min(from + 1, source_.size()));
                break;
            }
            case MD_TEXT_ENTITY:
                add(entity(shown), at, at + size);
                break;
            case MD_TEXT_CODE:
                if (in_source) {
                    add(shown, at, at + size);
                } else if (shown == "\n") {
                    const size_t newline = source_.find('\n', last_);
                    const size_t from = newline == std::string_view::npos ? last_ : newline;
                    add(shown, from, std::min(from + 1, source_.size()));
                } else {
                    add_indent(shown);
                }
                break;
            default:
                in_source ? add_words(at, at + size) : add(shown, last_, last_);
                break;
        }
    }

private:
    Block& begin(Block::Kind kind) {
        close();
        open_.emplace();
        open_->kind = kind;
        open_->indent = static_cast<int>(lists_.size());
        open_->quotes = quotes_;
        open_->marker = std::move(marker_);
        marker_.clear();
        return *open_;
    }

    void close() {
        if (!open_) {
            return;
        }
        if (open_->kind == Block::Kind::code && open_->rich.text.ends_with('\n')) {
            auto& spans = open_->rich.spans;
            open_->rich.text.pop_back();
            spans.back().end--;
            spans.back().source_end = std::max(spans.back().source, spans.back().source_end - 1);
            if (spans.back().begin == spans.back().end) {
                spans.pop_back();
            }
        }
        const bool nothing = open_->kind == Block::Kind::paragraph && open_->rich.text.empty() &&
                             open_->marker.empty();
        if (!nothing) {
            blocks_.push_back(std::move(*open_));
        }
        open_.reset();
    }

    RichText& rich() {
        if (!open_) {
            begin(Block::Kind::paragraph);  // tight list items carry text without a paragraph
        }
        return cell_ ? open_->rows.back().back() : open_->rich;
    }

    // Words of the source, with what is hidden in them.
    void add_words(size_t from, size_t to) {
        auto next = std::lower_bound(hidden_.begin(), hidden_.end(), from,
                                     [](const Hidden& h, size_t at) { return h.end <= at; });
        while (from < to) {
            if (next == hidden_.end() || next->begin >= to) {
                add(source_.substr(from, to - from), from, to);
                return;
            }
            if (next->begin > from) {
                add(source_.substr(from, next->begin - from), from, next->begin);
            }
            if (next->begin >= from) {
                add_hidden(*next);
            }
            from = next->end;
            ++next;
        }
        last_ = std::max(last_, std::min(to, source_.size()));
    }

    void add_hidden(const Hidden& hidden) {
        const uint16_t style = style_;
        switch (hidden.kind) {
            case Hidden::Kind::line_break:
                break;
            case Hidden::Kind::note:
                style_ |= kNote;
                break;
            case Hidden::Kind::formula:
                style_ |= kFormula;
                break;
            case Hidden::Kind::display:
                style_ |= kFormula;
                if (!cell_) {
                    if (open_ && open_->kind == Block::Kind::paragraph) {
                        trim_end();
                    }
                    begin(Block::Kind::formula);
                    add(hidden.shown, hidden.begin, hidden.end);
                    close();
                    style_ = style;
                    return;
                }
                break;
        }
        add(hidden.shown, hidden.begin, hidden.end);
        style_ = style;
    }

    // md4c writes the blanks at the start of a line of code itself: the ones right before the code,
    // where the source has them, or a tab.
    void add_indent(std::string_view shown) {
        const size_t code = std::min(source_.find_first_not_of(" \t", last_), source_.size());
        const bool same = code >= last_ + shown.size() &&
                          source_.substr(code - shown.size(), shown.size()) == shown;
        add(shown, same ? code - shown.size() : last_, code);
    }

    // A paragraph that a formula ends keeps no line break behind it.
    void trim_end() {
        RichText& text = open_->rich;
        while (!text.text.empty() && (text.text.back() == '\n' || text.text.back() == ' ')) {
            text.text.pop_back();
            Span& last = text.spans.back();
            last.end--;
            last.source_end = std::max(last.source, last.source_end - 1);
            if (last.end == last.begin) {
                text.spans.pop_back();
            }
        }
    }

    void add(std::string_view shown, size_t source, size_t source_end) {
        last_ = std::max(last_, std::min(source_end, source_.size()));
        if (!open_ && shown.find_first_not_of(" \n") == std::string_view::npos) {
            return;  // what is left of the line behind a formula
        }
        RichText& target = rich();
        const auto begin_at = static_cast<uint32_t>(target.text.size());
        target.text += shown;
        const auto end_at = static_cast<uint32_t>(target.text.size());
        if (end_at == begin_at) {
            return;
        }
        const auto from = static_cast<uint32_t>(base_ + source);
        const auto to = static_cast<uint32_t>(base_ + source_end);
        const bool verbatim = end_at - begin_at == to - from;
        if (!target.spans.empty()) {
            Span& last = target.spans.back();
            if (last.style == style_ && last.link == link_ && last.source_end == from && verbatim &&
                last.end - last.begin == last.source_end - last.source) {
                last.end = end_at;
                last.source_end = to;
                return;
            }
        }
        target.spans.push_back({begin_at, end_at, from, to, style_, link_});
    }

    std::string_view source_, copy_;
    std::vector<Hidden> hidden_;
    size_t base_;
    size_t last_ = 0;  // behind what was taken from the source last
    std::vector<Block> blocks_;
    std::optional<Block> open_;
    std::vector<std::optional<unsigned>> lists_;  // a number: the next item's of an ordered list
    std::string marker_;
    std::vector<Block::Quote> quotes_;
    int next_quote_ = 0;
    bool cell_ = false;
    uint16_t style_ = 0;
    int link_ = -1;
    int depth_[16] = {};
};

void mark_links(RichText& rich, const LinkFinder& find) {
    const std::vector<FoundLink> found = find(rich.text);
    if (found.empty()) {
        return;
    }
    std::vector<Span> spans;
    for (const Span& span : rich.spans) {
        // A link of the text's own and a formula stay what they are.
        if (span.link >= 0 || (span.style & kFormula) != 0 ||
            span.end - span.begin != span.source_end - span.source) {
            spans.push_back(span);
            continue;
        }
        uint32_t at = span.begin;
        const auto piece = [&](uint32_t begin, uint32_t end) {
            Span part = span;
            part.begin = begin;
            part.end = end;
            part.source = span.source + (begin - span.begin);
            part.source_end = span.source + (end - span.begin);
            return part;
        };
        for (const FoundLink& link : found) {
            const auto begin = std::max(static_cast<uint32_t>(link.begin), at);
            const auto end = std::min(static_cast<uint32_t>(link.end), span.end);
            if (begin >= end) {
                continue;
            }
            if (begin > at) {
                spans.push_back(piece(at, begin));
            }
            Span part = piece(begin, end);
            part.style |= link.broken ? kBroken : kLink;
            if (!link.broken) {
                rich.links.push_back(link.address);
                part.link = static_cast<int>(rich.links.size()) - 1;
            }
            spans.push_back(part);
            at = end;
        }
        if (at < span.end) {
            spans.push_back(piece(at, span.end));
        }
    }
    rich.spans = std::move(spans);
}

}  // namespace

Fence fence_of(std::string_view line, size_t max_indent) {
    size_t i = 0;
    while (i < line.size() && i < max_indent && line[i] == ' ') {
        i++;
    }
    Fence fence;
    if (i >= line.size() || (line[i] != '`' && line[i] != '~')) {
        return fence;
    }
    const size_t begin = i;
    while (i < line.size() && line[i] == line[begin]) {
        i++;
    }
    const bool bare = line.find_first_not_of(" \t\r", i) == std::string_view::npos;
    // A backtick behind the marks: inline code, not a fence.
    if (i - begin >= 3 && (line[begin] == '~' || line.find('`', i) == std::string_view::npos)) {
        fence = {line[begin], i - begin, begin, bare};
    }
    return fence;
}

std::string fence_language(std::string_view line) {
    const size_t begin = line.find_first_not_of(" `~\t");
    if (begin == std::string_view::npos) {
        return {};
    }
    const size_t end = line.find_first_of(" \t\r\n{,", begin);
    std::string language(line.substr(begin, end == std::string_view::npos ? end : end - begin));
    std::transform(language.begin(), language.end(), language.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return language;
}

std::vector<Block> parse_markdown(std::string_view text, size_t base, std::string_view references) {
    std::string copy(text);
    std::vector<Hidden> hidden = hide_signs(copy);
    if (!references.empty()) {
        // An open fence would swallow them; nothing in it asks for a reference.
        copy += "\n\n";
        copy += references;
    }
    Builder builder(text, copy, std::move(hidden), base);
    MD_PARSER parser{};
    parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS |
                   MD_FLAG_PERMISSIVEURLAUTOLINKS | MD_FLAG_NOHTML;
    parser.enter_block = [](MD_BLOCKTYPE type, void* detail, void* user) {
        static_cast<Builder*>(user)->enter(type, detail);
        return 0;
    };
    parser.leave_block = [](MD_BLOCKTYPE type, void*, void* user) {
        static_cast<Builder*>(user)->leave(type);
        return 0;
    };
    parser.enter_span = [](MD_SPANTYPE type, void* detail, void* user) {
        static_cast<Builder*>(user)->span(type, detail, true);
        return 0;
    };
    parser.leave_span = [](MD_SPANTYPE type, void* detail, void* user) {
        static_cast<Builder*>(user)->span(type, detail, false);
        return 0;
    };
    parser.text = [](MD_TEXTTYPE type, const MD_CHAR* piece, MD_SIZE size, void* user) {
        static_cast<Builder*>(user)->text(type, piece, size);
        return 0;
    };
    md_parse(copy.data(), static_cast<MD_SIZE>(copy.size()), &parser, &builder);
    return builder.take();
}

void mark_links(std::vector<Block>& blocks, const LinkFinder& find) {
    for (Block& block : blocks) {
        if (block.kind == Block::Kind::paragraph || block.kind == Block::Kind::heading) {
            mark_links(block.rich, find);
        }
        for (auto& row : block.rows) {
            for (RichText& cell : row) {
                mark_links(cell, find);
            }
        }
    }
}

}  // namespace app::window
