#include "app/server/word_tree.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace app {
namespace {

using runtime::GrammarBuilder;
using Expr = GrammarBuilder::Expr;

// Words of [begin, end), which are sorted, differ, and are all alike before `at`.
Expr tree_of(
    GrammarBuilder& b, const std::vector<std::string>& words, size_t begin, size_t end, size_t at) {
    const std::string& first = words[begin];
    const std::string& last = words[end - 1];
    size_t common = at;
    while (common < first.size() && common < last.size() && first[common] == last[common]) {
        common++;
    }
    const Expr head = b.literal(std::string_view(first).substr(at, common - at));
    if (end - begin == 1) {
        return head;
    }
    std::vector<Expr> ways;
    if (first.size() == common) {
        ways.push_back(b.empty());
        begin++;
    }
    while (begin < end) {
        size_t next = begin;
        while (next < end && words[next][common] == words[begin][common]) {
            next++;
        }
        ways.push_back(tree_of(b, words, begin, next, common));
        begin = next;
    }
    return b.sequence({head, b.choice(std::move(ways))});
}

}  // namespace

Expr one_of_words(GrammarBuilder& builder, std::vector<std::string> words) {
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    return words.empty() ? builder.nothing() : tree_of(builder, words, 0, words.size(), 0);
}

}  // namespace app
