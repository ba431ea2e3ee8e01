#include "app/window/latex.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

#include "app/window/utf8.h"

namespace app::window {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

// Sorted by name.
constexpr Pair kSigns[] = {{"Delta", "Δ"},       {"Gamma", "Γ"},       {"Im", "Im"},
                           {"Lambda", "Λ"},      {"Leftarrow", "⇐"},   {"Leftrightarrow", "⇔"},
                           {"Omega", "Ω"},       {"Phi", "Φ"},         {"Pi", "Π"},
                           {"Pr", "Pr"},         {"Psi", "Ψ"},         {"Re", "Re"},
                           {"Rightarrow", "⇒"},  {"Sigma", "Σ"},       {"Theta", "Θ"},
                           {"Upsilon", "Υ"},     {"Xi", "Ξ"},          {"aleph", "ℵ"},
                           {"alpha", "α"},       {"angle", "∠"},       {"approx", "≈"},
                           {"arccos", "arccos"}, {"arcsin", "arcsin"}, {"arctan", "arctan"},
                           {"arg", "arg"},       {"ast", "∗"},         {"beta", "β"},
                           {"bigcap", "⋂"},      {"bigcup", "⋃"},      {"bullet", "•"},
                           {"cap", "∩"},         {"cdot", "·"},        {"cdots", "⋯"},
                           {"chi", "χ"},         {"circ", "∘"},        {"colon", ":"},
                           {"cong", "≅"},        {"cos", "cos"},       {"cosh", "cosh"},
                           {"cup", "∪"},         {"dagger", "†"},      {"ddots", "⋱"},
                           {"deg", "deg"},       {"delta", "δ"},       {"det", "det"},
                           {"dim", "dim"},       {"div", "÷"},         {"dots", "…"},
                           {"downarrow", "↓"},   {"ell", "ℓ"},         {"emptyset", "∅"},
                           {"epsilon", "ϵ"},     {"equiv", "≡"},       {"eta", "η"},
                           {"exists", "∃"},      {"exp", "exp"},       {"forall", "∀"},
                           {"gamma", "γ"},       {"gcd", "gcd"},       {"ge", "≥"},
                           {"geq", "≥"},         {"gets", "←"},        {"gg", "≫"},
                           {"hbar", "ℏ"},        {"iff", "⇔"},         {"iiint", "∭"},
                           {"iint", "∬"},        {"implies", "⇒"},     {"in", "∈"},
                           {"inf", "inf"},       {"infty", "∞"},       {"int", "∫"},
                           {"iota", "ι"},        {"kappa", "κ"},       {"ker", "ker"},
                           {"lVert", "‖"},       {"lambda", "λ"},      {"land", "∧"},
                           {"langle", "⟨"},      {"lceil", "⌈"},       {"ldots", "…"},
                           {"le", "≤"},          {"leftarrow", "←"},   {"leftrightarrow", "↔"},
                           {"leq", "≤"},         {"lfloor", "⌊"},      {"lim", "lim"},
                           {"ll", "≪"},          {"ln", "ln"},         {"lnot", "¬"},
                           {"log", "log"},       {"lor", "∨"},         {"mapsto", "↦"},
                           {"max", "max"},       {"mid", "∣"},         {"min", "min"},
                           {"mod", "mod"},       {"models", "⊨"},      {"mp", "∓"},
                           {"mu", "μ"},          {"nabla", "∇"},       {"ne", "≠"},
                           {"neg", "¬"},         {"neq", "≠"},         {"ni", "∋"},
                           {"notin", "∉"},       {"nu", "ν"},          {"odot", "⊙"},
                           {"oint", "∮"},        {"omega", "ω"},       {"oplus", "⊕"},
                           {"otimes", "⊗"},      {"parallel", "∥"},    {"partial", "∂"},
                           {"perp", "⊥"},        {"phi", "φ"},         {"pi", "π"},
                           {"pm", "±"},          {"prec", "≺"},        {"prime", "′"},
                           {"prod", "∏"},        {"propto", "∝"},      {"psi", "ψ"},
                           {"rVert", "‖"},       {"rangle", "⟩"},      {"rceil", "⌉"},
                           {"rfloor", "⌋"},      {"rho", "ρ"},         {"rightarrow", "→"},
                           {"setminus", "∖"},    {"sigma", "σ"},       {"sim", "∼"},
                           {"simeq", "≃"},       {"sin", "sin"},       {"sinh", "sinh"},
                           {"star", "⋆"},        {"subset", "⊂"},      {"subseteq", "⊆"},
                           {"succ", "≻"},        {"sum", "∑"},         {"sup", "sup"},
                           {"supset", "⊃"},      {"supseteq", "⊇"},    {"tan", "tan"},
                           {"tanh", "tanh"},     {"tau", "τ"},         {"theta", "θ"},
                           {"times", "×"},       {"to", "→"},          {"top", "⊤"},
                           {"triangle", "△"},    {"uparrow", "↑"},     {"upsilon", "υ"},
                           {"varepsilon", "ε"},  {"varnothing", "∅"},  {"varphi", "ϕ"},
                           {"vartheta", "ϑ"},    {"vdash", "⊢"},       {"vdots", "⋮"},
                           {"vee", "∨"},         {"wedge", "∧"},       {"xi", "ξ"},
                           {"zeta", "ζ"}};

constexpr Pair kRaised[] = {
    {"0", "⁰"}, {"1", "¹"}, {"2", "²"}, {"3", "³"}, {"4", "⁴"}, {"5", "⁵"}, {"6", "⁶"}, {"7", "⁷"},
    {"8", "⁸"}, {"9", "⁹"}, {"+", "⁺"}, {"-", "⁻"}, {"−", "⁻"}, {"=", "⁼"}, {"(", "⁽"}, {")", "⁾"},
    {"a", "ᵃ"}, {"b", "ᵇ"}, {"c", "ᶜ"}, {"d", "ᵈ"}, {"e", "ᵉ"}, {"g", "ᵍ"}, {"h", "ʰ"}, {"i", "ⁱ"},
    {"j", "ʲ"}, {"k", "ᵏ"}, {"l", "ˡ"}, {"m", "ᵐ"}, {"n", "ⁿ"}, {"o", "ᵒ"}, {"p", "ᵖ"}, {"r", "ʳ"},
    {"s", "ˢ"}, {"t", "ᵗ"}, {"u", "ᵘ"}, {"v", "ᵛ"}, {"w", "ʷ"}, {"x", "ˣ"}, {"y", "ʸ"}, {"z", "ᶻ"},
    {"T", "ᵀ"}, {"′", "′"}, {"∗", "*"}, {"*", "*"}, {"∘", "°"}};
constexpr Pair kLowered[] = {{"0", "₀"}, {"1", "₁"}, {"2", "₂"}, {"3", "₃"}, {"4", "₄"}, {"5", "₅"},
                             {"6", "₆"}, {"7", "₇"}, {"8", "₈"}, {"9", "₉"}, {"+", "₊"}, {"-", "₋"},
                             {"=", "₌"}, {"(", "₍"}, {")", "₎"}, {"a", "ₐ"}, {"e", "ₑ"}, {"h", "ₕ"},
                             {"k", "ₖ"}, {"l", "ₗ"}, {"m", "ₘ"}, {"n", "ₙ"}, {"o", "ₒ"}, {"p", "ₚ"},
                             {"s", "ₛ"}, {"t", "ₜ"}, {"x", "ₓ"}, {"−", "₋"}, {"i", "ᵢ"}, {"j", "ⱼ"},
                             {"r", "ᵣ"}, {"u", "ᵤ"}, {"v", "ᵥ"}};
// Letters with a double stroke that the letter-like block has.
constexpr Pair kDouble[] = {{"C", "ℂ"}, {"H", "ℍ"}, {"N", "ℕ"}, {"P", "ℙ"},
                            {"Q", "ℚ"}, {"R", "ℝ"}, {"Z", "ℤ"}};

template <size_t N>
std::string_view find(const Pair (&pairs)[N], std::string_view name) {
    const auto* found = std::find_if(std::begin(pairs), std::end(pairs),
                                     [&](const Pair& pair) { return pair.first == name; });
    return found == std::end(pairs) ? std::string_view() : found->second;
}
std::string_view sign_of(std::string_view name) {
    const auto* found =
        std::lower_bound(std::begin(kSigns), std::end(kSigns), name,
                         [](const Pair& pair, std::string_view key) { return pair.first < key; });
    return found != std::end(kSigns) && found->first == name ? found->second : std::string_view();
}

size_t characters(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

// In brackets unless it is one thing already.
std::string grouped(const std::string& text) {
    const bool word = std::all_of(text.begin(), text.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || c == '.' ||
               static_cast<unsigned char>(c) >= 0x80;
    });
    return characters(text) <= 1 || word ? text : "(" + text + ")";
}

class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {}

