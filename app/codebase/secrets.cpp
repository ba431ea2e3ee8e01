#include "app/codebase/secrets.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cctype>
#include <cstdint>

#include "app/codebase/key_blocks.h"
#include "app/codebase/key_formats.h"
#include "app/codebase/secret_values.h"

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

class Finder {
public:
    Finder(std::string_view text, std::string_view path) : text_(text) {
        const std::string low = lower(path.substr(path.rfind('/') + 1));
        const std::string_view stem = std::string_view(low).substr(0, low.rfind('.'));
        one_value_ = weight_of(stem.empty() ? std::string_view(low) : stem);
        if (low.ends_with(".key") || low.ends_with(".secret") || low.ends_with(".token")) {
            one_value_ = std::max(one_value_, 1);
        }
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
        found_ = find_key_blocks(text_);
        whole_file();
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

    // Where a rule may begin, told from a byte and the one before it: nearly every byte of a tree
    // is passed over by one look at two tables.
    struct Beginnings {
        static constexpr uint8_t kSign = 1, kWord = 2, kBlank = 4;
        std::array<uint8_t, 256> here{}, after{};
        std::bitset<1 << 15> words;  // the first three letters of the formats, hashed
        static size_t place(unsigned char a, unsigned char b, unsigned char c) {
            return ((a * 37U + b) * 37U + c) % (1U << 15);
        }
        explicit Beginnings(const KeyFormats& index) {
            for (size_t c = 0; c < 256; c++) {
                const bool word = !index.by_first[c].empty() || c == 'M' || c == 'N' || c == 'O';
                here[c] = word ? kWord : 0;
                after[c] = kKeyByte[c] ? kSign : kSign | kWord;
            }
            for (size_t first = 0; first < 256; first++) {
                for (const KeyFormat* format : index.by_first[first]) {
                    for (size_t third = 0; third < 256; third++) {
                        if (format->prefix.size() == 2 ||
                            static_cast<unsigned char>(format->prefix[2]) == third) {
                            words.set(place(static_cast<unsigned char>(first),
                                            static_cast<unsigned char>(format->prefix[1]),
                                            static_cast<unsigned char>(third)));
                        }
                    }
                }
            }
            for (const unsigned char c : std::string_view("=:,\"'(>")) {
                here[c] = kSign;
            }
            here[' '] = here['\t'] = kBlank;
            // The ends of the words in blank(): "Bearer ", "--token ", "DB_PASSWORD ".
            for (const unsigned char c : std::string_view("rcdynthswupkelDYNTSHWUPKEL")) {
                after[c] |= kBlank;
            }
        }
    };

    // A file that is one value, by its name: master.key, .vault_pass, token.txt.
    void whole_file() {
        if (text_.size() > 2048 || !one_value_) {
            return;
        }
        size_t begin = 0, end = text_.size();
        while (end > 0 && std::isspace(static_cast<unsigned char>(text_[end - 1]))) {
            end--;
        }
        while (begin < end && std::isspace(static_cast<unsigned char>(text_[begin]))) {
            begin++;
        }
        value(begin, end, one_value_, true);
    }

    void scan() {
        static const KeyFormats kIndex;
        static const Beginnings kBeginnings(kIndex);
        unsigned char before = '\n';
        for (size_t at = 0; at < text_.size(); at++) {
            const auto c = static_cast<unsigned char>(text_[at]);
            const uint8_t begins = kBeginnings.here[c] & kBeginnings.after[before];
            before = c;
            if (begins == 0) {
                continue;
            }
            if (begins == Beginnings::kWord && at + 2 < text_.size() && (c < 'M' || c > 'O') &&
                !kBeginnings.words[Beginnings::place(c, static_cast<unsigned char>(text_[at + 1]),
                                                     static_cast<unsigned char>(text_[at + 2]))]) {
                continue;
            }
            look_at(at, kIndex);
        }
    }

    void look_at(size_t at, const KeyFormats& index) {
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
            case '(':
                return call(at);
            case '>':
                return element(at);
            case ' ':
            case '\t':
                if (at > 6 && (text_[at - 1] == 'r' || text_[at - 1] == 'c')) {
                    bearer(at);
                }
                if (at > 3 && may_be_named(at)) {
                    blank(at);
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
        for (const KeyFormat* format : index.by_first[static_cast<unsigned char>(text_[at])]) {
            // Most words end here: their second letter is another one.
            if (second == format->prefix[1] &&
                text_.compare(at, format->prefix.size(), format->prefix) == 0 &&
                known_format(at, *format)) {
                break;
            }
        }
    }

    bool known_format(size_t at, const KeyFormat& format) {
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
            (format.prefix == "sk-" && classes_of(body) < 3 && body.size() < 40 &&
             !(body.size() == 32 && entropy(body) > 3.2)) ||
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
        if (password == 0 && sign > begin) {  // a token in the place of the user
            const std::string_view user = text_.substr(begin, sign - begin);
            if (user.size() >= 20 && is_secret_value(user, 1, true) && classes_of(user) >= 2) {
                add(begin, sign, "token");
            }
            return;
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

    // setPassword("value"), withApiKey('value')
    void call(size_t bracket) {
        if (bracket + 2 >= text_.size() ||
            (text_[bracket + 1] != '"' && text_[bracket + 1] != '\'')) {
            return;
        }
        const std::string_view name = word_before(bracket);
        if (name.size() < 3) {
            return;
        }
        if (const int weight = weight_of(name); weight > 0) {
            quoted_value(bracket + 1, weight);
        }
    }

    // <password>value</password>, <string name="api_key">value</string>; in plist files
    // <key>Password</key> <string>value</string>.
    void element(size_t close) {
        if (close == 0 ||
            !(is_alnum(text_[close - 1]) || text_[close - 1] == '"' || text_[close - 1] == '\'')) {
            return;
        }
        const size_t end = text_.find_first_of("<>\n", close + 1);
        if (end == std::string_view::npos || end - close < 9 || text_[end] != '<' ||
            text_.substr(end, 2) != "</") {
            return;
        }
        const size_t open = text_.rfind('<', close);
        if (open == std::string_view::npos || close - open > 200) {
            return;
        }
        const std::string_view tag = text_.substr(open + 1, close - open - 1);
        const std::string_view name = tag.substr(0, tag.find_first_of(" \t"));
        int weight = weight_of(name);
        if (weight == 0) {
            weight = tag.find("name=") != std::string_view::npos ||
                             tag.find("key=") != std::string_view::npos
                         ? weight_of_neighbour(close)
                     : name == "string" || name == "value" ? weight_of_line_before(open)
                                                           : 0;
        }
        if (weight > 0) {
            value(close + 1, end, weight, true);
        }
    }

    std::string_view word_before(size_t end) const {
        size_t begin = end;
        while (begin > 0 && end - begin < 64 && is_key_byte(text_[begin - 1])) {
            begin--;
        }
        return text_.substr(begin, end - begin);
    }

    // By the last letters of the word before: every blank of a text is asked.
    bool may_be_named(size_t at) const {
        const auto letter = [&](size_t back) {
            return static_cast<unsigned char>(text_[at - back]);
        };
        const auto three = [](unsigned char a, unsigned char b, unsigned char c) {
            return static_cast<uint32_t>(a | 32U) << 16 | static_cast<uint32_t>(b | 32U) << 8 |
                   (c | 32U);
        };
        switch (three(letter(3), letter(2), letter(1))) {
            case three('o', 'r', 'd'):  // password
            case three('s', 'w', 'd'):  // passwd
            case three('p', 'w', 'd'):
            case three('t', 'p', 'w'):  // rootpw
            case three('d', 'p', 'w'):  // bindpw
            case three('a', 's', 's'):  // pass
            case three('a', 's', 'e'):  // passphrase
            case three('k', 'e', 'y'):
            case three('k', 'e', 'n'):  // token
            case three('r', 'e', 't'):  // secret
            case three('u', 't', 'h'):  // masterauth
            case three('a', 'l', 's'):  // credentials
            case three('i', 'a', 'l'):
            case three('p', 's', 'k'):
            case three('a', 'l', 't'):  // salt
            case three('j', 'w', 't'):
            case three('s', 'e', 'r'):  // --user
                return true;
            default:
                // "-u", "-p"
                return letter(2) == '-' &&
                       (letter(1) == 'u' || letter(1) == 'p' || letter(1) == 'P');
        }
    }

    // "--password value", "-u user:value", "ENV API_KEY value", "requirepass value",
    // "machine m login l password value"
    void blank(size_t at) {
        const std::string_view name = word_before(at);
        if (name.size() < 2) {
            return;
        }
        size_t begin = at + 1;
        while (begin < text_.size() && (text_[begin] == ' ' || text_[begin] == '\t')) {
            begin++;
        }
        if (begin >= text_.size() || text_[begin] == '=' || text_[begin] == ':') {
            return;
        }
        const bool quoted = text_[begin] == '"' || text_[begin] == '\'';
        size_t end = begin + static_cast<size_t>(quoted);
        while (end < text_.size() && !std::isspace(static_cast<unsigned char>(text_[end])) &&
               text_[end] != '"' && text_[end] != '\'' && text_[end] != ';' && text_[end] != '`') {
            end++;
        }
        begin += static_cast<size_t>(quoted);
        if (name == "-u" || name == "--user") {
            const size_t colon = text_.substr(begin, end - begin).find(':');
            if (colon != std::string_view::npos) {
                value(begin + colon + 1, end, 2, true);
            }
            return;
        }
        if (name == "-p" || name == "-P") {  // sshpass, docker login, redis
            const std::string_view line = line_up_to(at);
            if (line.find("sshpass") != std::string_view::npos ||
                line.find("login") != std::string_view::npos) {
                value(begin, end, 2, true);
            }
            return;
        }
        if (name.size() < 4) {
            return;
        }
        const bool flag = name.starts_with("--");
        const bool variable = std::all_of(name.begin(), name.end(), [](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        });
        static constexpr std::array<std::string_view, 9> kSettings = {
            "password", "passwd",     "requirepass", "masterauth", "rootpw",
            "bindpw",   "passphrase", "secret",      "psk"};
        // ENV name value, SetEnv name value, #define name "value"
        static constexpr std::array<std::string_view, 8> kWords = {
            "ENV", "ARG", "SetEnv", "setenv", "define", "fastcgi_param", "export", "set"};
        const bool setting =
            std::find(kSettings.begin(), kSettings.end(), name) != kSettings.end() &&
            begins_line_or_login(at - name.size());
        const std::string_view before = word_ahead(at - name.size());
        const bool by_word = std::find(kWords.begin(), kWords.end(), before) != kWords.end();
        if ((!flag && !variable && !setting && !by_word) || (before == "define" && !quoted)) {
            return;
        }
        const int weight =
            setting && name != "secret" ? 2 : weight_of(flag ? name.substr(2) : name);
        if (weight > 0) {
            value(begin, end, weight, setting || flag);
        }
    }
    std::string_view word_ahead(size_t name) const {
        return name >= 4 && text_[name - 1] == ' ' ? word_before(name - 1) : std::string_view();
    }
    std::string_view line_up_to(size_t at) const {
        const size_t line = at == 0 ? std::string_view::npos : text_.rfind('\n', at - 1);
        const size_t begin = line == std::string_view::npos ? 0 : line + 1;
        return text_.substr(begin, at - begin);
    }
    bool begins_line_or_login(size_t name) const {
        const std::string_view line = line_up_to(name);
        return line.find_first_not_of(" \t") == std::string_view::npos ||
               line.find("login ") != std::string_view::npos ||
               line.find("config set ") != std::string_view::npos;
    }

    // Of "value: ..." and the like: the line before says the name. In Kubernetes, Helm, Terraform,
    // plist: "- name: DB_PASSWORD", "variable "api_key" {", "<key>Password</key>".
    int weight_of_line_before(size_t at) const {
        const std::string_view here = line_up_to(at);
        size_t end = at - here.size();
        for (int lines = 0; lines < 3 && end > 0; lines++) {
            const std::string_view line = line_up_to(end - 1);
            const size_t begin = end - 1 - line.size();
            size_t first = std::string_view::npos, after = 0;
            for (const std::string_view key : {"variable", "name", "Name", "key", "Key"}) {
                if (const size_t found = line.find(key); found < first) {
                    first = found;
                    after = found + key.size();
                }
            }
            std::string_view rest = line.substr(after);
            rest.remove_prefix(std::min(rest.find_first_not_of(" \t\"':=>"), rest.size()));
            size_t length = 0;
            while (length < rest.size() && is_key_byte(rest[length])) {
                length++;
            }
            if (first != std::string_view::npos && length >= 3) {
                return weight_of(rest.substr(0, length));
            }
            end = begin;
        }
        return 0;
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
        // {\"password\": \"value\"}: JSON in a string.
        const bool escaped =
            name_end > 1 && text_[name_end - 1] == '"' && text_[name_end - 2] == '\\';
        if (name_end > 0 && (text_[name_end - 1] == '"' || text_[name_end - 1] == '\'')) {
            quoted_name = true;
            name_end -= escaped ? 2 : 1;
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
        const std::string_view word = text_.substr(name, name_end - name);
        if (weight == 0 && (word == "value" || word == "default" || word == "content")) {
            weight = weight_of_neighbour(name);
            if (weight == 0 && word != "content") {
                weight = weight_of_line_before(name);
            }
        } else if (weight == 0 && text_[sign] == '=') {
            weight = weight_of_typed(name);
        }
        const char ahead = name > 0 ? text_[name - 1] : '\n';
        if (weight == 0 && text_[sign] == '=' && (ahead == '&' || ahead == '?') && word == "sig") {
            weight = 1;  // of a shared access signature
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
        if (escaped && text_.substr(at, 2) == "\\\"") {
            const size_t end = text_.find("\\\"", at + 2);
            if (end != std::string_view::npos && end - at < 1024) {
                value(at + 2, end, weight, true);
            }
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
        // Or "host=db password=value", "?user=u&password=value".
        const bool query = ahead == '&' || ahead == '?';
        const bool listed =
            text_[sign] == '=' &&
            (ahead == ';' || query ||
             (ahead == ' ' && line_up_to(name - 1).find('=') != std::string_view::npos));
        const bool shell_like = text_[sign] == '=' && (sign + 1 == at);
        if (config_ || listed || (shell_like && !quoted_name)) {
            size_t end = at;
            while (end < text_.size() && !std::isspace(static_cast<unsigned char>(text_[end])) &&
                   text_[end] != '"' && text_[end] != '\'' && text_[end] != ';' &&
                   text_[end] != ',' && text_[end] != '<' && !(query && text_[end] == '&')) {
                end++;
            }
            value(at, end, weight, config_ || listed);
        }
    }

    void value(size_t begin, size_t end, int weight, bool plain) {
        if (is_secret_value(text_.substr(begin, end - begin), weight, plain)) {
            add(begin, end, weight == 2 ? "password" : "key");
        }
    }

    std::string_view text_;
    bool config_ = false;
    int one_value_ = 0;  // weight of the file's name
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
