#include "runtime/text/grammar/automaton.h"

#include <algorithm>

namespace runtime {
namespace {

// Ways to read one text at the same time. An ambiguous grammar can have ever more of them.
constexpr size_t kMaxPlaces = 20'000;

uint64_t mix(uint64_t hash, uint64_t value) {
    value = (value ^ hash) * 0x9E3779B97F4A7C15U;
    return value ^ value >> 29;
}

}  // namespace

size_t Automaton::FrameHash::operator()(const Frame& f) const {
    return mix(mix(mix(0, f.below), static_cast<uint32_t>(f.at)), static_cast<uint32_t>(f.count));
}

Automaton::Automaton(std::shared_ptr<const Grammar> grammar,
                     Bottom bottom,
                     const CompletionCosts* costs)
    : grammar_(std::move(grammar)),
      bottom_(bottom),
      costs_(costs),
      classes_(grammar_->byte_class.data()),
      seen_(64),
      marks_(64, 0) {
    forget();
}

void Automaton::forget() {
    states_.clear();
    by_content_.clear();
    frames_.assign(1, {0, 0, bottom_ == Bottom::end ? kRule : kEdge});
    frame_costs_.assign(1, 0);
    by_frame_.clear();
}

uint32_t Automaton::push(uint32_t below, int32_t at, int32_t count) {
    const Frame frame{below, at, count};
    const auto [found, is_new] =
        by_frame_.try_emplace(frame, static_cast<uint32_t>(frames_.size()));
    if (is_new) {
        frames_.push_back(frame);
        if (costs_ != nullptr) {
            // A rule returns to `at`.
            const int64_t cost = count < 0 ? costs_->of(at) : costs_->after_turn(at, count);
            frame_costs_.push_back(std::min(CompletionCosts::kNever, cost + frame_costs_[below]));
        }
    }
    return found->second;
}

void Automaton::count_above(uint32_t stack, int32_t loop) {
    base_ = stack;
    counted_ = loop;
    lower_.clear();
    for (; stack != 0; stack = frames_[stack].below) {
        lower_.insert(lower_.begin(), frames_[stack]);
    }
}

// Whether it was followed in this round; from now on it was.
bool Automaton::seen(const Place& p) {
    if (seen_count_ * 2 >= seen_.size()) {
        std::vector<Place> old;
        for (size_t i = 0; i < seen_.size(); i++) {
            if (marks_[i] == round_) {
                old.push_back(seen_[i]);
            }
        }
        seen_.resize(seen_.size() * 2);
        marks_.assign(seen_.size(), 0);
        round_ = 1;
        seen_count_ = 0;
        for (const Place& one : old) {
            seen(one);
        }
    }
    const size_t mask = seen_.size() - 1;
    for (size_t i = mix(mix(0, static_cast<uint32_t>(p.at)), p.stack) & mask;; i = (i + 1) & mask) {
        if (marks_[i] != round_) {
            marks_[i] = round_;
            seen_[i] = p;
            seen_count_++;
            return false;
        }
        if (seen_[i] == p) {
            return true;
        }
    }
}

void Automaton::drop_followed() {
    todo_.clear();
    found_.clear();
    fresh_.clear();
    exits_.clear();
    found_end_ = false;
    seen_count_ = 0;
    if (++round_ == 0) {
        std::fill(marks_.begin(), marks_.end(), 0);
        round_ = 1;
    }
}

// Things in any order, some of which there have been.
void Automaton::next_way(uint32_t below, int32_t index, int32_t taken) {
    const Grammar::Loop& loop = grammar_->loops[static_cast<size_t>(index)];
    if ((loop.needed & ~taken) == 0) {
        todo_.push_back({loop.after, below});
    }
    for (size_t i = 0; i < loop.ways.size(); i++) {
        if ((taken >> i & 1) == 0) {
            todo_.push_back({loop.ways[i], push(below, index, taken | 1 << i)});
        }
    }
}

// The end of a loop's turn: on, or once more.
void Automaton::leave_turn(const Place& p) {
    const Frame frame = frames_[p.stack];
    const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
    const Grammar::Loop& loop = grammar_->loops[static_cast<size_t>(i.a)];
    if (loop.after != 0) {
        next_way(frame.below, i.a, frame.count);
        return;
    }
    const int32_t turns = frame.count + 1;
    const bool free = counted_ == i.a && frame.below == base_;
    if (free) {
        // What it stood on now stands on how many turns it took.
        uint32_t stack = push(0, turns, kLeft);
        for (const Frame& f : lower_) {
            stack = push(stack, f.at, f.count);
        }
        todo_.push_back({p.at + 1, stack});
    } else if (turns >= loop.least) {
        todo_.push_back({p.at + 1, frame.below});
    }
    // A turn that read nothing is not worth another.
    const bool read = std::find(fresh_.begin(), fresh_.end(), p.stack) == fresh_.end();
    if (read && (free || loop.most < 0 || turns < loop.most)) {
        // Past `least` of an endless loop the count says nothing more.
        const int32_t count = free || loop.most >= 0 ? turns : std::min(turns, loop.least);
        const uint32_t again = push(frame.below, i.a, count);
        fresh_.push_back(again);
        todo_.push_back({loop.begin, again});
    }
}

// Adds what can be read from `from` on to found_.
void Automaton::follow(Place from) {
    using Op = Grammar::Op;
    todo_.push_back(from);
    while (!todo_.empty()) {
        const Place p = todo_.back();
        todo_.pop_back();
        if (seen(p)) {
            continue;
        }
        if (seen_count_ > kMaxPlaces) {
            drop_followed();
            throw GrammarError("the grammar is too ambiguous");
        }
        const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
        switch (i.op) {
            case Op::bytes:
            case Op::token:
                found_.push_back(p);
                break;
            case Op::split:
                todo_.push_back({i.b, p.stack});
                todo_.push_back({i.a, p.stack});
                break;
            case Op::jump:
                todo_.push_back({i.a, p.stack});
                break;
            case Op::call:
                todo_.push_back({i.a, push(p.stack, p.at + 1, kRule)});
                break;
            case Op::leave: {
                const Frame frame = frames_[p.stack];
                if (frame.count == kEdge) {
                    exits_.push_back(kAlways);
                } else if (frame.count == kLeft) {
                    exits_.push_back(frame.at);
                } else {
                    todo_.push_back({frame.at, frame.below});
                }
                break;
            }
            case Op::loop_begin: {
                if (const Grammar::Loop& loop = grammar_->loops[static_cast<size_t>(i.a)];
                    loop.after != 0) {
                    next_way(p.stack, i.a, 0);
                    break;
                }
                // On a counting edge the loop that is counted is entered already; another one, or
                // that one again, stands on what it left.
                const uint32_t frame = push(p.stack, i.a, 0);
                fresh_.push_back(frame);
                todo_.push_back({p.at + 1, frame});
                break;
            }
            case Op::loop_end:
                leave_turn(p);
                break;
            case Op::match: {
                const Frame frame = frames_[p.stack];
                if (bottom_ == Bottom::end) {
                    found_end_ = true;
                } else {
                    exits_.push_back(frame.count == kLeft ? frame.at : kAlways);
                }
                break;
            }
        }
    }
}

int32_t Automaton::state_of_followed() {
    std::sort(found_.begin(), found_.end());
    std::sort(exits_.begin(), exits_.end());
    exits_.erase(std::unique(exits_.begin(), exits_.end()), exits_.end());
    int32_t id = kDead;
    if (!found_.empty() || !exits_.empty() || found_end_) {
        uint64_t hash = found_end_ ? 1 : 0;
        for (const Place& p : found_) {
            hash = mix(mix(hash, static_cast<uint32_t>(p.at)), p.stack);
        }
        for (const int32_t exit : exits_) {
            hash = mix(hash, static_cast<uint32_t>(exit));
        }
        std::vector<int32_t>& ids = by_content_[hash];
        for (const int32_t known : ids) {
            const State& s = state(known);
            if (s.may_end == found_end_ && s.places == found_ && s.exits == exits_) {
                id = known;
            }
        }
        if (id == kDead) {
            id = static_cast<int32_t>(states_.size());
            ids.push_back(id);
            int64_t shortest = found_end_ || costs_ == nullptr ? 0 : CompletionCosts::kNever;
            if (costs_ != nullptr) {
                for (const Place& p : found_) {
                    shortest = std::min(shortest, cost_from(p));
                }
            }
            states_.push_back({found_, exits_, found_end_, shortest, nullptr});
        }
    }
    drop_followed();
    return id;
}

int32_t Automaton::state_of(const std::vector<Place>& from) {
    for (const Place& p : from) {
        follow(p);
    }
    return state_of_followed();
}

int32_t Automaton::find_after(int32_t id, uint8_t byte) {
    found_out_++;
    {
        State& s = states_[static_cast<size_t>(id)];
        if (!s.next) {
            const auto classes = static_cast<size_t>(grammar_->byte_classes);
            s.next = std::make_unique<int32_t[]>(classes);
            std::fill_n(s.next.get(), classes, kUnknown);
        }
        for (const Place& p : s.places) {
            const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
            if (i.op == Grammar::Op::bytes && grammar_->sets[static_cast<size_t>(i.a)].test(byte)) {
                follow({p.at + 1, p.stack});
            }
        }
    }
    const int32_t next = state_of_followed();  // may move the states
    states_[static_cast<size_t>(id)].next[classes_[byte]] = next;
    return next;
}

int32_t Automaton::after_token(int32_t id, TokenId special) {
    for (const Place& p : state(id).places) {
        const Grammar::Instruction& i = grammar_->program[static_cast<size_t>(p.at)];
        if (i.op == Grammar::Op::token && i.a == special) {
            follow({p.at + 1, p.stack});
        }
    }
    return state_of_followed();
}

}  // namespace runtime