    std::string all() {
        std::string out;
        while (at_ < text_.size()) {
            if (text_[at_] == '}') {
                at_++;  // one too many
                continue;
            }
            out += item();
        }
        return tidy(out);
    }

private:
    static constexpr int kDeepest = 24;

    std::string until_brace() {
        std::string out;
        while (at_ < text_.size() && text_[at_] != '}') {
            out += item();
        }
        at_ += at_ < text_.size() ? 1 : 0;
        return tidy(out);
    }

    // What a command or a raised sign applies to: a group, a command, one character.
    std::string argument() {
        while (at_ < text_.size() && text_[at_] == ' ') {
            at_++;
        }
        if (at_ >= text_.size() || depth_ > kDeepest) {
            at_ = std::min(text_.size(), at_ + 1);
            return {};
        }
        depth_++;
        std::string out;
        if (text_[at_] == '{') {
            at_++;
            out = until_brace();
        } else {
            out = item();
        }
        depth_--;
        return out;
    }

    // The words of \text{...}, untouched.
    std::string raw_group() {
        if (at_ >= text_.size() || text_[at_] != '{') {
            return argument();
        }
        int depth = 0;
        const size_t begin = at_ + 1;
        for (; at_ < text_.size(); at_++) {
            depth += text_[at_] == '{' ? 1 : text_[at_] == '}' ? -1 : 0;
            if (depth == 0) {
                return std::string(text_.substr(begin, at_++ - begin));
            }
        }
        return std::string(text_.substr(begin));
    }

