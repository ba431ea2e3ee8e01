#include "app/conversation_search.h"

#include <algorithm>
#include <cctype>
#include <ctime>
#include <unordered_map>

namespace app {
namespace {

// A common word occurs in most messages of years of chats: the newest so many decide.
constexpr int64_t kMessagesLookedAt = 400;
constexpr int64_t kTermsOfAShortWord = 300;

std::vector<std::string> split(const std::string& words) {
    std::vector<std::string> result;
    std::string word;
    for (const char c : words) {
        if (std::isspace(static_cast<unsigned char>(c))) {
            if (!word.empty()) {
                result.push_back(std::move(word));
                word.clear();
            }
        } else if (c != '\0') {
            word += c;
        }
    }
    if (!word.empty()) {
        result.push_back(std::move(word));
    }
    return result;
}

size_t characters(const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        result += c;
        if (c == '"') {
            result += c;
        }
    }
    return result + "\"";
}

// The word in LIKE's pattern language.
std::string pattern(const std::string& word) {
    std::string result = "%";
    for (const char c : word) {
        if (c == '%' || c == '_' || c == '\\') {
            result += '\\';
        }
        result += c;
    }
    return result + "%";
}

// The smallest text that comes after all that begin with `text`.
std::string after(std::string text) {
    while (!text.empty() && static_cast<unsigned char>(text.back()) == 0xFF) {
        text.pop_back();
    }
    if (!text.empty()) {
        text.back() = static_cast<char>(static_cast<unsigned char>(text.back()) + 1);
    }
    return text;
}

// An expression of FTS5 for one word; empty: it cannot be looked up in the index. Terms are three
// characters long, so one or two characters stand for all the terms that begin with them.
std::string expression(const Database& db, const std::string& word) {
    if (characters(word) >= 3) {
        return quoted(word);
    }
    std::string lower = word;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
        return c < 0x80 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c);
    });
    std::string terms;
    auto rows = db.rows(
        "SELECT term FROM search_terms WHERE term >= ? AND term < ? ORDER BY doc DESC LIMIT ?",
        {lower, after(lower), kTermsOfAShortWord});
    while (rows.next()) {
        terms += (terms.empty() ? "(" : " OR ") + quoted(rows.text(0));
    }
    return terms.empty() ? "\"\x01\x01\x01\"" : terms + ")";  // what no text holds
}

void one_line(std::string& text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 && c != '\x01' && c != '\x02') {
            c = ' ';
        }
    }
    while (text.ends_with(' ')) {
        text.pop_back();
    }
}

struct Candidate {
    SearchHit hit;
    double score = 0;
};

// Lately counts as much as a good match does: half a point is lost in a month, never more than two.
double age_cost(int64_t updated_at, int64_t now) {
    const double months = static_cast<double>(now - updated_at) / (30.0 * 86400);
    return std::clamp(months, 0.0, 24.0) / (months + 6) * 2;
}

}  // namespace

