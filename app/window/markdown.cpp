#include "app/window/markdown.h"

#include <cstdlib>
#include <optional>

#include <md4c.h>

#include "app/window/utf8.h"

namespace app::window {
namespace {

// The few that people and models write; any other stays as it stands.
std::string entity(std::string_view text) {
    static constexpr std::pair<std::string_view, std::string_view> kNamed[] = {
        {"&amp;", "&"},         {"&lt;", "<"},        {"&gt;", ">"},         {"&quot;", "\""},
        {"&apos;", "'"},        {"&nbsp;", "\u00A0"}, {"&mdash;", "\u2014"}, {"&ndash;", "\u2013"},
        {"&hellip;", "\u2026"}, {"&copy;", "\u00A9"}};
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
    std::vector<Block> take() {
        close_paragraph();
        return std::move(blocks_);
    }

    void enter(MD_BLOCKTYPE type, void* detail) {
        switch (type) {
            case MD_BLOCK_QUOTE:
                close_paragraph();
                quotes_++;
                break;
            case MD_BLOCK_UL:
                close_paragraph();
                lists_.push_back({});
                break;
            case MD_BLOCK_OL:
                close_paragraph();
                lists_.push_back({static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start});
                break;
            case MD_BLOCK_LI: {
                close_paragraph();
                const auto* item = static_cast<MD_BLOCK_LI_DETAIL*>(detail);
                if (item->is_task) {
                    marker_ = item->task_mark == ' ' ? "\u2610" : "\u2611";
                } else if (!lists_.empty() && lists_.back()) {
                    marker_ = std::to_string((*lists_.back())++) + ".";
                } else {
                    marker_ = "\u2022";
                }
                break;
            }
            case MD_BLOCK_HR:
                begin(Block::Kind::rule);
                close_paragraph();
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
                close_paragraph();
                quotes_--;
                break;
            case MD_BLOCK_UL:
            case MD_BLOCK_OL:
                close_paragraph();
                lists_.pop_back();
                break;
            case MD_BLOCK_LI:
                if (!marker_.empty()) {
                    begin(
                        Block::Kind::paragraph);  // an item without any text still shows its bullet
                }
                close_paragraph();
                break;
            case MD_BLOCK_TH:
            case MD_BLOCK_TD:
                cell_ = false;
                break;
            case MD_BLOCK_P:
            case MD_BLOCK_H:
            case MD_BLOCK_CODE:
            case MD_BLOCK_TABLE:
                close_paragraph();
                break;
            default:
                break;
        }
    }

    void span(MD_SPANTYPE type, void* detail, bool enter) {
        const auto toggle = [&](uint8_t style) {
            depth_[style] += enter ? 1 : -1;
            style_ = static_cast<uint8_t>(depth_[style] > 0 ? style_ | style : style_ & ~style);
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
                toggle(kLink);
                if (enter) {
                    const auto& href = static_cast<MD_SPAN_A_DETAIL*>(detail)->href;
                    RichText& target = rich();
                    target.links.emplace_back(href.text ? href.text : "", href.size);
                    link_ = static_cast<int>(target.links.size()) - 1;
                } else {
                    link_ = -1;
                }
                break;
            default:
                break;
        }
    }

    void text(MD_TEXTTYPE type, std::string_view piece) {
        switch (type) {
            case MD_TEXT_NULLCHAR:
                add("\uFFFD");
                break;
            case MD_TEXT_BR:
            case MD_TEXT_SOFTBR:
                add("\n");
                break;
            case MD_TEXT_ENTITY:
                add(entity(piece));
                break;
            default:
                add(piece);
                break;
        }
    }

private:
    Block& begin(Block::Kind kind) {
        close_paragraph();
        open_.emplace();
        open_->kind = kind;
        open_->indent = static_cast<int>(lists_.size());
        open_->quotes = quotes_;
        open_->marker = std::move(marker_);
        marker_.clear();
        return *open_;
    }

    void close_paragraph() {
        if (open_) {
            if (open_->kind == Block::Kind::code && open_->rich.text.ends_with('\n')) {
                open_->rich.text.pop_back();
                if (!open_->rich.spans.empty()) {
                    open_->rich.spans.back().end = static_cast<uint32_t>(open_->rich.text.size());
                }
            }
            blocks_.push_back(std::move(*open_));
            open_.reset();
        }
    }

    RichText& rich() {
        if (!open_) {
            begin(Block::Kind::paragraph);  // tight list items carry text without a paragraph
                                            // around it
        }
        return cell_ ? open_->rows.back().back() : open_->rich;
    }

    void add(std::string_view piece) {
        RichText& target = rich();
        const auto begin_at = static_cast<uint32_t>(target.text.size());
        target.text += piece;
        const auto end_at = static_cast<uint32_t>(target.text.size());
        if (!target.spans.empty() && target.spans.back().style == style_ &&
            target.spans.back().link == link_) {
            target.spans.back().end = end_at;
        } else if (end_at > begin_at) {
            target.spans.push_back({begin_at, end_at, style_, link_});
        }
    }

    std::vector<Block> blocks_;
    std::optional<Block> open_;
    std::vector<std::optional<unsigned>> lists_;  // a number: the next item's of an ordered list
    std::string marker_;
    int quotes_ = 0;
    bool cell_ = false;
    uint8_t style_ = 0;
    int link_ = -1;
    int depth_[32] = {};
};

// An opening or closing code fence: at most three blanks, then three or more ` or ~. 0: none.
struct Fence {
    char mark = 0;
    size_t length = 0;
    bool bare = false;  // nothing behind the marks: it may close
};
Fence fence_of(std::string_view line) {
    size_t i = 0;
    while (i < line.size() && i < 3 && line[i] == ' ') {
        i++;
    }
    Fence fence;
    if (i < line.size() && (line[i] == '`' || line[i] == '~')) {
        const size_t begin = i;
        while (i < line.size() && line[i] == line[begin]) {
            i++;
        }
        if (i - begin >= 3) {
            fence = {line[begin], i - begin,
                     line.find_first_not_of(" \t\r", i) == std::string_view::npos};
        }
    }
    return fence;
}

// A line that could continue a list or an indented block above a blank line.
bool may_continue(std::string_view line) {
    if (line.empty() || line[0] == ' ' || line[0] == '\t') {
        return true;
    }
    if (line[0] == '-' || line[0] == '*' || line[0] == '+' || line[0] == '>') {
        return true;
    }
    size_t digits = 0;
    while (digits < line.size() && line[digits] >= '0' && line[digits] <= '9') {
        digits++;
    }
    return digits > 0 && (digits == line.size() || line[digits] == '.' || line[digits] == ')');
}

}  // namespace

std::vector<Block> parse_markdown(std::string_view text) {
    Builder builder;
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
        static_cast<Builder*>(user)->text(type, {piece, size});
        return 0;
    };
    md_parse(text.data(), static_cast<MD_SIZE>(text.size()), &parser, &builder);
    return builder.take();
}

size_t stable_end(std::string_view text, size_t from) {
    size_t stable = from;
    Fence open;
    bool after_blank = false;
    for (size_t at = from; at < text.size();) {
        const size_t newline = text.find('\n', at);
        if (newline == std::string_view::npos) {
            // An unfinished line: what it is cannot be told yet, unless its first characters
            // already settle it.
            if (!open.mark && after_blank && text.size() - at > 3 &&
                !may_continue(text.substr(at))) {
                stable = at;
            }
            break;
        }
        const std::string_view line = text.substr(at, newline - at);
        const Fence fence = fence_of(line);
        if (open.mark) {
            if (fence.mark == open.mark && fence.length >= open.length && fence.bare) {
                open = {};
            }
            after_blank = false;
        } else {
            const bool blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
            if (after_blank && !blank && !may_continue(line)) {
                stable = at;
            }
            if (fence.mark) {
                open = fence;
            }
            after_blank = blank;
        }
        at = newline + 1;
    }
    return stable;
}

}  // namespace app::window
