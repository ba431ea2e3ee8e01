#include "app/window/markdown.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>

#include <md4c.h>

#include "app/window/latex.h"
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

// What md4c does not know - formulas, footnotes, <br> - is found beforehand and hidden from it
// behind bytes that mean nothing to it. As many bytes as before: places in the source stay right.
struct Hidden {
    enum class Kind : uint8_t { formula, display, note, line_break };
    Kind kind;
    uint32_t begin, end;
    std::string shown;
};
constexpr char kFiller = '\x03';

bool is_word_byte(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

class Hider {
public:
    explicit Hider(std::string_view text) : text_(text), copy_(text) {}

    std::vector<Hidden> hide() {
        Fence open;
        for (size_t at = 0; at < text_.size();) {
            const size_t newline = std::min(text_.find('\n', at), text_.size());
            const std::string_view line = text_.substr(at, newline - at);
            const Fence fence = fence_of(line, 12);
            if (open.mark) {
                if (fence.closes(open)) {
                    open = {};
                }
                at = newline + 1;
            } else if (fence.mark) {
                open = fence;
                at = newline + 1;
            } else {
                at = std::max(inline_signs(at, newline), newline) + 1;
            }
        }
        return std::move(hidden_);
    }
    const std::string& copy() const { return copy_; }

private:
    // One line; returns where it stopped, which is behind the line when a formula spans several.
    size_t inline_signs(size_t begin, size_t end) {
        size_t i = begin;
        while (i < end) {
            const char c = text_[i];
            const std::string_view rest = text_.substr(i);
            size_t next = i + 1;
            if (c == '`') {
                next = behind_code(i);
            } else if (c == '\\') {
                if (rest.starts_with("\\(")) {
                    next = formula(i, 2, "\\)", Hidden::Kind::formula);
                } else if (rest.starts_with("\\[")) {
                    next = formula(i, 2, "\\]", Hidden::Kind::display);
                }
                next = std::max(next, i + 2);
            } else if (c == '$') {
                if (rest.starts_with("$$")) {
                    next = std::max(formula(i, 2, "$$", Hidden::Kind::display), i + 2);
                } else {
                    next = dollars(i, end);
                }
            } else if (c == '[' && rest.starts_with("[^")) {
                next = note(i, end, i == begin);
            } else if (c == '<') {
                for (const std::string_view tag : {"<br>", "<br/>", "<br />", "<BR>"}) {
                    if (rest.starts_with(tag)) {
                        next = add(Hidden::Kind::line_break, i, i + tag.size(), "\n");
                    }
                }
            }
            i = next;
        }
        return i;
    }

    size_t behind_code(size_t at) const {
        size_t length = 0;
        while (at + length < text_.size() && text_[at + length] == '`') {
            length++;
        }
        for (size_t i = at + length; i < text_.size();) {
            if (text_[i] == '\n' && i + 1 < text_.size() && text_[i + 1] == '\n') {
                break;
            }
            if (text_[i] != '`') {
                i++;
                continue;
            }
            size_t run = 0;
            while (i + run < text_.size() && text_[i + run] == '`') {
                run++;
            }
            if (run == length) {
                return i + run;
            }
            i += run;
        }
        return at + length;
    }

    size_t formula(size_t at, size_t opening, std::string_view closing, Hidden::Kind kind) {
        constexpr size_t kLongest = 4000;
        const size_t close =
            text_.substr(0, std::min(text_.size(), at + kLongest)).find(closing, at + opening);
        if (close == std::string_view::npos) {
            return at + opening;
        }
        const std::string_view inner = text_.substr(at + opening, close - at - opening);
        if (inner.find("\n\n") != std::string_view::npos ||
            inner.find_first_not_of(" \t\n") == std::string_view::npos) {
            return at + opening;
        }
        return add(kind, at, close + closing.size(), latex_to_text(inner));
    }

    // $x$: not a price. As in pandoc: no blank inside the signs, no digit behind them.
    size_t dollars(size_t at, size_t end) {
        const auto blank = [](char c) { return c == ' ' || c == '\t'; };
        if (at + 2 >= end || blank(text_[at + 1]) || (at > 0 && is_word_byte(text_[at - 1]))) {
            return at + 1;
        }
        for (size_t i = at + 1; i < end; i++) {
            if (text_[i] == '\\') {
                i++;
            } else if (text_[i] == '`') {
                break;
            } else if (text_[i] == '$') {
                const bool closes = !blank(text_[i - 1]) && i > at + 1 &&
                                    (i + 1 >= text_.size() ||
                                     !std::isalnum(static_cast<unsigned char>(text_[i + 1])));
                const std::string_view inner = text_.substr(at + 1, i - at - 1);
                // "$10, or 5$" begins like a price and has nothing of a formula.
                const bool price = inner[0] >= '0' && inner[0] <= '9' &&
                                   inner.find(' ') != std::string_view::npos &&
                                   inner.find_first_of("\\^_=+*/<>") == std::string_view::npos;
                return closes && !price
                           ? add(Hidden::Kind::formula, at, i + 1, latex_to_text(inner))
                           : at + 1;
            }
        }
        return at + 1;
    }

    size_t note(size_t at, size_t end, bool line_start) {
        size_t i = at + 2;
        while (i < end && i < at + 34 &&
               (is_word_byte(text_[i]) || text_[i] == '-' || text_[i] == '.')) {
            i++;
        }
        if (i == at + 2 || i >= end || text_[i] != ']') {
            return at + 1;
        }
        const std::string name(text_.substr(at + 2, i - at - 2));
        const bool definition = line_start && i + 1 < end && text_[i + 1] == ':';
        return definition ? add(Hidden::Kind::note, at, i + 2, name + ".")
                          : add(Hidden::Kind::note, at, i + 1, "[" + name + "]");
    }

    size_t add(Hidden::Kind kind, size_t begin, size_t end, std::string shown) {
        hidden_.push_back(
            {kind, static_cast<uint32_t>(begin), static_cast<uint32_t>(end), std::move(shown)});
        std::fill(copy_.begin() + static_cast<std::ptrdiff_t>(begin),
                  copy_.begin() + static_cast<std::ptrdiff_t>(end), kFiller);
        return end;
    }

    std::string_view text_;
    std::string copy_;
    std::vector<Hidden> hidden_;
};

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
                quotes_++;
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
                quotes_--;
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
    int quotes_ = 0;
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
    Hider hider(text);
    std::vector<Hidden> hidden = hider.hide();
    std::string copy = hider.copy();
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

std::string plain_text(const std::vector<Block>& blocks, size_t source, size_t source_end) {
    std::string out;
    const Block* before = nullptr;
    for (const Block& block : blocks) {
        std::string words;
        if (block.kind == Block::Kind::table) {
            for (const auto& row : block.rows) {
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

}  // namespace app::window