std::vector<SearchHit> search_conversations(const Database& db,
                                            const std::string& words,
                                            size_t limit) {
    const std::vector<std::string> parts = split(words);
    if (parts.empty() || parts.size() > 16) {
        return {};
    }
    const auto now = static_cast<int64_t>(std::time(nullptr));
    std::unordered_map<int64_t, Candidate> found;

    // Titles: few and short, looked through one by one.
    {
        std::string sql = "SELECT id, title, updated_at FROM conversations WHERE deleted_at = 0";
        std::vector<Database::Value> values;
        for (const std::string& part : parts) {
            sql += " AND title LIKE ? ESCAPE '\\'";
            values.emplace_back(pattern(part));
        }
        auto rows = db.rows((sql + " ORDER BY updated_at DESC LIMIT 200").c_str(), values);
        while (rows.next()) {
            Candidate& candidate = found[rows.number(0)];
            candidate.hit.conversation = rows.number(0);
            candidate.hit.title = rows.text(1);
            candidate.hit.updated_at = rows.number(2);
            candidate.score = 100 - age_cost(rows.number(2), now);
        }
    }

    const bool has_index =
        db.number("SELECT count(*) FROM sqlite_master WHERE name = 'search_terms'") > 0;
    std::string sql, match;
    std::vector<Database::Value> values;
    if (has_index) {
        for (const std::string& part : parts) {
            match += (match.empty() ? "" : " AND ") + expression(db, part);
        }
        sql =
            "SELECT s.rowid, bm25(search), c.id, c.title, c.updated_at FROM search s "
            "JOIN messages m ON m.id = s.rowid JOIN conversations c ON c.id = m.conversation_id "
            "WHERE search MATCH ? AND m.deleted_at = 0 AND c.deleted_at = 0 "
            "ORDER BY s.rowid DESC LIMIT ?";
        values = {match, kMessagesLookedAt};
    } else {
        sql =
            "SELECT m.id, -1.0, c.id, c.title, c.updated_at FROM messages m "
            "JOIN conversations c ON c.id = m.conversation_id "
            "WHERE m.deleted_at = 0 AND c.deleted_at = 0";
        for (const std::string& part : parts) {
            sql += " AND m.content LIKE ? ESCAPE '\\'";
            values.emplace_back(pattern(part));
        }
        sql += " ORDER BY m.id DESC LIMIT ?";
        values.emplace_back(kMessagesLookedAt);
    }
    std::unordered_map<int64_t, double> best;
    {
        auto rows = db.rows(sql.c_str(), values);
        while (rows.next()) {
            const int64_t id = rows.number(2);
            Candidate& candidate = found[id];
            candidate.hit.conversation = id;
            candidate.hit.title = rows.text(3);
            candidate.hit.updated_at = rows.number(4);
            candidate.hit.matches++;
            const double rank = -rows.real(1);  // bm25 is better the smaller it is
            const auto at = best.find(id);
            if (at == best.end() || rank > at->second) {
                if (at != best.end()) {
                    candidate.score -= at->second;
                } else {
                    candidate.score -= age_cost(rows.number(4), now);
                }
                best[id] = rank;
                candidate.score += rank;
                candidate.hit.message = rows.number(0);
            }
        }
    }

    std::vector<Candidate> sorted;
    sorted.reserve(found.size());
    for (auto& [id, candidate] : found) {
        sorted.push_back(std::move(candidate));
    }
    std::sort(sorted.begin(), sorted.end(), [](const Candidate& a, const Candidate& b) {
        return a.score != b.score ? a.score > b.score : a.hit.conversation > b.hit.conversation;
    });
    sorted.resize(std::min(sorted.size(), limit));

    std::vector<SearchHit> result;
    for (Candidate& candidate : sorted) {
        SearchHit& hit = candidate.hit;
        if (hit.message != 0) {
            if (has_index) {
                auto row = db.rows(
                    "SELECT snippet(search, 0, char(1), char(2), '\u2026', 60) FROM search "
                    "WHERE search MATCH ? AND rowid = ?",
                    {match, hit.message});
                if (row.next()) {
                    hit.snippet = row.text(0);
                }
            } else {
                auto row = db.rows(
                    "SELECT substr(content, max(1, instr(lower(content), lower(?)) - 30), 90) "
                    "FROM messages WHERE id = ?",
                    {parts.front(), hit.message});
                if (row.next()) {
                    hit.snippet = row.text(0);
                }
            }
            one_line(hit.snippet);
        }
        result.push_back(std::move(hit));
    }
    return result;
}

ConversationSearch::ConversationSearch(const std::filesystem::path& path)
    : db_(std::make_unique<Database>(path.string(), Database::Access::read)) {}

std::vector<SearchHit> ConversationSearch::find(const std::string& words, size_t limit) const {
    return search_conversations(*db_, words, limit);
}

}  // namespace app
