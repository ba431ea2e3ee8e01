#include "runtime/text/grammar/grammar.h"

#include <algorithm>
#include <map>
#include <utility>

namespace runtime {

struct GrammarBuilder::Emitter {
    GrammarBuilder& builder;
    Grammar& out;
    std::vector<int32_t> pending;  // rules that were called and are not written yet

    int32_t here() const { return static_cast<int32_t>(out.program.size()); }

    int32_t put(Grammar::Op op, int32_t a = 0, int32_t b = 0) {
        if (out.program.size() >= kMaxInstructions) {
            throw GrammarError("the grammar is too large");
        }
        out.program.push_back({op, a, b});
        return here() - 1;
    }

    // `last`: nothing follows in the rule, so a rule that is called there may return for both.
    void emit(Expr e, bool last) {
        const Node& node = builder.nodes_[static_cast<size_t>(e)];
        switch (node.kind) {
            case Kind::empty:
            case Kind::nothing:
                break;
            case Kind::bytes:
                put(Grammar::Op::bytes, node.a);
                break;
            case Kind::token:
                put(Grammar::Op::token, node.a);
                break;
            case Kind::sequence:
                for (size_t i = 0; i < node.parts.size(); i++) {
                    emit(node.parts[i], last && i + 1 == node.parts.size());
                }
                break;
            case Kind::choice:
                emit_choice(node, last);
                break;
            case Kind::repeat:
                emit_repeat(node);
                break;
            case Kind::unordered:
                emit_unordered(node);
                break;
            case Kind::rule:
                pending.push_back(node.a);
                put(last ? Grammar::Op::jump : Grammar::Op::call, node.a);
                marks.push_back(here() - 1);
                break;
        }
    }

    void emit_choice(const Node& node, bool last) {
        std::vector<Expr> parts;
        for (const Expr part : node.parts) {
            if (builder.productive(part)) {
                parts.push_back(part);
            }
        }
        std::vector<int32_t> ends;
        for (size_t i = 0; i < parts.size(); i++) {
            const bool more = i + 1 < parts.size();
            const int32_t split = more ? put(Grammar::Op::split) : 0;
            if (more) {
                out.program[static_cast<size_t>(split)].a = here();
            }
            emit(parts[i], last);
            if (more) {
                if (last) {
                    put(Grammar::Op::leave);
                } else {
                    ends.push_back(put(Grammar::Op::jump));
                }
                out.program[static_cast<size_t>(split)].b = here();
            }
        }
        for (const int32_t end : ends) {
            out.program[static_cast<size_t>(end)].a = here();
        }
    }

    void emit_repeat(const Node& node) {
        const Expr body = node.parts[0];
        if (node.b == 0 || !builder.productive(body)) {
            return;
        }
        if (node.b == 1) {  // least is 0: with 1 there is no node
            const int32_t split = put(Grammar::Op::split, here() + 1);
            emit(body, false);
            out.program[static_cast<size_t>(split)].b = here();
            return;
        }
        const auto loop = static_cast<int32_t>(out.loops.size());
        out.loops.push_back({0, builder.nullable(body) ? 0 : node.a, node.b});
        const bool skippable = out.loops.back().least == 0;
        const int32_t split = skippable ? put(Grammar::Op::split) : 0;
        put(Grammar::Op::loop_begin, loop);
        out.loops[static_cast<size_t>(loop)].begin = here();
        emit(body, false);
        put(Grammar::Op::loop_end, loop);
        if (skippable) {
            out.program[static_cast<size_t>(split)].a = split + 1;
            out.program[static_cast<size_t>(split)].b = here();
        }
    }

    void emit_unordered(const Node& node) {
        std::vector<int32_t> ways, ends;
        int32_t needed = 0;
        const auto loop = static_cast<int32_t>(out.loops.size());
        out.loops.emplace_back();
        put(Grammar::Op::loop_begin, loop);
        for (size_t i = 0; i < node.parts.size(); i++) {
            if (builder.productive(node.parts[i])) {
                needed |= (node.a >> i & 1) << ways.size();
                ways.push_back(here());
                emit(node.parts[i], false);
                ends.push_back(put(Grammar::Op::jump));
            }
        }
        for (const int32_t end : ends) {
            out.program[static_cast<size_t>(end)].a = here();
        }
        put(Grammar::Op::loop_end, loop);
        Grammar::Loop& made = out.loops[static_cast<size_t>(loop)];
        made.begin = ways.empty() ? here() : ways.front();
        made.ways = std::move(ways);
        made.needed = needed;
        made.after = here();
    }

