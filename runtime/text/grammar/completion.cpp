#include "runtime/text/grammar/completion.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

namespace runtime {

CompletionCosts::CompletionCosts(const Grammar& grammar)
    : loops_(grammar.loops),
      costs_(grammar.program.size(), kNever),
      loop_ends_(grammar.loops.size(), 0) {
    using Op = Grammar::Op;
    const std::vector<Grammar::Instruction>& program = grammar.program;
    const auto count = static_cast<int32_t>(program.size());
    for (int32_t i = 0; i < count; i++) {
        if (program[static_cast<size_t>(i)].op == Op::loop_end) {
            loop_ends_[static_cast<size_t>(program[static_cast<size_t>(i)].a)] = i + 1;
        }
    }
    // What an instruction's cost is made of: one or two others; -1: none.
    const auto parts_of = [&](int32_t at) -> std::pair<int32_t, int32_t> {
        const Grammar::Instruction& i = program[static_cast<size_t>(at)];
        switch (i.op) {
            case Op::bytes:
            case Op::token:
                return {at + 1, -1};
            case Op::split:
                return {i.a, i.b};
            case Op::jump:
                return {i.a, -1};
            case Op::call:
                return {i.a, at + 1};
            case Op::loop_begin:
                return {at + 1, loop_ends_[static_cast<size_t>(i.a)]};
            default:
                return {-1, -1};
        }
    };
    std::vector<std::vector<int32_t>> users(program.size());
    std::vector<char> settled(program.size(), 0);
    using Entry = std::pair<int64_t, int32_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    for (int32_t i = 0; i < count; i++) {
        const auto [first, second] = parts_of(i);
        for (const int32_t part : {first, second}) {
            if (part >= 0) {
                users[static_cast<size_t>(part)].push_back(i);
            }
        }
        if (first < 0) {
            queue.emplace(0, i);  // the end of something
        }
    }
    const auto cost = [&](int32_t at) { return costs_[static_cast<size_t>(at)]; };
    while (!queue.empty()) {
        const auto [value, at] = queue.top();
        queue.pop();
        if (settled[static_cast<size_t>(at)] != 0) {
            continue;
        }
        settled[static_cast<size_t>(at)] = 1;
        costs_[static_cast<size_t>(at)] = value;
        for (const int32_t user : users[static_cast<size_t>(at)]) {
            const Grammar::Instruction& i = program[static_cast<size_t>(user)];
            const auto [first, second] = parts_of(user);
            const bool all = settled[static_cast<size_t>(first)] != 0 &&
                             (second < 0 || settled[static_cast<size_t>(second)] != 0);
            if (settled[static_cast<size_t>(user)] != 0 || (!all && i.op != Op::split)) {
                continue;
            }
            int64_t sum = 0;
            switch (i.op) {
                case Op::split:
                    sum = value;
                    break;
                case Op::call:
                    sum = cost(first) + cost(second);
                    break;
                case Op::loop_begin: {
                    const int64_t least = std::max(1, loops_[static_cast<size_t>(i.a)].least);
                    sum = cost(first) > kNever / least ? kNever : cost(first) * least;
                    sum += cost(second);
                    break;
                }
                default:
                    sum = value + (i.op == Op::jump ? 0 : 1);
            }
            queue.emplace(std::min(sum, kNever), user);
        }
    }
}

int64_t CompletionCosts::after_turn(int32_t loop, int64_t turns) const {
    const Grammar::Loop& l = loops_[static_cast<size_t>(loop)];
    const int64_t left = std::max<int64_t>(0, l.least - turns), turn = of(l.begin);
    const int64_t more = left > 0 && turn > kNever / left ? kNever : left * turn;
    return std::min(kNever, more + of(loop_ends_[static_cast<size_t>(loop)]));
}

}  // namespace runtime
