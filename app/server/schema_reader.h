// SchemaReader: what a JSON schema says, once references are followed and allOf, anyOf and oneOf
// are merged with what stands beside them. Knows no grammar. What cannot be honoured is refused
// with its path: ApiError (400).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/json/json.h"
#include "app/server/number_grammar.h"

namespace app {

// Null: there is no such member, or it is no object.
const Json* schema_member(const Json& object, std::string_view name);
// Keywords that are refused wherever they stand.
const std::vector<std::string_view>& refused_keywords();

class SchemaReader {
public:
    static constexpr int kMaxDepth = 96;  // of schemas in schemas, references followed

    // Values of JSON that may be copied and merged for all schemas of a reply: references that lead
    // to one another make ever more of them.
    static constexpr int64_t kWork = 2'000'000;

    // Both must outlive this; `work_left` is what is left of kWork.
    SchemaReader(const Json& root, int64_t& work_left) : root_(root), work_left_(work_left) {}

    [[noreturn]] static void refuse(const std::string& path, const std::string& why);

    const Json& root() const { return root_; }
    // $ref followed and allOf merged, until neither is left.
    Json flattened(const Json& given, const std::string& path);
    const Json& resolve(const Json& reference, const std::string& path);
    static bool only_annotations_beside(const Json& schema, std::string_view keyword);
    // anyOf and oneOf, each way merged with what stands beside them.
    std::optional<std::vector<Json>> choices(const Json& schema, const std::string& path);
    static void refuse_unknown(const Json& schema, const std::string& path);
    // The values of enum or const that satisfy the rest of the schema.
    static std::optional<std::vector<Json>> constants(const Json& schema, const std::string& path);
    // Empty: any.
    static std::vector<std::string> types(const Json& schema, const std::string& path);
    static std::optional<Bound> bound(const Json& schema,
                                      const std::string& path,
                                      const char* inclusive,
                                      const char* exclusive,
                                      bool lower);
    // The least and the most; -1: any number.
    static std::pair<int32_t, int32_t> counts(const Json& schema,
                                              const std::string& path,
                                              const char* least_name,
                                              const char* most_name);
    // The pattern that stands there; null: none.
    static const Json* pattern_of(const Json& schema, const std::string& path);
    // The pattern of a format that is honoured; null: the format says nothing.
    static const std::string* format_of(const Json& schema);

private:
    static void keep_to_itself(const Json& part, const Json& beside, const std::string& path);
    Json merged(const Json& a, const Json& b, const std::string& path);
    void spend(const Json& value, const std::string& path);

    const Json& root_;
    int64_t& work_left_;
};

}  // namespace app
