#include "app/server/schema_grammar.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "app/server/api_error.h"
#include "app/server/number_grammar.h"
#include "app/server/schema_merge.h"
#include "app/server/tool_schema.h"
#include "runtime/text/grammar/pattern.h"

namespace app {
namespace {

using runtime::GrammarBuilder;
using Expr = GrammarBuilder::Expr;
using CodePoints = GrammarBuilder::CodePoints;

constexpr int kMaxDepth = 96;  // of schemas in schemas, references followed
constexpr int64_t kMaxCount = 1'000'000'000;
constexpr int64_t kMostRequired = 100'000;  // characters or items that must be there
constexpr size_t kMaxWays = 256;            // of anyOf after merging
constexpr int32_t kMostKeyLength = 64;      // of keys that no schema names
constexpr size_t kMaxValues = 5'000;        // of one enum
constexpr const char* kMarkerText =
    "arg_value>";  // what a bare argument must not hold, whole tags included

constexpr std::string_view kIgnored[] = {"title",
                                         "description",
                                         "default",
                                         "examples",
                                         "example",
                                         "$comment",
                                         "$schema",
                                         "$id",
                                         "$anchor",
                                         "$defs",
                                         "definitions",
                                         "deprecated",
                                         "readOnly",
                                         "writeOnly",
                                         "format",
                                         "contentMediaType",
                                         "contentEncoding",
                                         "strict",
                                         "discriminator",
                                         "externalDocs",
                                         "xml"};
constexpr std::string_view kRefused[] = {"not",
                                         "if",
                                         "then",
                                         "else",
                                         "patternProperties",
                                         "propertyNames",
                                         "dependentRequired",
                                         "dependentSchemas",
                                         "dependencies",
                                         "contains",
                                         "minContains",
                                         "maxContains",
                                         "unevaluatedItems",
                                         "$dynamicRef",
                                         "$recursiveRef",
                                         "contentSchema"};

const Json* member(const Json& object, std::string_view name) {
    const auto found = object.is_object() ? object.find(std::string(name)) : object.end();
    return found == object.end() ? nullptr : &*found;
}

class SchemaConverter {
public:
    SchemaConverter(GrammarBuilder& builder, const Json& root, bool in_argument)
        : b_(builder), root_(root), in_argument_(in_argument) {}

    Expr value(const Json& schema, const std::string& path) { return convert(schema, path, 0); }

    Expr any_object() {
        return object_of_pairs(pair(string_of(0, kMostKeyLength), any_value()), 0, -1);
    }

    // A string's own characters, unquoted: an argument whose type is string and nothing else.
    // Empty: the schema is not that simple.
    Expr bare_string(const Json& given, const std::string& path) {
        const Json schema = flattened(given, path);
        if (const auto ways = choices(schema, path)) {
            std::vector<Expr> each;
            for (const Json& way : *ways) {
                each.push_back(bare_string(way, path));
            }
            return b_.choice(std::move(each));
        }
        refuse_unknown(schema, path);
        if (const auto values = constants(schema, path)) {
            std::vector<Expr> each;
            for (const Json& one : *values) {
                if (one.is_string() &&
                    one.get_ref<const std::string&>().find(kMarkerText) == std::string::npos) {
                    each.push_back(b_.literal(one.get_ref<const std::string&>()));
                }
            }
            return b_.choice(std::move(each));
        }
        const auto character = [this](const CodePoints& ranges) {
            return b_.code_points(without(ranges, '<', '<'));
        };
        if (const Json* pattern = pattern_of(schema, path)) {
            return patterned(*pattern, path, character);
        }
        if (const std::string* format = format_of(schema, path)) {
            return runtime::pattern_expression(b_, *format, character);
        }
        const auto [least, most] = counts(schema, path, "minLength", "maxLength");
        if (least == 0 && most < 0) {
            return b_.text_without({std::string(kMarkerText)});
        }
        return b_.repeat(character({{0, 0x10FFFF}}), least, most);
    }

    // $ref followed and allOf merged, until neither is left.
    Json flattened(const Json& given, const std::string& path) {
        Json schema = given;
        for (int depth = 0; schema.is_object(); depth++) {
            if (depth > kMaxDepth) {
                refuse(path, "its references and allOf do not come to an end");
            }
            if (const Json* reference = member(schema, "$ref")) {
                const Json target = resolve(*reference, path);
                schema.erase("$ref");
                keep_to_itself(target, schema, path);
                schema = merged(target, schema, path);
            } else if (const Json* all = member(schema, "allOf")) {
                if (!all->is_array()) {
                    refuse(path + ".allOf", "must be a list");
                }
                if (all->size() > kMaxWays) {
                    refuse(path + ".allOf", "more than " + std::to_string(kMaxWays) + " schemas");
                }
                const Json list = *all;
                schema.erase("allOf");
                for (const Json& one : list) {
                    keep_to_itself(one, list.size() > 1 ? list : schema, path);
                    schema = merged(schema, one, path);
                }
            } else {
                break;
            }
        }
        return schema;
    }

private:
    [[noreturn]] static void refuse(const std::string& path, const std::string& why) {
        throw ApiError::invalid("'" + path + "' cannot be honoured: " + why + ".", path,
                                "unsupported_schema");
    }

