#include "app/codebase/secrets.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

namespace app::codebase {
namespace {

bool is_alnum(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// Characters that keys are made of, as a table: the scan looks at every byte of a tree.
constexpr std::array<bool, 256> kKeyByte = [] {
    std::array<bool, 256> table{};
    for (int c = 0; c < 256; c++) {
        table[static_cast<size_t>(c)] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                        (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    }
    return table;
}();

bool is_key_byte(char c) {
    return kKeyByte[static_cast<unsigned char>(c)];
}

enum class Alphabet { hex, upper, alnum, word, url, path };  // url: word and '-'; path: and '/'

bool in_alphabet(char c, Alphabet alphabet) {
    const bool digit = c >= '0' && c <= '9';
    switch (alphabet) {
        case Alphabet::hex:
            return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        case Alphabet::upper:
            return digit || (c >= 'A' && c <= 'Z');
        case Alphabet::alnum:
            return is_alnum(c);
        case Alphabet::word:
            return is_alnum(c) || c == '_';
        case Alphabet::url:
            return is_alnum(c) || c == '_' || c == '-';
        case Alphabet::path:
            return is_alnum(c) || c == '_' || c == '-' || c == '/';
    }
    return false;
}

struct Format {
    std::string_view prefix;
    Alphabet alphabet;
    size_t least, most;  // characters behind the prefix
    std::string_view kind;
    bool needs_digit = true;
};

constexpr size_t kAny = 4096;
constexpr Format kFormats[] = {
    {"AKIA", Alphabet::upper, 16, 16, "AWS key", false},
    {"ASIA", Alphabet::upper, 16, 16, "AWS key", false},
    {"ABIA", Alphabet::upper, 16, 16, "AWS key"},
    {"ACCA", Alphabet::upper, 16, 16, "AWS key"},
    {"ghp_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"gho_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"ghu_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"ghs_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"ghr_", Alphabet::alnum, 30, kAny, "GitHub token"},
    {"github_pat_", Alphabet::word, 22, kAny, "GitHub token"},
    {"glpat-", Alphabet::url, 20, kAny, "GitLab token"},
    {"gldt-", Alphabet::url, 20, kAny, "GitLab token"},
    {"glptt-", Alphabet::url, 20, kAny, "GitLab token"},
    {"glrt-", Alphabet::url, 20, kAny, "GitLab token"},
    {"xoxb-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxa-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxp-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxr-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxs-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxe-", Alphabet::url, 20, kAny, "Slack token"},
    {"xoxe.xox", Alphabet::url, 20, kAny, "Slack token"},
    {"xapp-", Alphabet::url, 20, kAny, "Slack token"},
    {"sk-ant-", Alphabet::url, 20, kAny, "Anthropic key"},
    {"sk-proj-", Alphabet::url, 20, kAny, "OpenAI key"},
    {"sk-svcacct-", Alphabet::url, 20, kAny, "OpenAI key"},
    {"sk-admin-", Alphabet::url, 20, kAny, "OpenAI key"},
    {"sk-or-v1-", Alphabet::hex, 32, kAny, "OpenRouter key"},
    {"sk-", Alphabet::alnum, 32, kAny, "API key"},
    {"AIza", Alphabet::url, 35, 35, "Google key"},
    {"GOCSPX-", Alphabet::url, 20, kAny, "Google secret"},
    {"ya29.", Alphabet::url, 20, kAny, "Google token"},
    {"sk_live_", Alphabet::alnum, 16, kAny, "Stripe key"},
    {"sk_test_", Alphabet::alnum, 16, kAny, "Stripe key"},
    {"rk_live_", Alphabet::alnum, 16, kAny, "Stripe key"},
    {"rk_test_", Alphabet::alnum, 16, kAny, "Stripe key"},
    {"whsec_", Alphabet::alnum, 24, kAny, "webhook secret"},
    {"npm_", Alphabet::alnum, 36, kAny, "npm token"},
    {"pypi-", Alphabet::url, 50, kAny, "PyPI token"},
    {"rubygems_", Alphabet::hex, 40, kAny, "RubyGems key"},
    {"dckr_pat_", Alphabet::url, 20, kAny, "Docker token"},
    {"hf_", Alphabet::alnum, 30, kAny, "Hugging Face token", false},
    {"shpat_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"shpca_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"shppa_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"shpss_", Alphabet::hex, 32, kAny, "Shopify token"},
    {"dop_v1_", Alphabet::hex, 40, kAny, "DigitalOcean token"},
    {"doo_v1_", Alphabet::hex, 40, kAny, "DigitalOcean token"},
    {"dor_v1_", Alphabet::hex, 40, kAny, "DigitalOcean token"},
    {"NRAK-", Alphabet::upper, 27, 27, "New Relic key"},
    {"dapi", Alphabet::hex, 32, 34, "Databricks token"},
    {"lin_api_", Alphabet::alnum, 30, kAny, "Linear key"},
    {"ntn_", Alphabet::alnum, 30, kAny, "Notion token"},
    {"figd_", Alphabet::url, 30, kAny, "Figma token"},
    {"hvs.", Alphabet::url, 24, kAny, "Vault token"},
    {"hvb.", Alphabet::url, 24, kAny, "Vault token"},
    {"pscale_tkn_", Alphabet::url, 30, kAny, "PlanetScale token"},
    {"pscale_pw_", Alphabet::url, 30, kAny, "PlanetScale password"},
    {"AGE-SECRET-KEY-1", Alphabet::upper, 50, kAny, "age key"},
    {"sq0csp-", Alphabet::url, 40, kAny, "Square secret"},
    {"sq0atp-", Alphabet::url, 20, kAny, "Square token"},
    {"gsk_", Alphabet::alnum, 40, kAny, "Groq key"},
    {"xai-", Alphabet::alnum, 60, kAny, "xAI key"},
    {"r8_", Alphabet::alnum, 36, kAny, "Replicate token"},
    {"pplx-", Alphabet::alnum, 40, kAny, "Perplexity key"},
    {"PMAK-", Alphabet::url, 40, kAny, "Postman key"},
    {"sntrys_", Alphabet::word, 40, kAny, "Sentry token"},
    {"glsa_", Alphabet::word, 30, kAny, "Grafana token"},
    {"glc_", Alphabet::word, 30, kAny, "Grafana token"},
    {"ATATT3", Alphabet::url, 60, kAny, "Atlassian token"},
    {"ATBB", Alphabet::alnum, 28, kAny, "Bitbucket token"},
    {"tskey-", Alphabet::url, 20, kAny, "Tailscale key"},
    {"sbp_", Alphabet::hex, 40, kAny, "Supabase token"},
    {"CFPAT-", Alphabet::url, 40, kAny, "Contentful token"},
    {"EAACEdEose0cBA", Alphabet::alnum, 20, kAny, "Facebook token"},
    {"key-", Alphabet::hex, 32, 32, "Mailgun key"},
    {"SK", Alphabet::hex, 32, 32, "Twilio key"},
    {"secret_", Alphabet::alnum, 43, 43, "Notion token"},
    {"dt0c01.", Alphabet::alnum, 24, kAny, "Dynatrace token"},
    {"eyJ", Alphabet::url, 10, kAny, "JSON web token"},
    {"SG.", Alphabet::url, 16, kAny, "SendGrid key"},
    {"EAA", Alphabet::alnum, 80, kAny, "Facebook token"},
    {"hooks.slack.com/services/", Alphabet::path, 30, kAny, "Slack webhook"},
    {"discord.com/api/webhooks/", Alphabet::path, 40, kAny, "Discord webhook"},
    {"discordapp.com/api/webhooks/", Alphabet::path, 40, kAny, "Discord webhook"},
};

// Which bytes any format begins with, and the formats in the order of the table by first byte.
struct FormatIndex {
    std::array<std::vector<const Format*>, 256> by_first;
    FormatIndex() {
        for (const Format& format : kFormats) {
            by_first[static_cast<unsigned char>(format.prefix[0])].push_back(&format);
        }
    }
};

double entropy(std::string_view text) {
    std::array<int, 256> counts{};
    for (const char c : text) {
        counts[static_cast<unsigned char>(c)]++;
    }
    double bits = 0;
    for (const int count : counts) {
        if (count > 0) {
            const double p = static_cast<double>(count) / static_cast<double>(text.size());
            bits -= p * std::log2(p);
        }
    }
    return bits;
}

bool has_digit(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

// Words that stand where a secret would: documentation, templates, tests that say so.
bool is_placeholder(std::string_view value) {
    const std::string low = lower(value);
    static constexpr std::array<std::string_view, 24> kParts = {
        "your",    "example", "placeholder", "changeme", "change_me", "change-me",
        "xxxx",    "****",    "....",        "<",        "${",        "{{",
        "%(",      "$(",      "dummy",       "insert",   "replace",   "redacted",
        "secret:", "fixme",   "fake",        "sample",   "0000000",   "1234567890abcdef"};
    return std::any_of(kParts.begin(), kParts.end(),
                       [&](std::string_view part) { return low.find(part) != std::string::npos; });
}

int classes_of(std::string_view value) {
    bool small = false, big = false, digit = false, other = false;
    for (const char c : value) {
        small = small || (c >= 'a' && c <= 'z');
        big = big || (c >= 'A' && c <= 'Z');
        digit = digit || (c >= '0' && c <= '9');
        other = other || !is_alnum(c);
    }
    return static_cast<int>(small) + static_cast<int>(big) + static_cast<int>(digit) +
           static_cast<int>(other);
}

class Finder {
public:
    Finder(std::string_view text, std::string_view path) : text_(text) {
        const std::string low = lower(path.substr(path.rfind('/') + 1));
        static constexpr std::array<std::string_view, 19> kConfig = {
            ".env",         ".yml",  ".yaml",   ".ini",    ".toml",   ".conf",   ".cfg",
            ".properties",  ".json", ".tfvars", ".npmrc",  ".cnf",    ".config", ".envrc",
            ".credentials", ".txt",  ".netrc",  ".secret", ".secrets"};
        config_ = low.find('.') == std::string::npos || low.ends_with(".mk") ||
                  low.starts_with(".env") ||
                  std::any_of(kConfig.begin(), kConfig.end(),
                              [&](std::string_view end) { return low.ends_with(end); });
    }

    std::vector<Secret> run() {
        private_keys();
        scan();
        std::sort(found_.begin(), found_.end(), [](const Secret& a, const Secret& b) {
            return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
        });
        std::vector<Secret> apart;
        for (const Secret& secret : found_) {
            if (apart.empty() || secret.begin >= apart.back().end) {
                apart.push_back(secret);
            }
        }
        return apart;
    }

private:
    void add(size_t begin, size_t end, std::string_view kind) {
        found_.push_back({begin, end, kind});
    }

    // The body between the BEGIN and END lines; also on one line with \n spelled out, as in JSON.
    void private_keys() {
        constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ";
        for (size_t at = text_.find(kBegin); at != std::string_view::npos;
             at = text_.find(kBegin, at + 1)) {
            const size_t name_end = text_.find("-----", at + kBegin.size());
            if (name_end == std::string_view::npos || name_end - at > 64) {
                continue;
            }
            const std::string_view name =
                text_.substr(at + kBegin.size(), name_end - at - kBegin.size());
            if (name.find("PRIVATE KEY") == std::string_view::npos) {
                continue;
            }
            const size_t begin = name_end + 5;
            size_t end = text_.find(kEnd, begin);
            const bool closed = end != std::string_view::npos;
            end = closed ? end : text_.size();
            const std::string_view body = text_.substr(begin, end - begin);
            const auto letters = std::count_if(body.begin(), body.end(), [](char c) {
                return is_alnum(c) || c == '+' || c == '/' || c == '=';
            });
            // A mention of the marker is no key: the body is nearly all base64 and not short.
            if (letters >= 40 && letters * 10 >= static_cast<int64_t>(body.size()) * 8 &&
                (closed || body.size() < 16384)) {
                size_t from = begin, to = end;
                while (from < to && std::isspace(static_cast<unsigned char>(text_[from]))) {
                    from++;
                }
                while (to > from && std::isspace(static_cast<unsigned char>(text_[to - 1]))) {
                    to--;
                }
                add(from, to, "private key");
            }
        }
    }

    // Where a rule may begin, told from a byte and the one before it: nearly every byte of a tree
    // is passed over by one look at two tables.
    struct Beginnings {
        static constexpr uint8_t kSign = 1, kWord = 2, kBlank = 4;
        std::array<uint8_t, 256> here{}, after{};
        explicit Beginnings(const FormatIndex& index) {
            for (size_t c = 0; c < 256; c++) {
                const bool word = !index.by_first[c].empty() || c == 'M' || c == 'N' || c == 'O';
                here[c] = word ? kWord : 0;
                after[c] = kKeyByte[c] ? kSign : kSign | kWord;
            }
            for (const unsigned char c : std::string_view("=:,\"'")) {
                here[c] = kSign;
            }
            here[' '] = kBlank;
            after['r'] |= kBlank;  // "Bearer ", "Basic "
            after['c'] |= kBlank;
        }
    };

    void scan() {
        static const FormatIndex kIndex;
        static const Beginnings kBeginnings(kIndex);
        unsigned char before = '\n';
        for (size_t at = 0; at < text_.size(); at++) {
            const auto c = static_cast<unsigned char>(text_[at]);
            const bool begins = (kBeginnings.here[c] & kBeginnings.after[before]) != 0;
            before = c;
            if (begins) {
                look_at(at, kIndex);
            }
        }
    }

    void look_at(size_t at, const FormatIndex& index) {
        switch (text_[at]) {
            case '=':
                return assignment(at);
            case ':':
                assignment(at);
                if (text_.substr(at, 3) == "://") {
                    address(at);
                } else if (at >= 8 && text_[at - 1] >= '0' && text_[at - 1] <= '9') {
                    bot_token(at);
                }
                return;
            case ',':
                if (at > 3 && (text_[at - 1] == '"' || text_[at - 1] == '\'')) {
                    pair(at);
                }
                return;
            case '"':
            case '\'':
                if (at > 3 && text_[at - 1] == 'p' && text_[at - 2] == '-' &&
                    text_[at - 3] == ' ') {
                    password_flag(at);
                }
                return;
            case ' ':
                if (at > 6) {
                    bearer(at);
                }
                return;
            case 'M':
            case 'N':
            case 'O':
                dotted_token(at);
                break;
            default:
                break;
        }
        const char second = at + 1 < text_.size() ? text_[at + 1] : '\0';
        for (const Format* format : index.by_first[static_cast<unsigned char>(text_[at])]) {
            // Most words end here: their second letter is another one.
            if (second == format->prefix[1] &&
                text_.compare(at, format->prefix.size(), format->prefix) == 0 &&
                known_format(at, *format)) {
                break;
            }
        }
    }

    bool known_format(size_t at, const Format& format) {
        size_t end = at + format.prefix.size();
        while (end < text_.size() && in_alphabet(text_[end], format.alphabet)) {
            end++;
        }
        size_t length = end - at - format.prefix.size();
        if (length < format.least || length > format.most) {
            return false;
        }
        const std::string_view body = text_.substr(at + format.prefix.size(), length);
        if (format.kind == "JSON web token" || format.kind == "SendGrid key") {
            // Three parts (two for SendGrid, behind the prefix) with dots between.
            const int dots = format.kind == "SendGrid key" ? 1 : 2;
            for (int i = 0; i < dots; i++) {
                if (end >= text_.size() || text_[end] != '.') {
                    return false;
                }
                const size_t part = ++end;
                while (end < text_.size() && in_alphabet(text_[end], Alphabet::url)) {
                    end++;
                }
                if (end - part < 8) {
                    return false;
                }
            }
        } else if (format.kind == "Dynatrace token") {
            while (end < text_.size() && is_key_byte(text_[end])) {
                end++;
            }
        }
        if ((format.needs_digit && !has_digit(text_.substr(at, end - at))) ||
            entropy(body) < (format.alphabet == Alphabet::hex ? 2.4 : 2.8) ||
            (format.kind == "API key" && classes_of(body) < 3 && body.size() < 40) ||
            is_placeholder(body.substr(0, 12))) {
            return false;
        }
        // Of an address the secret is what follows it.
        add(format.alphabet == Alphabet::path ? at + format.prefix.size() : at, end, format.kind);
        return true;
    }

    // Numbers of a bot, a colon, 35 characters; and three parts with dots, the first one a number
    // in base64.
    void bot_token(size_t colon) {
        size_t begin = colon, end = colon + 1;
        while (begin > 0 && colon - begin < 11 && text_[begin - 1] >= '0' &&
               text_[begin - 1] <= '9') {
            begin--;
        }
        while (end < text_.size() && end - colon < 40 && in_alphabet(text_[end], Alphabet::url)) {
            end++;
        }
        const std::string_view value = text_.substr(colon + 1, end - colon - 1);
        if (colon - begin >= 8 && colon - begin <= 10 && value.size() == 35 &&
            classes_of(value) >= 3 && entropy(value) > 3.5) {
            add(begin, end, "Telegram token");
        }
    }
    void dotted_token(size_t at) {
        size_t parts[3] = {}, end = at;
        for (size_t i = 0; i < 3; i++) {
            const size_t begin = end;
            while (end < text_.size() && in_alphabet(text_[end], Alphabet::url)) {
                end++;
            }
            parts[i] = end - begin;
            if (i < 2 && (end >= text_.size() || text_[end++] != '.')) {
                return;
            }
        }
        const std::string_view value = text_.substr(at, end - at);
        if (parts[0] >= 23 && parts[0] <= 28 && parts[1] == 6 && parts[2] >= 27 && parts[2] <= 40 &&
            classes_of(value) == 4 && entropy(value) > 4) {
            add(at, end, "Discord token");
        }
    }

    // "NAME", "value" - define(), setenv(), put() - and the value of name="..." value="...".
    void pair(size_t comma) {
        const char quote = text_[comma - 1];
        const size_t begin = text_.substr(0, comma - 1).rfind(quote);
        if (begin == std::string_view::npos || comma - begin > 66) {
            return;
        }
        size_t at = comma + 1;
        while (at < text_.size() && (text_[at] == ' ' || text_[at] == '\t')) {
            at++;
        }
        const int weight = weight_of(text_.substr(begin + 1, comma - begin - 2));
        if (weight > 0 && at < text_.size() && (text_[at] == '"' || text_[at] == '\'')) {
            quoted_value(at, weight);
        }
    }
    int weight_of_neighbour(size_t name) const {
        const size_t line = text_.rfind('\n', name);
        const std::string_view before =
            text_.substr(line == std::string_view::npos ? 0 : line + 1,
                         name - (line == std::string_view::npos ? 0 : line + 1));
        for (const std::string_view key : {"name=", "key=", "property=", "id="}) {
            const size_t at = before.rfind(key);
            if (at == std::string_view::npos || at + key.size() >= before.size()) {
                continue;
            }
            const char quote = before[at + key.size()];
            const size_t end = before.find(quote, at + key.size() + 1);
            if ((quote == '"' || quote == '\'') && end != std::string_view::npos) {
                return weight_of(before.substr(at + key.size() + 1, end - at - key.size() - 1));
            }
        }
        return 0;
    }
    void quoted_value(size_t at, int weight) {
        const char quote = text_[at];
        size_t end = at + 1;
        while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
            end += text_[end] == '\\' ? 2 : 1;
        }
        if (end < text_.size() && text_[end] == quote) {
            value(at + 1, end, weight, true);
        }
    }
    // mysql -p'...'
    void password_flag(size_t quote) {
        const size_t line = text_.rfind('\n', quote);
        const std::string_view before =
            text_.substr(line == std::string_view::npos ? 0 : line,
                         quote - (line == std::string_view::npos ? 0 : line));
        if (before.find("mysql") != std::string_view::npos ||
            before.find("mariadb") != std::string_view::npos) {
            quoted_value(quote, 2);
        }
    }

    // scheme://user:password@host
    void address(size_t colon) {
        size_t scheme = colon;
        while (scheme > 0 && (is_alnum(text_[scheme - 1]) || text_[scheme - 1] == '+')) {
            scheme--;
        }
        if (scheme == colon) {
            return;
        }
        const size_t begin = colon + 3;
        size_t at = begin, password = 0, sign = 0;
        while (at < text_.size() && at - begin < 400) {
            const char c = text_[at];
            if (c == ':' && password == 0) {
                password = at + 1;
            } else if (c == '@') {
                sign = at;
            } else if (std::isspace(static_cast<unsigned char>(c)) || c == '/' || c == '"' ||
                       c == '\'' || c == '<' || c == '>' || c == '`' || c == '?' || c == '#') {
                break;
            }
            at++;
        }
        if (password == 0 || sign <= password) {
            return;
        }
        const std::string_view value = text_.substr(password, sign - password);
        const std::string host = lower(text_.substr(sign + 1, at - sign - 1));
        const std::string name = lower(text_.substr(scheme, colon - scheme));
        const std::string low = lower(value);
        static constexpr std::array<std::string_view, 16> kWords = {
            "password", "pass",     "passwd", "pwd",   "secret", "user", "passw0rd", "pw",
            "admin",    "postgres", "root",   "guest", "mysql",  "test", "p4ssw0rd", "token"};
        const bool web = name == "http" || name == "https" || name == "ftp" || name == "ftps" ||
                         name == "sftp" || name == "ssh" || name == "socks5" || name == "socks";
        if (value.size() < (web ? 8U : 4U) || is_placeholder(value) || value[0] == '$' ||
            value[0] == '{' || value[0] == '%' || value[0] == '[' ||
            value.find_first_of("{}()[]\\|,;") != std::string_view::npos ||
            std::find(kWords.begin(), kWords.end(), low) != kWords.end() ||
            (web && (host.find("example") != std::string::npos || classes_of(value) < 2 ||
                     !has_digit(value) || low.find("pass") != std::string::npos))) {
            return;
        }
        if (classes_of(value) < 2 && value.size() < 8) {
            return;
        }
        add(password, sign, "password");
    }

    // "Authorization: Bearer VALUE"
    void bearer(size_t space) {
        const std::string_view before = text_.substr(space - 6, 6);
        if (before != "Bearer" && before != "bearer" && before.substr(1) != "Basic") {
            return;
        }
        size_t end = space + 1;
        while (end < text_.size() &&
               (is_key_byte(text_[end]) || text_[end] == '+' || text_[end] == '/' ||
                text_[end] == '=' || text_[end] == '~')) {
            end++;
        }
        const std::string_view value = text_.substr(space + 1, end - space - 1);
        if (value.size() >= 20 && has_digit(value) && classes_of(value) >= 2 &&
            entropy(value) >= 3.3 && !is_placeholder(value)) {
            add(space + 1, end, "bearer token");
        }
    }

    static constexpr uint32_t three(unsigned char a, unsigned char b, unsigned char c) {
        return (a | 32U) << 16 | (b | 32U) << 8 | (c | 32U);
    }

    // Three letters of every word below; nearly all names of a tree have none of them.
    static bool says_something(std::string_view name) {
        for (size_t i = 0; i + 2 < name.size(); i++) {
            const auto letter = [&](size_t at) { return static_cast<unsigned char>(name[i + at]); };
            switch (three(letter(0), letter(1), letter(2))) {
                case three('p', 'a', 's'):
                case three('p', 'w', 'd'):
                case three('s', 'e', 'c'):
                case three('t', 'o', 'k'):
                case three('k', 'e', 'y'):
                case three('c', 'r', 'e'):
                case three('a', 'u', 't'):
                    return true;
                default:
                    break;
            }
        }
        return false;
    }

    // How much a name says: 2 a password, 1 a key or token, 0 nothing.
    static int weight_of(std::string_view name) {
        if (!says_something(name)) {
            return 0;
        }
        const std::string low = lower(name);
        static constexpr std::array<std::string_view, 8> kNot = {
            "tokenizer", "public",        "token_type", "tokentype",
            "keyword",   "passwordfield", "tokens",     "csrf_param"};
        for (const std::string_view no : kNot) {
            if (low.find(no) != std::string::npos) {
                return 0;
            }
        }
        static constexpr std::array<std::string_view, 6> kPasswords = {
            "password", "passwd", "passphrase", "pwd", "_pass", "dbpass"};
        for (const std::string_view word : kPasswords) {
            if (low.find(word) != std::string::npos) {
                return 2;
            }
        }
        static constexpr std::array<std::string_view, 27> kKeys = {
            "secret",      "token",      "apikey",      "api_key",    "api-key",
            "access_key",  "accesskey",  "access-key",  "auth_key",   "authkey",
            "private_key", "privatekey", "account_key", "accountkey", "encryption_key",
            "signing_key", "credential", "client_key",  "master_key", "encryptionkey",
            "license_key", "secretkey",  "signingkey",  "app_key",    "deploy_key",
            "service_key", "webhook_key"};
        for (const std::string_view word : kKeys) {
            if (low.find(word) != std::string::npos) {
                return 1;
            }
        }
        return low == "pass" || low == "auth" || low == "_auth" ? 1 : 0;
    }

    // The name in "API_KEY: &str = ..."; `type` is where its type begins.
    int weight_of_typed(size_t type) const {
        size_t at = type;
        while (at > 0 && type - at < 12 &&
               (text_[at - 1] == ' ' || text_[at - 1] == '&' || text_[at - 1] == '\'' ||
                text_[at - 1] == '*')) {
            at--;
        }
        if (at < 2 || text_[at - 1] != ':' || text_[at - 2] == ':') {
            return 0;
        }
        const size_t end = at - 1;
        size_t name = end;
        while (name > 0 && end - name < 64 && is_key_byte(text_[name - 1])) {
            name--;
        }
        return end - name >= 3 ? weight_of(text_.substr(name, end - name)) : 0;
    }

    // name = "value", name: value, "name": "value", name => 'value', name := `value`
    void assignment(size_t sign) {
        if (sign == 0 ||
            (text_[sign] == '=' && sign + 1 < text_.size() && text_[sign + 1] == '=') ||
            text_[sign - 1] == '=' || text_[sign - 1] == '!' || text_[sign - 1] == '<' ||
            (text_[sign] == ':' && text_[sign - 1] == ':')) {
            return;
        }
        size_t name_end = sign;
        if (name_end > 0 && text_[name_end - 1] == ':' && text_[sign] == '=') {
            name_end--;
        }
        const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
        while (name_end > 0 && sign - name_end < 40 && is_blank(text_[name_end - 1])) {
            name_end--;
        }
        bool quoted_name = false;
        if (name_end > 0 && (text_[name_end - 1] == '"' || text_[name_end - 1] == '\'')) {
            quoted_name = true;
            name_end--;
            if (name_end > 0 && text_[name_end - 1] == ']') {
                return;
            }
        } else if (name_end > 1 && text_[name_end - 1] == ']' &&
                   (text_[name_end - 2] == '"' || text_[name_end - 2] == '\'')) {
            name_end -= 2;  // settings["password"] = ...
        }
        size_t name = name_end;
        while (name > 0 && name_end - name < 64 && is_key_byte(text_[name - 1])) {
            name--;
        }
        if (name_end - name < 3) {
            return;
        }
        int weight = weight_of(text_.substr(name, name_end - name));
        if (weight == 0 && text_[sign] == '=') {
            const std::string_view word = text_.substr(name, name_end - name);
            weight = word == "value" || word == "content" ? weight_of_neighbour(name)
                                                          : weight_of_typed(name);
        }
        if (weight == 0) {
            return;
        }
        size_t at = sign + 1;
        if (at < text_.size() && text_[at] == '>') {
            at++;
        }
        while (at < text_.size() && is_blank(text_[at])) {
            at++;
        }
        if (at >= text_.size()) {
            return;
        }
        const char quote = text_[at];
        if (quote == '"' || quote == '\'' || quote == '`') {
            return quoted_value(at, weight);
        }
        // A header in a string: "X-Api-Key: value".
        const bool header = text_[sign] == ':' && at == sign + 2 && name > 0 &&
                            (text_[name - 1] == '"' || text_[name - 1] == '\'');
        if (header) {
            size_t end = at;
            while (end < text_.size() && is_key_byte(text_[end])) {
                end++;
            }
            if (end < text_.size() && text_[end] == text_[name - 1]) {
                return value(at, end, weight, true);
            }
        }
        // One setting of several in a string: "Server=db;Password=value;".
        const bool listed = text_[sign] == '=' && name > 0 && text_[name - 1] == ';';
        const bool shell_like = text_[sign] == '=' && (sign + 1 == at);
        if (config_ || (shell_like && !quoted_name)) {
            size_t end = at;
            while (end < text_.size() && !std::isspace(static_cast<unsigned char>(text_[end])) &&
                   text_[end] != '"' && text_[end] != '\'' && text_[end] != ';' &&
                   text_[end] != ',' && text_[end] != '<') {
                end++;
            }
            value(at, end, weight, config_ || listed);
        }
    }

    void value(size_t begin, size_t end, int weight, bool plain) {
        const std::string_view value = text_.substr(begin, end - begin);
        if (value.size() < 8 || value.size() > 512 || is_placeholder(value)) {
            return;
        }
        const char first = value[0];
        // An AWS secret may begin with a slash; a path has words.
        const bool slash =
            first == '/' && !(value.size() == 40 && classes_of(value) == 4 && entropy(value) > 4.3);
        if (first == '$' || first == '{' || first == '%' || first == '@' || slash || first == '.' ||
            first == '&' || first == '*' || first == '(' || first == '#' || first == '-' ||
            value.find("://") != std::string_view::npos ||
            value.find_first_of(" \t(){}[]<>") != std::string_view::npos ||
            value.find("::") != std::string_view::npos ||
            value.find("->") != std::string_view::npos) {
            return;
        }
        // Identifiers, paths, versions and words of a language are not secrets: those have digits
        // amid letters or signs that no name has.
        int changes = 0;
        for (size_t i = 1; i < value.size(); i++) {
            const auto kind = [](char c) { return c >= '0' && c <= '9' ? 1 : is_alnum(c) ? 2 : 3; };
            changes += static_cast<int>(kind(value[i]) != kind(value[i - 1]));
        }
        const std::string low = lower(value);
        const bool says_what =
            low.find("password") != std::string::npos || low.find("passwd") != std::string::npos ||
            low.find("secret") != std::string::npos || low.find("token") != std::string::npos ||
            low.find("test") != std::string::npos;
        const bool all_digits = std::all_of(value.begin(), value.end(), [](char c) {
            return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
        });
        if (all_digits || !has_digit(value) || (says_what && value.size() < 20)) {
            return;
        }
        const int classes = classes_of(value);
        const double bits = entropy(value);
        if (weight == 2) {
            const bool strong = (classes >= 3 && bits >= 2.75) ||
                                (value.size() >= 12 && classes >= 2 && changes >= 3 && bits >= 3);
            if (strong && (plain || value.size() >= 12)) {
                add(begin, end, "password");
            }
            return;
        }
        const bool hex = std::all_of(value.begin(), value.end(), [](char c) {
            return in_alphabet(c, Alphabet::hex) || c == '-';
        });
        const bool strong = hex ? value.size() >= 24 && bits >= 3.0 && changes >= 4
                                : value.size() >= 16 && bits >= 3.3 && changes >= 3 && classes >= 2;
        if (strong && (plain || value.size() >= 20)) {
            add(begin, end, "key");
        }
    }

    std::string_view text_;
    bool config_ = false;
    std::vector<Secret> found_;
};

}  // namespace

std::vector<Secret> find_secrets(std::string_view text, std::string_view path) {
    return Finder(text, path).run();
}

std::string masked(std::string_view text, const std::vector<Secret>& secrets) {
    std::string out;
    out.reserve(text.size() + secrets.size() * 32);
    size_t at = 0;
    for (const Secret& secret : secrets) {
        out += text.substr(at, secret.begin - at);
        out += "\u00ABsecret: ";
        out += secret.kind;
        out += ", " + std::to_string(secret.end - secret.begin) + " chars\u00BB";
        at = secret.end;
    }
    out += text.substr(at);
    return out;
}

}  // namespace app::codebase
