#include "app/window/markdown_signs.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "app/window/latex.h"
#include "app/window/markdown.h"

namespace app::window {
namespace {

constexpr char kFiller = '\x03';

bool is_word_byte(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

class Hider {
public:
    explicit Hider(std::string& copy) : source_(copy), text_(source_), copy_(copy) {}

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

    std::string source_;
    std::string_view text_;
    std::string& copy_;
    std::vector<Hidden> hidden_;
};

}  // namespace

std::vector<Hidden> hide_signs(std::string& text) {
    return Hider(text).hide();
}

}  // namespace app::window