    // unevaluatedProperties of a part does not see the properties beside that part, which merging
    // would show it.
    void keep_to_itself(const Json& part, const Json& beside, const std::string& path) {
        if (member(part, "unevaluatedProperties") != nullptr &&
            (beside.is_array() || !only_annotations_beside(beside, ""))) {
            refuse(path + ".unevaluatedProperties", "in a schema that others are merged with");
        }
    }

    static Json merged(const Json& a, const Json& b, const std::string& path) {
        std::string problem;
        Json out = merge_schemas(a, b, problem);
        if (!problem.empty()) {
            refuse(path, problem);
        }
        return out;
    }

    const Json& resolve(const Json& reference, const std::string& path) {
        if (!reference.is_string()) {
            refuse(path + ".$ref", "must be a string");
        }
        std::string text = reference.get<std::string>();
        if (!text.starts_with('#')) {
            refuse(path + ".$ref", "only references within the schema (#/...) are followed");
        }
        std::string decoded;
        for (size_t i = 1; i < text.size(); i++) {
            if (text[i] == '%' && i + 2 < text.size()) {
                decoded +=
                    static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
                i += 2;
            } else {
                decoded += text[i];
            }
        }
        try {
            const Json::json_pointer pointer(decoded);
            if (root_.contains(pointer)) {
                return root_.at(pointer);
            }
        } catch (const Json::exception&) {
            // not a pointer
        }
        refuse(path + ".$ref", "there is no " + text);
    }

    // As a rule: it is written once, however often it is used (an array's item stands in its
    // grammar twice).
    Expr convert(const Json& schema, const std::string& path, int depth) {
        const Expr rule = b_.declare(path);
        b_.define(rule, converted(schema, path, depth));
        return rule;
    }

    Expr converted(const Json& schema, const std::string& path, int depth) {
        if (depth > kMaxDepth) {
            refuse(path, "schemas are nested too deeply");
        }
        if (schema.is_boolean()) {
            return schema.get<bool>() ? any_value() : b_.nothing();
        }
        if (!schema.is_object()) {
            refuse(path, "a schema must be an object or a boolean");
        }
        // A reference alone becomes a rule, so that recursion comes to an end.
        if (const Json* reference = member(schema, "$ref");
            reference != nullptr && only_annotations_beside(schema, "$ref")) {
            const Json* target = &resolve(*reference, path);
            if (const auto known = rules_.find(target); known != rules_.end()) {
                return known->second;
            }
            const Expr rule = b_.declare(reference->get<std::string>());
            rules_.emplace(target, rule);
            b_.define(rule, convert(*target, reference->get<std::string>(), depth + 1));
            return rule;
        }
        const Json flat = flattened(schema, path);
        if (flat.is_boolean()) {
            return flat.get<bool>() ? any_value() : b_.nothing();
        }
        if (const auto ways = choices(flat, path)) {
            std::vector<Expr> each;
            for (const Json& way : *ways) {
                each.push_back(convert(way, path, depth + 1));
            }
            return b_.choice(std::move(each));
        }
        refuse_unknown(flat, path);
        if (const auto values = constants(flat, path)) {
            std::vector<Expr> each;
            for (const Json& one : *values) {
                each.push_back(constant(one));
            }
            return b_.choice(std::move(each));
        }
        std::vector<Expr> each;
        for (const std::string& type : types(flat, path)) {
            each.push_back(of_type(type, flat, path, depth));
        }
        return each.empty() ? any_value() : b_.choice(std::move(each));
    }

    bool only_annotations_beside(const Json& schema, std::string_view keyword) {
        for (const auto& [name, unused] : schema.items()) {
            if (name != keyword &&
                std::find(std::begin(kIgnored), std::end(kIgnored), name) == std::end(kIgnored)) {
                return false;
            }
        }
        return true;
    }

