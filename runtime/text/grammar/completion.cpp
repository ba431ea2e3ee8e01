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
    // What an instruction's cost is made of.
    const auto each_part = [&](int32_t at, const auto& use) {
        const Grammar::Instruction& i = program[static_cast<size_t>(at)];
        switch (i.op) {
            case Op::bytes:
            case Op::token:
                use(at + 1);
                break;
            case Op::split:
                use(i.a);
                use(i.b);
                break;
            case Op::jump:
                use(i.a);
                break;
            case Op::call:
                use(i.a);
                use(at + 1);
                break;
            case Op::loop_begin: {
                const Grammar::Loop& loop = loops_[static_cast<size_t>(i.a)];
                if (loop.after == 0) {
                    use(at + 1);
                }
                for (size_t way = 0; way < loop.ways.size(); way++) {
                    if ((loop.needed >> way & 1) != 0) {
                        use(loop.ways[way]);
                    }
                }
                use(loop_ends_[static_cast<size_t>(i.a)]);
                break;
            }
            default:
                break;
        }
    };
    std::vector<std::vector<int32_t>> users(program.size());
    std::vector<char> settled(program.size(), 0);
    using Entry = std::pair<int64_t, int32_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    for (int32_t i = 0; i < count; i++) {
        bool end = true;  // of something
        each_part(i, [&](int32_t part) {
            users[static_cast<size_t>(part)].push_back(i);
            end = false;
        });
        if (end) {
            queue.emplace(0, i);
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
            bool all = true;
            int64_t parts = 0;
            each_part(user, [&](int32_t part) {
                all = all && settled[static_cast<size_t>(part)] != 0;
                parts += cost(part);
            });
            if (settled[static_cast<size_t>(user)] != 0 || (!all && i.op != Op::split)) {
                continue;
            }
            int64_t sum = 0;
            switch (i.op) {
                case Op::split:
                    sum = value;
                    break;
                case Op::call:
                    sum = parts;
                    break;
                case Op::loop_begin: {
                    const Grammar::Loop& loop = loops_[static_cast<size_t>(i.a)];
                    const int64_t more = std::max(1, loop.least) - 1;
                    const int64_t turn = loop.after == 0 ? cost(user + 1) : 0;
                    sum = parts + (more > 0 && turn > kNever / more ? kNever : turn * more);
                    break;
                }
                default:
                    sum = value + (i.op == Op::jump ? 0 : 1);
            }
            queue.emplace(std::min(sum, kNever), user);
        }
    }
}

int64_t CompletionCosts::after_turn(int32_t loop, int32_t count) const {
    const Grammar::Loop& l = loops_[static_cast<size_t>(loop)];
    if (l.after != 0) {
        int64_t sum = of(l.after);
        for (size_t way = 0; way < l.ways.size(); way++) {
            sum += (l.needed & ~count) >> way & 1 ? of(l.ways[way]) : 0;
        }
        return std::min(kNever, sum);
    }
    const int64_t left = std::max<int64_t>(0, l.least - (count + int64_t{1})), turn = of(l.begin);
    const int64_t more = left > 0 && turn > kNever / left ? kNever : left * turn;
    return std::min(kNever, more + of(loop_ends_[static_cast<size_t>(loop)]));
}

}  // namespace runtime