    std::string item() {
        if (depth_ > kDeepest) {
            return std::string(1, text_[at_++]);
        }
        const char c = text_[at_];
        if (c == '\\') {
            return command();
        }
        if (c == '{') {
            at_++;
            depth_++;
            std::string out = until_brace();
            depth_--;
            return out;
        }
        if (c == '^' || c == '_') {
            at_++;
            return script(argument(), c == '^');
        }
        if (c == '~' || c == '\n' || c == '\t') {
            at_++;
            return " ";
        }
        if (c == '&') {
            at_++;
            return " ";
        }
        if (c == '\'') {
            at_++;
            return "′";
        }
        size_t next = 0;
        decode_utf8(text_, at_, next);
        std::string out(text_.substr(at_, next - at_));
        at_ = next;
        return out;
    }

    static std::string script(const std::string& inner, bool raised) {
        std::string out;
        for (size_t i = 0, next = 0; i < inner.size(); i = next) {
            decode_utf8(inner, i, next);
            const std::string_view c = std::string_view(inner).substr(i, next - i);
            const std::string_view small = c == " " ? std::string_view("")
                                           : raised ? find(kRaised, c)
                                                    : find(kLowered, c);
            if (small.empty() && c != " ") {
                return (raised ? "^" : "_") + grouped(inner);
            }
            out += small;
        }
        return out;
    }