    // anyOf and oneOf, each way merged with what stands beside them.
    std::optional<std::vector<Json>> choices(const Json& schema, const std::string& path) {
        for (const char* name : {"anyOf", "oneOf"}) {
            const Json* list = member(schema, name);
            if (list == nullptr) {
                continue;
            }
            if (!list->is_array() || list->empty()) {
                refuse(path + "." + name, "must be a list of schemas");
            }
            if (list->size() > kMaxWays) {
                refuse(path + "." + name, "too many alternatives");
            }
            if (std::string_view(name) == "oneOf") {
                std::vector<Json> flat;
                for (const Json& one : *list) {
                    flat.push_back(flattened(one, path));
                }
                for (size_t i = 0; i < flat.size(); i++) {
                    for (size_t k = i + 1; k < flat.size(); k++) {
                        if (!surely_disjoint(flat[i], flat[k])) {
                            refuse(path + ".oneOf", "alternatives " + std::to_string(i) + " and " +
                                                        std::to_string(k) +
                                                        " may both hold for one value; use anyOf, "
                                                        "or a property with different constants");
                        }
                    }
                }
            }
            Json beside = schema;
            beside.erase(name);
            const bool bare = only_annotations_beside(beside, "");
            std::vector<Json> ways;
            for (const Json& one : *list) {
                if (!bare) {
                    keep_to_itself(one, beside, path);
                }
                ways.push_back(bare ? one : merged(flattened(one, path), beside, path));
            }
            return ways;
        }
        return std::nullopt;
    }

    void refuse_unknown(const Json& schema, const std::string& path) {
        for (const std::string_view name : kRefused) {
            if (member(schema, name) != nullptr) {
                refuse(path + "." + std::string(name), "this keyword is not supported");
            }
        }
    }

    // The values of enum or const that satisfy the rest of the schema.
    std::optional<std::vector<Json>> constants(const Json& schema, const std::string& path) {
        const Json* fixed = member(schema, "const");
        const Json* list = member(schema, "enum");
        if (fixed == nullptr && list == nullptr) {
            return std::nullopt;
        }
        if (list != nullptr && (!list->is_array() || list->empty())) {
            if (list->is_array()) {
                return std::vector<Json>{};
            }
            refuse(path + ".enum", "must be a list of values");
        }
        if (list != nullptr && list->size() > kMaxValues) {
            refuse(path + ".enum", "more than " + std::to_string(kMaxValues) + " values");
        }
        std::vector<Json> values;
        const Json only = fixed != nullptr ? Json::array({*fixed}) : *list;
        Json rest = schema;  // without the list itself, which each value would be looked up in
        rest.erase("const");
        if (fixed == nullptr) {
            rest.erase("enum");
        }
        for (const Json& value : only) {
            const std::optional<bool> good = satisfies(value, rest);
            if (!good) {
                refuse(path, "enum or const beside keywords that cannot be decided for its values");
            }
            if (*good) {
                values.push_back(value);
            }
        }
        return values;
    }

    std::vector<std::string> types(const Json& schema, const std::string& path) {
        static constexpr std::string_view kTypes[] = {"object",  "array",   "string", "number",
                                                      "integer", "boolean", "null"};
        std::vector<std::string> all;
        const auto take = [&](const Json& type) {
            if (!type.is_string() || std::find(std::begin(kTypes), std::end(kTypes),
                                               type.get<std::string>()) == std::end(kTypes)) {
                refuse(path + ".type",
                       "must be one of object, array, string, number, integer, boolean, null, or a "
                       "list of these");
            }
            all.push_back(type.get<std::string>());
        };
        if (const Json* type = member(schema, "type")) {
            if (type->is_array()) {
                if (type->empty()) {
                    refuse(path + ".type", "must not be an empty list");
                }
                for (const Json& one : *type) {
                    take(one);
                }
            } else {
                take(*type);
            }
            return all;
        }
        static constexpr std::pair<std::string_view, std::string_view> kSigns[] = {
            {"properties", "object"},
            {"required", "object"},
            {"additionalProperties", "object"},
            {"minProperties", "object"},
            {"maxProperties", "object"},
            {"items", "array"},
            {"prefixItems", "array"},
            {"minItems", "array"},
            {"maxItems", "array"},
            {"uniqueItems", "array"},
            {"pattern", "string"},
            {"minLength", "string"},
            {"maxLength", "string"},
            {"minimum", "number"},
            {"maximum", "number"},
            {"exclusiveMinimum", "number"},
            {"exclusiveMaximum", "number"},
            {"multipleOf", "number"}};
        for (const auto& [keyword, type] : kSigns) {
            if (member(schema, keyword) != nullptr &&
                std::find(all.begin(), all.end(), type) == all.end()) {
                all.emplace_back(type);
            }
        }
        return all;
    }

    Expr of_type(const std::string& type, const Json& schema, const std::string& path, int depth) {
        if (type == "object") {
            return object(schema, path, depth);
        }
        if (type == "array") {
            return array(schema, path, depth);
        }
        if (type == "string") {
            return string(schema, path);
        }
        if (type == "number" || type == "integer") {
            return number(schema, path, type == "integer");
        }
        return type == "boolean" ? b_.choice({b_.literal("true"), b_.literal("false")})
                                 : b_.literal("null");
    }