    std::vector<int32_t> marks;  // calls and jumps whose target is still the number of a rule
};

namespace {

void classify_bytes(Grammar& grammar) {
    for (const std::bitset<256>& set : grammar.sets) {
        std::array<std::array<int32_t, 2>, 256> parts;
        for (auto& part : parts) {
            part = {-1, -1};
        }
        int32_t count = 0;
        for (size_t byte = 0; byte < 256; byte++) {
            int32_t& part = parts[grammar.byte_class[byte]][set.test(byte) ? 1 : 0];
            part = part < 0 ? count++ : part;
            grammar.byte_class[byte] = static_cast<uint8_t>(part);
        }
        grammar.byte_classes = count;
    }
}

}  // namespace

GrammarBuilder::GrammarBuilder() : empty_(add({Kind::empty})) {}

GrammarBuilder::Expr GrammarBuilder::add(Node node) {
    if (nodes_.size() >= kMaxInstructions) {
        throw GrammarError("the grammar is too large");
    }
    nodes_.push_back(std::move(node));
    return static_cast<Expr>(nodes_.size() - 1);
}

GrammarBuilder::Expr GrammarBuilder::nothing() {
    return add({Kind::nothing});
}

GrammarBuilder::Expr GrammarBuilder::bytes(const std::bitset<256>& set) {
    if (set.none()) {
        return nothing();
    }
    const auto found = std::find(sets_.begin(), sets_.end(), set);
    const auto index = static_cast<int32_t>(found - sets_.begin());
    if (found == sets_.end()) {
        sets_.push_back(set);
    }
    return add({Kind::bytes, {}, index});
}

GrammarBuilder::Expr GrammarBuilder::byte_range(int low, int high) {
    std::bitset<256> set;
    for (int i = low; i <= high; i++) {
        set.set(static_cast<size_t>(i));
    }
    return bytes(set);
}

GrammarBuilder::Expr GrammarBuilder::literal(std::string_view text) {
    std::vector<Expr> parts;
    for (const char c : text) {
        const int byte = static_cast<unsigned char>(c);
        parts.push_back(byte_range(byte, byte));
    }
    return sequence(std::move(parts));
}

GrammarBuilder::Expr GrammarBuilder::token(TokenId id) {
    return add({Kind::token, {}, id});
}

GrammarBuilder::Expr GrammarBuilder::sequence(std::vector<Expr> parts) {
    std::erase(parts, empty_);
    if (parts.empty()) {
        return empty_;
    }
    return parts.size() == 1 ? parts[0] : add({Kind::sequence, std::move(parts)});
}

GrammarBuilder::Expr GrammarBuilder::choice(std::vector<Expr> parts) {
    if (parts.empty()) {
        return nothing();
    }
    return parts.size() == 1 ? parts[0] : add({Kind::choice, std::move(parts)});
}

GrammarBuilder::Expr GrammarBuilder::repeat(Expr part, int32_t least, int32_t most) {
    if (least < 0 || (most != kAnyNumber && most < least)) {
        return nothing();
    }
    if (most == 0 || part == empty_) {
        return empty_;
    }
    if (least == 1 && most == 1) {
        return part;
    }
    return add({Kind::repeat, {part}, least, most});
}

GrammarBuilder::Expr GrammarBuilder::in_any_order(const std::vector<Item>& items) {
    if (items.size() > kMostUnordered) {
        throw GrammarError("too many things in any order");
    }
    if (items.empty()) {
        return empty_;
    }
    std::vector<Expr> parts;
    int32_t needed = 0;
    for (size_t i = 0; i < items.size(); i++) {
        parts.push_back(items[i].what);
        needed |= items[i].needed ? 1 << i : 0;
    }
    return add({Kind::unordered, std::move(parts), needed});
}

// Characters of one length share their lead bytes; a range is cut where the number of bytes, or of
// free bytes at the end, changes.
void GrammarBuilder::utf8_range(uint32_t low, uint32_t high, std::vector<Expr>& out) {
    constexpr uint32_t kLast[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    for (const uint32_t last : kLast) {
        if (low <= last && high > last) {
            utf8_range(low, last, out);
            utf8_range(last + 1, high, out);
            return;
        }
    }
    if (high <= 0x7F) {
        out.push_back(byte_range(static_cast<int>(low), static_cast<int>(high)));
        return;
    }
    for (int free = 1; free < 4; free++) {
        const uint32_t mask = (1U << 6 * free) - 1;
        if ((low & ~mask) != (high & ~mask)) {
            if ((low & mask) != 0) {
                utf8_range(low, low | mask, out);
                utf8_range((low | mask) + 1, high, out);
                return;
            }
            if ((high & mask) != mask) {
                utf8_range(low, (high & ~mask) - 1, out);
                utf8_range(high & ~mask, high, out);
                return;
            }
        }
    }
    const auto bytes_of = [](uint32_t c) {
        std::vector<int> b;
        if (c <= 0x7FF) {
            b = {static_cast<int>(0xC0 | c >> 6)};
        } else if (c <= 0xFFFF) {
            b = {static_cast<int>(0xE0 | c >> 12), static_cast<int>(0x80 | (c >> 6 & 63))};
        } else {
            b = {static_cast<int>(0xF0 | c >> 18), static_cast<int>(0x80 | (c >> 12 & 63)),
                 static_cast<int>(0x80 | (c >> 6 & 63))};
        }
        b.push_back(static_cast<int>(0x80 | (c & 63)));
        return b;
    };
    const std::vector<int> from = bytes_of(low), to = bytes_of(high);
    std::vector<Expr> parts;
    for (size_t i = 0; i < from.size(); i++) {
        parts.push_back(byte_range(from[i], to[i]));
    }
    out.push_back(sequence(std::move(parts)));
}

GrammarBuilder::Expr GrammarBuilder::code_points(CodePoints ranges, bool negated) {
    std::sort(ranges.begin(), ranges.end());
    CodePoints merged;
    for (const auto& [low, high] : ranges) {
        if (low > high) {
            continue;
        }
        if (!merged.empty() && low <= merged.back().second + 1) {
            merged.back().second = std::max(merged.back().second, high);
        } else {
            merged.emplace_back(low, high);
        }
    }
    if (negated) {
        CodePoints rest;
        uint32_t next = 0;
        for (const auto& [low, high] : merged) {
            if (low > next) {
                rest.emplace_back(next, low - 1);
            }
            next = high + 1;
        }
        if (next <= 0x10FFFF) {
            rest.emplace_back(next, 0x10FFFF);
        }
        merged = std::move(rest);
    }
    std::vector<Expr> parts;
    std::bitset<256> ascii;
    for (auto [low, high] : merged) {
        high = std::min<uint32_t>(high, 0x10FFFF);
        for (uint32_t c = low; c <= high && c <= 0x7F; c++) {
            ascii.set(c);
        }
        low = std::max<uint32_t>(low, 0x80);
        if (low <= std::min<uint32_t>(high, 0xD7FF)) {
            utf8_range(low, std::min<uint32_t>(high, 0xD7FF), parts);
        }
        low = std::max<uint32_t>(low, 0xE000);
        if (low <= high) {
            utf8_range(low, high, parts);
        }
    }
    if (ascii.any()) {
        parts.push_back(bytes(ascii));
    }
    return choice(std::move(parts));
}

GrammarBuilder::Expr GrammarBuilder::text_without(const std::vector<std::string>& markers) {
    // A state for each beginning of a marker: the longest that the text so far ends with (Aho, Corasick).
    std::map<std::string, Expr> states;
    std::string letters;
    CodePoints in_markers;
    for (const std::string& marker : markers) {
        for (size_t i = 0; i < marker.size(); i++) {
            const std::string begun = marker.substr(0, i);
            if (!states.contains(begun)) {
                states.emplace(begun, declare("text without " + marker));
            }
            const auto c = static_cast<unsigned char>(marker[i]);
            in_markers.emplace_back(c, c);
            letters += letters.find(marker[i]) == std::string::npos ? std::string(1, marker[i]) : "";
        }
    }
    const Expr other = code_points(in_markers, true);
    for (const auto& [begun, state] : states) {
        std::vector<Expr> ways = {empty_, sequence({other, states.at("")})};
        for (const char c : letters) {
            std::string seen = begun + c;
            const auto whole = [&](const std::string& marker) { return seen.ends_with(marker); };
            if (std::any_of(markers.begin(), markers.end(), whole)) {
                continue;
            }
            while (!states.contains(seen)) {
                seen.erase(0, 1);
            }
            ways.push_back(sequence({literal(std::string_view(&c, 1)), states.at(seen)}));
        }
        define(state, choice(std::move(ways)));
    }
    return states.at("");
}

GrammarBuilder::Expr GrammarBuilder::declare(const std::string& name) {
    rules_.push_back({name});
    return add({Kind::rule, {}, static_cast<int32_t>(rules_.size() - 1)});
}

void GrammarBuilder::define(Expr rule, Expr what) {
    rules_[static_cast<size_t>(nodes_[static_cast<size_t>(rule)].a)].body = what;
}

bool GrammarBuilder::productive(Expr e) const {
    return productive_[static_cast<size_t>(e)] != 0;
}

bool GrammarBuilder::nullable(Expr e) const {
    return nullable_[static_cast<size_t>(e)] != 0;
}

void GrammarBuilder::check_left(int32_t index) {
    Rule& rule = rules_[static_cast<size_t>(index)];
    if (rule.visited) {
        return;
    }
    if (rule.visiting) {
        throw GrammarError("rule '" + rule.name +
                           "' begins with itself (left recursion); write it as a repetition");
    }
    // Each rule is a few frames of recursion; the stack of a server's thread holds no more.
    if (++left_depth_ > kMaxLeftDepth) {
        throw GrammarError("rule '" + rule.name + "': too many rules begin with one another");
    }
    rule.visiting = true;
    check_left_of(rule.body);
    rule.visiting = false;
    left_depth_--;
    rule.visited = true;
}

void GrammarBuilder::check_left_of(Expr e) {
    const Node& node = nodes_[static_cast<size_t>(e)];
    if (!productive(e)) {
        return;
    }
    if (node.kind == Kind::rule) {
        check_left(node.a);
    } else if (node.kind == Kind::sequence) {
        for (const Expr part : node.parts) {
            check_left_of(part);
            if (!nullable(part)) {
                break;
            }
        }
    } else {
        for (const Expr part : node.parts) {
            check_left_of(part);
        }
    }
}

// All rules that `start` leads to are. Others may not be, where somebody gave up half-way.
void GrammarBuilder::check_defined(Expr start) {
    std::vector<char> reached(nodes_.size(), 0);
    std::vector<Expr> todo = {start};
    while (!todo.empty()) {
        const Expr e = todo.back();
        todo.pop_back();
        if (std::exchange(reached[static_cast<size_t>(e)], 1) != 0) {
            continue;
        }
        const Node& node = nodes_[static_cast<size_t>(e)];
        todo.insert(todo.end(), node.parts.begin(), node.parts.end());
        if (node.kind == Kind::rule) {
            const Rule& rule = rules_[static_cast<size_t>(node.a)];
            if (rule.body < 0) {
                throw GrammarError("rule '" + rule.name + "' is used and not defined");
            }
            todo.push_back(rule.body);
        }
    }
    for (Rule& rule : rules_) {
        rule.body = rule.body < 0 ? empty_ : rule.body;
    }
}

std::shared_ptr<const Grammar> GrammarBuilder::build(Expr start) {
    check_defined(start);
    // Least fixed points: what can end, and what can be empty. What became true makes those that
    // hold it worth another look, so the work is linear in the grammar, in whatever order its rules
    // stand.
    productive_.assign(nodes_.size(), 0);
    nullable_.assign(nodes_.size(), 0);
    std::vector<std::vector<Expr>> holders(nodes_.size());
    std::vector<Expr> todo;
    for (size_t i = 0; i < nodes_.size(); i++) {
        for (const Expr part : nodes_[i].parts) {
            holders[static_cast<size_t>(part)].push_back(static_cast<Expr>(i));
        }
        if (nodes_[i].kind == Kind::rule) {
            const Expr body = rules_[static_cast<size_t>(nodes_[i].a)].body;
            holders[static_cast<size_t>(body)].push_back(static_cast<Expr>(i));
        }
        todo.push_back(static_cast<Expr>(i));
    }
    // How many parts of a sequence are still to become true: long ones are not read again and
    // again.
    std::vector<size_t> unproductive(nodes_.size()), not_nullable(nodes_.size());
    for (size_t i = 0; i < nodes_.size(); i++) {
        unproductive[i] = not_nullable[i] = nodes_[i].parts.size();
    }
    const auto set = [&](Expr e, std::vector<char>& of, std::vector<size_t>& left) {
        char& known = of[static_cast<size_t>(e)];
        if (known == 0) {
            known = 1;
            for (const Expr holder : holders[static_cast<size_t>(e)]) {
                if (nodes_[static_cast<size_t>(holder)].kind != Kind::rule) {
                    left[static_cast<size_t>(holder)]--;
                }
                todo.push_back(holder);
            }
        }
    };
    while (!todo.empty()) {
        const Expr e = todo.back();
        todo.pop_back();
        const auto i = static_cast<size_t>(e);
        const Node& node = nodes_[i];
        const size_t parts = node.parts.size();
        bool can_end = true, can_be_empty = false;
        switch (node.kind) {
            case Kind::empty:
                can_be_empty = true;
                break;
            case Kind::nothing:
                can_end = false;
                break;
            case Kind::bytes:
            case Kind::token:
                break;
            case Kind::sequence:
                can_end = unproductive[i] == 0;
                can_be_empty = not_nullable[i] == 0;
                break;
            case Kind::choice:
                can_end = unproductive[i] < parts;
                can_be_empty = not_nullable[i] < parts;
                break;
            case Kind::repeat:
                can_end = node.a == 0 || unproductive[i] == 0;
                can_be_empty = node.a == 0 || not_nullable[i] == 0;
                break;
            case Kind::unordered:
                can_end = can_be_empty = true;
                for (size_t part = 0; part < parts; part++) {
                    if ((node.a >> part & 1) != 0) {
                        can_end = can_end && productive(node.parts[part]);
                        can_be_empty = can_be_empty && nullable(node.parts[part]);
                    }
                }
                break;
            case Kind::rule: {
                const auto body = static_cast<size_t>(rules_[static_cast<size_t>(node.a)].body);
                can_end = productive_[body] != 0;
                can_be_empty = nullable_[body] != 0;
                break;
            }
        }
        if (can_end) {
            set(e, productive_, unproductive);
        }
        if (can_be_empty) {
            set(e, nullable_, not_nullable);
        }
    }
    if (!productive(start)) {
        throw GrammarError("nothing can satisfy it");
    }
    for (Rule& rule : rules_) {
        rule.visiting = rule.visited = false;
        rule.at = -1;
    }
    left_depth_ = 0;
    check_left_of(start);

    auto grammar = std::make_shared<Grammar>();
    Emitter emitter{*this, *grammar, {}, {}};
    emitter.emit(start, false);
    emitter.put(Grammar::Op::match);
    while (!emitter.pending.empty()) {
        Rule& rule = rules_[static_cast<size_t>(emitter.pending.back())];
        emitter.pending.pop_back();
        if (rule.at < 0) {
            rule.at = emitter.here();
            emitter.emit(rule.body, true);
            emitter.put(Grammar::Op::leave);
        }
    }
    for (const int32_t mark : emitter.marks) {
        Grammar::Instruction& instruction = grammar->program[static_cast<size_t>(mark)];
        instruction.a = rules_[static_cast<size_t>(instruction.a)].at;
    }
    grammar->sets = sets_;
    classify_bytes(*grammar);
    return grammar;
}

}  // namespace runtime