    std::string command() {
        at_++;
        if (at_ >= text_.size()) {
            return "\\";
        }
        if (!std::isalpha(static_cast<unsigned char>(text_[at_]))) {
            const char c = text_[at_++];
            if (c == '\\') {
                if (at_ < text_.size() && text_[at_] == '[') {  // \\[2pt]
                    const size_t close = text_.find(']', at_);
                    at_ = close == std::string_view::npos ? at_ : close + 1;
                }
                return in_rows_ > 0 ? "; " : "\n";
            }
            return c == ',' || c == ';' || c == ':' || c == ' ' ? " "
                   : c == '!'                                   ? ""
                   : c == '|'                                   ? "‖"
                                                                : std::string(1, c);
        }
        const size_t begin = at_;
        while (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_]))) {
            at_++;
        }
        const std::string name(text_.substr(begin, at_ - begin));
        if (at_ < text_.size() && text_[at_] == '*') {
            at_++;
        }
        return named(name);
    }

    std::string named(const std::string& name) {
        if (name == "frac" || name == "dfrac" || name == "tfrac" || name == "cfrac") {
            const std::string above = argument(), below = argument();
            return grouped(above) + "/" + grouped(below);
        }
        if (name == "binom") {
            const std::string above = argument(), below = argument();
            return "C(" + above + ", " + below + ")";
        }
        if (name == "sqrt") {
            std::string degree;
            if (at_ < text_.size() && text_[at_] == '[') {
                const size_t close = text_.find(']', at_);
                if (close != std::string_view::npos) {
                    degree = script(std::string(text_.substr(at_ + 1, close - at_ - 1)), true);
                    at_ = close + 1;
                }
            }
            const std::string inner = argument();
            return degree + "√" + (characters(inner) <= 1 ? inner : "(" + inner + ")");
        }
        if (name == "text" || name == "mathrm" || name == "textbf" || name == "textit" ||
            name == "texttt" || name == "operatorname" || name == "mbox" || name == "mathsf") {
            return raw_group();
        }
        if (name == "mathbb") {
            const std::string inner = argument();
            const std::string_view letter = find(kDouble, inner);
            return letter.empty() ? inner : std::string(letter);
        }
        if (name == "mathbf" || name == "boldsymbol" || name == "mathcal" || name == "mathit" ||
            name == "mathfrak" || name == "bm" || name == "displaystyle" || name == "textstyle" ||
            name == "boxed" || name == "underbrace" || name == "overbrace") {
            return name.ends_with("style") ? "" : argument();
        }
        if (name == "hat" || name == "bar" || name == "vec" || name == "tilde" || name == "dot" ||
            name == "overline" || name == "widehat") {
            const std::string inner = argument();
            const std::string mark = name == "hat" || name == "widehat"    ? "\u0302"
                                     : name == "bar" || name == "overline" ? "\u0304"
                                     : name == "vec"                       ? "\u20D7"
                                     : name == "tilde"                     ? "\u0303"
                                                                           : "\u0307";
            return characters(inner) == 1 ? inner + mark : name + grouped(inner);
        }
        if (name == "left" || name == "right" || name == "big" || name == "Big" || name == "bigl" ||
            name == "bigr" || name == "Bigl" || name == "Bigr" || name == "bigg" ||
            name == "Bigg") {
            if (at_ < text_.size() && text_[at_] == '.') {
                at_++;  // no bracket on this side
            }
            return "";
        }
        if (name == "quad" || name == "qquad") {
            return "  ";
        }
        if (name == "begin") {
            const std::string what = raw_group();
            if (what.find("array") != std::string::npos) {
                raw_group();  // the columns
            }
            in_rows_++;
            return what == "cases" ? "{ " : what.find("matrix") != std::string::npos ? "[" : "";
        }
        if (name == "end") {
            const std::string what = raw_group();
            in_rows_ = std::max(0, in_rows_ - 1);
            return what == "cases" ? " }" : what.find("matrix") != std::string::npos ? "]" : "";
        }
        if (name == "pmod") {
            return "(mod " + argument() + ")";
        }
        if (name == "label" || name == "tag") {
            const std::string inner = raw_group();
            return name == "tag" ? "  (" + inner + ")" : "";
        }
        if (name == "limits" || name == "nolimits") {
            return "";
        }
        if (name == "not") {
            const std::string inner = argument();
            return inner == "=" ? "≠" : inner == "∈" ? "∉" : inner + "\u0338";
        }
        const std::string_view sign = sign_of(name);
        if (sign.empty()) {
            return "\\" + name;
        }
        // A word (sin, log) keeps its distance from what follows it.
        const bool word = std::isalpha(static_cast<unsigned char>(sign[0])) != 0;
        const bool letter_follows =
            at_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[at_]));
        return std::string(sign) + (word && letter_follows ? " " : "");
    }

    // No blanks at the ends, never two in a row.
    static std::string tidy(const std::string& text) {
        std::string out;
        for (const char c : text) {
            if (c == ' ' && (out.empty() || out.back() == ' ' || out.back() == '\n')) {
                continue;
            }
            out += c;
        }
        while (!out.empty() && (out.back() == ' ' || out.back() == '\n')) {
            out.pop_back();
        }
        const size_t begin = out.find_first_not_of(" \n");
        return begin == std::string::npos ? std::string() : out.substr(begin);
    }

    std::string_view text_;
    size_t at_ = 0;
    int depth_ = 0;
    int in_rows_ = 0;
};

}  // namespace

std::string latex_to_text(std::string_view formula) {
    const std::string text = Reader(formula).all();
    return text.empty() ? std::string(formula) : text;
}

}  // namespace app::window