    // --- numbers

    std::optional<Bound> bound(const Json& schema,
                               const std::string& path,
                               const char* inclusive,
                               const char* exclusive,
                               bool lower) {
        std::optional<Bound> result;
        double value = 0;
        const auto take = [&](const char* name, bool with) {
            const Json* given = member(schema, name);
            if (given == nullptr) {
                return;
            }
            if (given->is_boolean() && !with) {  // draft 4
                if (given->get<bool>() && result) {
                    result->inclusive = false;
                }
                return;
            }
            if (!given->is_number()) {
                refuse(path + "." + name, "must be a number");
            }
            const auto plain = plain_decimal(to_text(*given));
            if (!plain) {
                refuse(path + "." + name, "a number of more than 40 digits");
            }
            const double v = given->get<double>();
            const bool tighter =
                !result || (lower ? v > value : v < value) || (v == value && !with);
            if (tighter) {
                result = Bound{*plain, with};
                value = v;
            }
        };
        take(inclusive, true);
        take(exclusive, false);
        return result;
    }

    Expr number(const Json& schema, const std::string& path, bool whole) {
        const auto least = bound(schema, path, "minimum", "exclusiveMinimum", true);
        const auto most = bound(schema, path, "maximum", "exclusiveMaximum", false);
        int32_t fraction = whole ? 0 : kFractionDigits;
        if (const Json* factor = member(schema, "multipleOf")) {
            const auto plain = factor->is_number() ? plain_decimal(to_text(*factor)) : std::nullopt;
            if (!plain || factor->get<double>() <= 0) {
                refuse(path + ".multipleOf", "must be a number above 0");
            }
            const size_t point = plain->find('.');
            const std::string behind = point == std::string::npos ? "" : plain->substr(point + 1);
            const std::string before = plain->substr(0, point);
            const bool integral = behind.find_first_not_of('0') == std::string::npos;
            const bool power = !integral && before.find_first_not_of('0') == std::string::npos &&
                               behind.find_first_not_of('0') == behind.size() - 1 &&
                               behind.back() == '1';
            if (integral && before == "1") {
                fraction = 0;
            } else if (power) {
                // Validators divide in floating point; whole numbers come out right for sure.
                fraction = 0;
            } else if (integral && before.size() <= 4 && std::stoll(before) <= kMostFactor &&
                       !least && !most) {
                return multiple_of(b_, std::stoll(before));
            } else {
                refuse(path + ".multipleOf",
                       "only 1, 0.1, 0.01, ..., and whole numbers up to 1000 without bounds beside "
                       "them, are supported");
            }
        }
        if (!least && !most && fraction > 0) {
            return shared("number", [&] {
                const Expr digit = b_.code_points({{'0', '9'}});
                const Expr whole_part = b_.choice(
                    {b_.literal("0"), b_.sequence({b_.code_points({{'1', '9'}}),
                                                   b_.repeat(digit, 0, kIntegerDigits - 1)})});
                const Expr part = b_.optional(
                    b_.sequence({b_.literal("."), b_.repeat(digit, 1, kFractionDigits)}));
                const Expr exponent =
                    b_.optional(b_.sequence({b_.code_points({{'e', 'e'}, {'E', 'E'}}),
                                             b_.optional(b_.code_points({{'+', '+'}, {'-', '-'}})),
                                             b_.repeat(digit, 1, 2)}));
                return b_.sequence({b_.optional(b_.literal("-")), whole_part, part, exponent});
            });
        }
        return number_between(b_, least, most, fraction);
    }

    // --- strings

