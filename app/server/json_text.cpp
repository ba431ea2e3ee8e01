#include "app/server/json_text.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace app {

CodePoints without(const CodePoints& ranges, uint32_t low, uint32_t high) {
    CodePoints out;
    for (const auto& [a, z] : ranges) {
        if (z < low || a > high) {
            out.emplace_back(a, z);
            continue;
        }
        if (a < low) {
            out.emplace_back(a, low - 1);
        }
        if (z > high) {
            out.emplace_back(high + 1, z);
        }
    }
    return out;
}

JsonText::Expr JsonText::character(const CodePoints& ranges, bool freely) {
    CodePoints raw = without(without(without(ranges, 0, 0x1F), '"', '"'), '\\', '\\');
    raw = without(raw, 0x7F, 0x7F);
    if (in_argument_) {
        raw = without(raw, '<', '<');
    }
    std::vector<Expr> ways = {b_.code_points(raw)};
    const auto has = [&](uint32_t c) {
        return std::any_of(ranges.begin(), ranges.end(),
                           [&](const auto& r) { return r.first <= c && c <= r.second; });
    };
    static constexpr std::pair<uint32_t, char> kShort[] = {
        {'"', '"'}, {'\\', '\\'}, {8, 'b'}, {9, 't'}, {10, 'n'}, {12, 'f'}, {13, 'r'}};
    for (const auto& [c, letter] : kShort) {
        if (has(c)) {
            ways.push_back(b_.literal(std::string("\\") + letter));
        }
    }
    if (freely) {
        ways.push_back(b_.literal("\\/"));
        const Expr hex = b_.code_points({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
        const Expr d = b_.code_points({{'d', 'd'}, {'D', 'D'}});
        const Expr low_pair = b_.sequence(
            {b_.literal("\\u"), d, b_.code_points({{'c', 'f'}, {'C', 'F'}}), hex, hex});
        ways.push_back(b_.sequence(
            {b_.literal("\\u"),
             b_.choice({b_.sequence(
                            {b_.code_points(
                                 {{'0', '9'}, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}}),
                             hex, hex, hex}),
                        b_.sequence({d, b_.code_points({{'0', '7'}}), hex, hex}),
                        b_.sequence({d, b_.code_points({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}),
                                     hex, hex, low_pair})})}));
    } else {
        static constexpr char kHex[] = "0123456789abcdef";
        for (uint32_t c = 0; c < 0x20; c++) {
            if (has(c) && std::none_of(std::begin(kShort), std::end(kShort),
                                       [c](const auto& s) { return s.first == c; })) {
                ways.push_back(b_.literal(std::string("\\u00") + kHex[c >> 4] + kHex[c & 15]));
            }
        }
        for (const uint32_t c : {uint32_t{0x7F}, static_cast<uint32_t>('<')}) {
            if (has(c) && (c != '<' || in_argument_)) {
                ways.push_back(b_.literal(std::string("\\u00") + kHex[c >> 4] + kHex[c & 15]));
            }
        }
    }
    return b_.choice(std::move(ways));
}

JsonText::Expr JsonText::quoted(Expr inside) { return b_.sequence({b_.literal("\""), inside, b_.literal("\"")}); }

// A rule of its own: its inside is then the same wherever a string stands (inner_masks.h).
JsonText::Expr JsonText::string_of(int32_t least, int32_t most) {
    const Expr one = shared("character", [&] { return character({{0, 0x10FFFF}}, true); });
    return shared("string " + std::to_string(least) + " " + std::to_string(most),
                  [&] { return quoted(b_.repeat(one, least, most)); });
}

JsonText::Expr JsonText::comma() {
    return shared("comma", [&] {
        return b_.sequence({b_.literal(","), b_.optional(b_.literal(" "))});
    });
}

JsonText::Expr JsonText::colon() {
    return shared("colon", [&] {
        return b_.sequence({b_.literal(":"), b_.optional(b_.literal(" "))});
    });
}

JsonText::Expr JsonText::pair(Expr key, Expr value) { return b_.sequence({key, colon(), value}); }

JsonText::Expr JsonText::object_of_pairs(Expr one, int32_t least, int32_t most) {
    if (most == 0) {
        return b_.literal("{}");
    }
    const Expr some = b_.sequence({b_.literal("{"), one,
                                   b_.repeat(b_.sequence({comma(), one}),
                                             std::max(0, least - 1), most < 0 ? -1 : most - 1),
                                   b_.literal("}")});
    return least == 0 ? b_.choice({b_.literal("{}"), some}) : some;
}

std::string JsonText::constant_text(const Json& value) const {
    std::string text = to_text(value);
    if (in_argument_) {
        for (size_t at = 0; (at = text.find('<', at)) != std::string::npos;) {
            text.replace(at, 1, "\\u003c");  // inside strings only: nothing else of JSON has it
        }
    }
    return text;
}

JsonText::Expr JsonText::other_key(const std::vector<std::string>& names) {
    struct Node {
        std::map<char, size_t> next;
        bool name = false;
    };
    std::vector<Node> tree(1);
    for (const std::string& name : names) {
        size_t at = 0;
        for (const char c : name) {
            const auto found = tree[at].next.find(c);
            if (found != tree[at].next.end()) {
                at = found->second;
            } else {
                tree.emplace_back();
                tree[at].next.emplace(c, tree.size() - 1);
                at = tree.size() - 1;
            }
        }
        tree[at].name = true;
    }
    // Letters and the like are enough for new keys, and keep the tree to single bytes.
    const CodePoints plain = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'},
                              {'-', '-'}, {' ', ' '}, {'.', '.'}};
    const Expr rest = b_.repeat(b_.code_points(plain), 0);
    std::vector<Expr> from(tree.size());
    for (size_t i = tree.size(); i-- > 0;) {
        std::vector<Expr> ways;
        CodePoints free = plain;
        for (const auto& [c, child] : tree[i].next) {
            const auto byte = static_cast<uint32_t>(static_cast<unsigned char>(c));
            free = without(free, byte, byte);
            if (byte < 0x80 && byte >= 0x20 && c != '"' && c != '\\' &&
                (c != '<' || !in_argument_)) {
                ways.push_back(b_.sequence({b_.literal(std::string(1, c)), from[child]}));
            }
        }
        ways.push_back(b_.sequence({b_.code_points(free), rest}));
        if (!tree[i].name) {
            ways.push_back(b_.empty());
        }
        const Expr rule = b_.declare("another key");
        b_.define(rule, b_.choice(std::move(ways)));
        from[i] = rule;
    }
    return quoted(from[0]);
}

}  // namespace app