    // Ranges without [low, high].
    static CodePoints without(const CodePoints& ranges, uint32_t low, uint32_t high) {
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

    // One character of a string, as it may stand between quotes; `freely`: by any escape, not only
    // the needed ones.
    Expr character(const CodePoints& ranges, bool freely = false) {
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

    Expr quoted(Expr inside) { return b_.sequence({b_.literal("\""), inside, b_.literal("\"")}); }

    Expr string_of(int32_t least, int32_t most) {
        const Expr one = shared("character", [&] { return character({{0, 0x10FFFF}}, true); });
        return quoted(b_.repeat(one, least, most));
    }

    static std::pair<int32_t, int32_t> counts(const Json& schema,
                                              const std::string& path,
                                              const char* least_name,
                                              const char* most_name) {
        const auto take = [&](const char* name, int64_t otherwise) -> int64_t {
            const Json* given = member(schema, name);
            if (given == nullptr) {
                return otherwise;
            }
            if (!given->is_number() || given->get<double>() < 0 ||
                std::trunc(given->get<double>()) != given->get<double>()) {
                refuse(path + "." + name, "must be a whole number of at least 0");
            }
            return static_cast<int64_t>(std::min(given->get<double>(), 1e15));
        };
        const int64_t least = take(least_name, 0), most = take(most_name, -1);
        if (least > kMostRequired) {
            refuse(path + "." + least_name, "more than " + std::to_string(kMostRequired));
        }
        return {static_cast<int32_t>(least), most > kMaxCount ? -1 : static_cast<int32_t>(most)};
    }

    static bool impossible(const std::pair<int32_t, int32_t>& counts) {
        return counts.second >= 0 && counts.second < counts.first;
    }

    static const Json* pattern_of(const Json& schema, const std::string& path) {
        const Json* pattern = member(schema, "pattern");
        if (pattern == nullptr) {
            return nullptr;
        }
        if (!pattern->is_string()) {
            refuse(path + ".pattern", "must be a string");
        }
        if (member(schema, "minLength") != nullptr || member(schema, "maxLength") != nullptr) {
            refuse(path + ".pattern",
                   "beside minLength or maxLength it is not supported; put the length into the "
                   "pattern");
        }
        static const std::string_view kHonoured[] = {"date", "time",  "date-time", "uuid",
                                                     "ipv4", "email", "hostname"};
        if (const Json* format = member(schema, "format");
            format != nullptr && format->is_string() &&
            std::find(std::begin(kHonoured), std::end(kHonoured), format->get<std::string>()) !=
                std::end(kHonoured)) {
            refuse(path + ".pattern",
                   "beside this format it is not supported; leave out one of them");
        }
        return pattern;
    }

    Expr patterned(const Json& pattern,
                   const std::string& path,
                   const runtime::WriteCharacter& character) {
        try {
            return runtime::pattern_expression(b_, pattern.get<std::string>(), character);
        } catch (const runtime::GrammarError& error) {
            refuse(path + ".pattern", error.what());
        }
    }

    // The pattern of a format that is honoured; null: the format says nothing.
    static const std::string* format_of(const Json& schema, const std::string& path) {
        const Json* format = member(schema, "format");
        if (format == nullptr || !format->is_string()) {
            return nullptr;
        }
        static const std::string kDate =
            "[12]\\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|"
            "30)|02-(0[1-9]|1\\d|2[0-8]))";
        static const std::string kTime =
            "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)";
        static const std::map<std::string, std::string> kFormats = {
            {"date", "^" + kDate + "$"},
            {"time", "^" + kTime + "$"},
            {"date-time", "^" + kDate + "T" + kTime + "$"},
            {"uuid", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
            {"ipv4",
             "^((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?"
             "\\d)$"},
            {"email",
             "^[a-z0-9_+-]{1,32}(\\.[a-z0-9_+-]{1,32}){0,3}@[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?("
             "\\.[a-z]{2,16}){1,3}$"},
            {"hostname",
             "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){0,4}$"}};
        // The shortest and the longest text that is written.
        static const std::map<std::string, std::pair<int32_t, int32_t>> kLengths = {
            {"date", {10, 10}}, {"time", {9, 21}},   {"date-time", {20, 32}}, {"uuid", {36, 36}},
            {"ipv4", {7, 15}},  {"email", {6, 215}}, {"hostname", {1, 164}}};
        const auto known = kFormats.find(format->get<std::string>());
        if (known == kFormats.end()) {
            return nullptr;
        }
        const auto& [shortest, longest] = kLengths.at(known->first);
        const auto [least, most] = counts(schema, path, "minLength", "maxLength");
        if (least > shortest || (most >= 0 && most < longest)) {
            refuse(path + ".format", "beside a minLength above " + std::to_string(shortest) +
                                         " or a maxLength below " + std::to_string(longest) +
                                         " it is not supported");
        }
        return &known->second;
    }

    Expr string(const Json& schema, const std::string& path) {
        const auto write = [this](const CodePoints& ranges) { return character(ranges); };
        if (const Json* pattern = pattern_of(schema, path)) {
            return quoted(patterned(*pattern, path, write));
        }
        const auto lengths = counts(schema, path, "minLength", "maxLength");
        if (impossible(lengths)) {
            return b_.nothing();
        }
        if (const std::string* format = format_of(schema, path)) {
            return quoted(runtime::pattern_expression(b_, *format, write));
        }
        return string_of(lengths.first, lengths.second);
    }

    // --- arrays

    Expr comma() {
        return shared("comma", [&] {
            return b_.sequence({b_.literal(","), b_.optional(b_.literal(" "))});
        });
    }

    Expr array(const Json& schema, const std::string& path, int depth) {
        const auto limits = counts(schema, path, "minItems", "maxItems");
        if (impossible(limits)) {
            return b_.nothing();
        }
        const auto [least, most] = limits;
        if (const Json* unique = member(schema, "uniqueItems");
            unique != nullptr && *unique == Json(true) && (most < 0 || most > 1)) {
            refuse(path + ".uniqueItems", "that no two items are equal cannot be enforced");
        }
        const Json* items = member(schema, "items");
        const Json* first = member(schema, "prefixItems");
        const Json* rest = first != nullptr ? items : nullptr;
        if (first == nullptr && items != nullptr && items->is_array()) {  // draft 7
            first = items;
            rest = member(schema, "additionalItems");
        }
        if (first != nullptr) {
            if (!first->is_array()) {
                refuse(path + ".prefixItems", "must be a list of schemas");
            }
            return tuple(*first, rest, limits, path, depth);
        }
        if (most == 0) {
            return b_.literal("[]");
        }
        const Expr item =
            items != nullptr ? convert(*items, path + ".items", depth + 1) : any_value();
        const Expr some = b_.sequence({b_.literal("["), item,
                                       b_.repeat(b_.sequence({comma(), item}),
                                                 std::max(0, least - 1), most < 0 ? -1 : most - 1),
                                       b_.literal("]")});
        return least == 0 ? b_.choice({b_.literal("[]"), some}) : some;
    }

    // The first items each by its own schema, then the rest.
    Expr tuple(const Json& first,
               const Json* rest,
               std::pair<int32_t, int32_t> limits,
               const std::string& path,
               int depth) {
        const auto n = static_cast<int32_t>(first.size());
        const auto [least, most] = limits;
        std::vector<Expr> from(static_cast<size_t>(n) + 1);  // what follows the first i items
        const bool more = rest == nullptr || *rest != Json(false);
        {
            Expr tail = b_.empty();
            if (more && (most < 0 || most > n)) {
                const Expr item =
                    rest == nullptr ? any_value() : convert(*rest, path + ".items", depth + 1);
                const auto needed = std::max(0, least - n), allowed = most < 0 ? -1 : most - n;
                const Expr later = b_.repeat(b_.sequence({comma(), item}),
                                             n > 0 ? needed : std::max(0, needed - 1),
                                             allowed < 0 ? -1
                                             : n > 0     ? allowed
                                                         : allowed - 1);
                tail = n > 0 ? later : b_.sequence({item, later});
                if (n == 0 && needed == 0) {
                    tail = b_.optional(tail);
                }
            } else if (least > n) {
                tail = b_.nothing();
            }
            from[static_cast<size_t>(n)] = tail;
        }
        for (int32_t i = n - 1; i >= 0; i--) {
            const auto at = static_cast<size_t>(i);
            const Expr item =
                convert(first[at], path + ".prefixItems[" + std::to_string(i) + "]", depth + 1);
            Expr here = most >= 0 && i >= most
                            ? b_.nothing()
                            : b_.sequence({i > 0 ? comma() : b_.empty(), item, from[at + 1]});
            if (i >= least) {
                here = b_.choice({b_.empty(), here});
            }
            const Expr rule = b_.declare(path + " items");
            b_.define(rule, here);
            from[at] = rule;
        }
        return b_.sequence({b_.literal("["), from[0], b_.literal("]")});
    }

    // --- objects

    Expr colon() {
        return shared("colon", [&] {
            return b_.sequence({b_.literal(":"), b_.optional(b_.literal(" "))});
        });
    }
    Expr pair(Expr key, Expr value) { return b_.sequence({key, colon(), value}); }

    Expr object_of_pairs(Expr one, int32_t least, int32_t most) {
        if (most == 0) {
            return b_.literal("{}");
        }
        const Expr some = b_.sequence({b_.literal("{"), one,
                                       b_.repeat(b_.sequence({comma(), one}),
                                                 std::max(0, least - 1), most < 0 ? -1 : most - 1),
                                       b_.literal("}")});
        return least == 0 ? b_.choice({b_.literal("{}"), some}) : some;
    }

    Expr constant(const Json& value) {
        std::string text = to_text(value);
        if (in_argument_) {
            for (size_t at = 0; (at = text.find('<', at)) != std::string::npos;) {
                text.replace(at, 1, "\\u003c");  // inside strings only: nothing else of JSON has it
            }
        }
        return b_.literal(text);
    }

    // A key that is none of these, written without escapes.
    Expr other_key(const std::vector<std::string>& names) {
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

    Expr object(const Json& schema, const std::string& path, int depth) {
        const Json* properties = member(schema, "properties");
        if (properties != nullptr && !properties->is_object()) {
            refuse(path + ".properties", "must be an object");
        }
        std::vector<std::tuple<std::string, const Json*, bool>> all;  // name, schema, required
        if (properties != nullptr) {
            for (const auto& [name, one] : properties->items()) {
                all.emplace_back(name, &one, false);
            }
        }
        static const Json kAny = true;
        const Json* extra = member(schema, "additionalProperties");
        if (const Json* unevaluated = member(schema, "unevaluatedProperties");
            extra == nullptr && unevaluated != nullptr) {
            extra = unevaluated;
        }
        const bool closed = extra != nullptr && *extra == Json(false);
        if (const Json* required = member(schema, "required")) {
            if (!required->is_array()) {
                refuse(path + ".required", "must be a list of names");
            }
            for (const Json& name : *required) {
                if (!name.is_string()) {
                    refuse(path + ".required", "must be a list of names");
                }
                const auto found = std::find_if(all.begin(), all.end(), [&](const auto& p) {
                    return std::get<0>(p) == name.get<std::string>();
                });
                if (found != all.end()) {
                    std::get<2>(*found) = true;
                } else if (closed) {
                    return b_.nothing();
                } else {
                    all.emplace_back(name.get<std::string>(), extra != nullptr ? extra : &kAny,
                                     true);
                }
            }
        }
        const auto limits = counts(schema, path, "minProperties", "maxProperties");
        const bool open = all.empty() ? !closed : extra != nullptr && !closed;
        if (all.empty() && open) {
            if (limits.first > 1) {
                refuse(path + ".minProperties",
                       "that keys differ cannot be enforced; at most 1 is supported without "
                       "declared properties");
            }
            if (impossible(limits)) {
                return b_.nothing();
            }
            const Expr value = extra != nullptr
                                   ? convert(*extra, path + ".additionalProperties", depth + 1)
                                   : any_value();
            return object_of_pairs(pair(string_of(0, kMostKeyLength), value), limits.first,
                                   limits.second);
        }
        const auto needed = static_cast<int32_t>(
            std::count_if(all.begin(), all.end(), [](const auto& p) { return std::get<2>(p); }));
        if (limits.first > needed) {
            refuse(path + ".minProperties", "more than the required properties");
        }
        if (limits.second >= 0 && (open || limits.second < static_cast<int32_t>(all.size()))) {
            refuse(path + ".maxProperties", "less than the declared properties");
        }
        // What may follow property i - 1, with or without a property before: rules, so that each is
        // written once.
        std::vector<std::string> names;
        for (const auto& p : all) {
            names.push_back(std::get<0>(p));
        }
        Expr last[2] = {b_.empty(), b_.empty()};
        if (open) {
            const Expr one =
                pair(other_key(names), convert(*extra, path + ".additionalProperties", depth + 1));
            const Expr more = b_.repeat(b_.sequence({comma(), one}), 0);
            last[0] = b_.optional(b_.sequence({one, more}));
            last[1] = more;
        }
        for (size_t i = all.size(); i-- > 0;) {
            const auto& [name, one, required] = all[i];
            const Expr item =
                pair(constant(Json(name)), convert(*one, path + ".properties." + name, depth + 1));
            const Expr after[2] = {last[0], last[1]};
            for (int before = 0; before < 2; before++) {
                const Expr with = b_.sequence({before == 1 ? comma() : b_.empty(), item, after[1]});
                const Expr rule = b_.declare(path + "." + name);
                b_.define(rule, required ? with : b_.choice({with, after[before]}));
                last[before] = rule;
            }
        }
        return b_.sequence({b_.literal("{"), last[0], b_.literal("}")});
    }

    // --- anything

    Expr any_value() {
        return shared("value", [&] {
            const Expr any = shared_.at("value");
            const Expr list = b_.sequence(
                {b_.literal("["),
                 b_.optional(b_.sequence({any, b_.repeat(b_.sequence({comma(), any}), 0)})),
                 b_.literal("]")});
            return b_.choice({object_of_pairs(pair(string_of(0, kMostKeyLength), any), 0, -1), list,
                              string_of(0, -1), number(Json::object(), "", false),
                              b_.literal("true"), b_.literal("false"), b_.literal("null")});
        });
    }

    // A rule of that name, made once.
    template <typename Make>
    Expr shared(const std::string& name, const Make& make) {
        if (const auto found = shared_.find(name); found != shared_.end()) {
            return found->second;
        }
        const Expr rule = b_.declare(name);
        shared_.emplace(name, rule);
        b_.define(rule, make());
        return rule;
    }

    GrammarBuilder& b_;
    const Json& root_;
    const bool in_argument_;  // no '<': the value stands between GLM's tags
    std::map<const Json*, Expr> rules_;
    std::map<std::string, Expr> shared_;
};

Expr arguments_of(GrammarBuilder& b,
                  const CallableTool& tool,
                  const std::map<std::string_view, Expr>& tags) {
    static const Json kNone = Json::object();
    const Json& root = tool.parameters != nullptr ? *tool.parameters : kNone;
    SchemaConverter convert(b, root, true);
    const Json schema = convert.flattened(root, tool.path);
    const Json* properties = member(schema, "properties");
    const Json* required = member(schema, "required");
    std::vector<std::string_view> refused = {"anyOf", "oneOf",         "enum",
                                             "const", "minProperties", "maxProperties"};
    refused.insert(refused.end(), std::begin(kRefused), std::end(kRefused));
    for (const std::string_view name : refused) {
        if (member(schema, name) != nullptr) {
            const std::string place = tool.path + "." + std::string(name);
            throw ApiError::invalid("'" + place + "' cannot be honoured for a tool's arguments.",
                                    place, "unsupported_schema");
        }
    }
    std::vector<Expr> parts;
    std::vector<std::string> names;
    if (properties != nullptr && properties->is_object()) {
        for (const auto& [name, one] : properties->items()) {
            names.push_back(name);
            const std::string path = tool.path + ".properties." + name;
            if (name.empty() || name.find('<') != std::string::npos ||
                std::isspace(static_cast<unsigned char>(name.front())) != 0 ||
                std::isspace(static_cast<unsigned char>(name.back())) != 0) {
                throw ApiError::invalid("'" + path +
                                            "' cannot be honoured: an argument's name cannot be "
                                            "empty, hold '<' or begin or end with a space.",
                                        path, "unsupported_schema");
            }
            const Expr value = types_of(one, root).only_string() ? convert.bare_string(one, path)
                                                                 : convert.value(one, path);
            const Expr argument =
                b.sequence({tags.at("<arg_key>"), b.literal(name), tags.at("</arg_key>"),
                            tags.at("<arg_value>"), value, tags.at("</arg_value>")});
            const bool needed =
                required != nullptr && required->is_array() &&
                std::find(required->begin(), required->end(), Json(name)) != required->end();
            parts.push_back(needed ? argument : b.optional(argument));
        }
    }
    if (required != nullptr && required->is_array()) {
        for (const Json& name : *required) {
            if (name.is_string() &&
                std::find(names.begin(), names.end(), name.get<std::string>()) == names.end()) {
                throw ApiError::invalid("'" + tool.path + ".required' names '" +
                                            name.get<std::string>() +
                                            "', which is not among the properties.",
                                        tool.path + ".required", "unsupported_schema");
            }
        }
    }
    return b.sequence(std::move(parts));
}

}  // namespace

Expr thought_before(GrammarBuilder& builder, const runtime::Tokenizer& tokenizer) {
    const auto end = tokenizer.find("</think>");
    if (!end) {
        throw ApiError::invalid("This model's vocabulary has no token </think>, so a reply with thinking cannot be constrained; switch thinking off.",
                                "response_format", "unsupported_value");
    }
    return builder.sequence({builder.text_without({"</think>", "<tool_call>"}), builder.token(*end)});
}

std::shared_ptr<const runtime::Grammar> reply_grammar(const ReplyShape& shape,
                                                      const runtime::Tokenizer& tokenizer) {
    const std::string path = "response_format.json_schema.schema";
    GrammarBuilder b;
    try {
        std::vector<Expr> ways;
        if (shape.schema != nullptr) {
            // Beside tools, text that looks like a call would be read as one.
            SchemaConverter convert(b, *shape.schema, !shape.tools.empty());
            ways.push_back(*shape.schema == Json(true) ? convert.any_object()
                                                       : convert.value(*shape.schema, path));
        }
        if (!shape.tools.empty()) {
            std::map<std::string_view, Expr> tags;
            for (const char* tag : {"<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>",
                                    "<arg_value>", "</arg_value>"}) {
                const auto id = tokenizer.find(tag);
                tags[tag] = id ? b.token(*id) : b.literal(tag);
            }
            std::vector<Expr> calls;
            for (const CallableTool& tool : shape.tools) {
                calls.push_back(b.sequence(
                    {b.literal(tool.name), arguments_of(b, tool, tags), tags.at("</tool_call>")}));
            }
            const Expr any = b.choice(std::move(calls));
            const Expr whole = shape.opened ? any : b.sequence({tags.at("<tool_call>"), any});
            ways.push_back(shape.several && !shape.opened ? b.repeat(whole, 1) : whole);
        }
        const Expr reply = b.choice(std::move(ways));
        return b.build(shape.thought ? b.sequence({thought_before(b, tokenizer), reply}) : reply);
    } catch (const runtime::GrammarError& error) {
        const std::string field = shape.schema != nullptr ? path : "tools";
        throw ApiError::invalid("'" + field + "' cannot be honoured: " + error.what() + ".", field,
                                "unsupported_schema");
    }
}

}  // namespace app
