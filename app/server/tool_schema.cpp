#include "app/server/tool_schema.h"

#include <cmath>

namespace app {
namespace {

constexpr int kMaxDepth = 16;  // of schemas in schemas; $ref may point in circles

unsigned bit_of(std::string_view name) {
    if (name == "string")
        return TypeSet::string;
    if (name == "number")
        return TypeSet::number | TypeSet::integer;
    if (name == "integer")
        return TypeSet::integer;
    if (name == "boolean")
        return TypeSet::boolean;
    if (name == "null")
        return TypeSet::null;
    if (name == "object")
        return TypeSet::object;
    if (name == "array")
        return TypeSet::array;
    return TypeSet::any;
}

unsigned bit_of(const Json& value) {
    switch (value.type()) {
        case Json::value_t::string:
            return TypeSet::string;
        case Json::value_t::number_integer:
        case Json::value_t::number_unsigned:
            return TypeSet::integer;
        case Json::value_t::number_float:
            return std::trunc(value.get<double>()) == value.get<double>() ? TypeSet::integer
                                                                          : TypeSet::number;
        case Json::value_t::boolean:
            return TypeSet::boolean;
        case Json::value_t::null:
            return TypeSet::null;
        case Json::value_t::object:
            return TypeSet::object;
        case Json::value_t::array:
            return TypeSet::array;
        default:
            return TypeSet::any;
    }
}

const Json* member(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found == object.end() ? nullptr : &*found;
}

const Json* resolve(const std::string& reference, const Json& root) {
    if (!reference.starts_with("#")) {
        return nullptr;
    }
    try {
        const Json::json_pointer pointer(reference.substr(1));
        return root.contains(pointer) ? &root.at(pointer) : nullptr;
    } catch (const Json::exception&) {
        return nullptr;  // not a pointer: the schema then says nothing
    }
}

unsigned bits_of(const Json& schema, const Json& root, int depth) {
    if (!schema.is_object() || depth > kMaxDepth) {
        return TypeSet::any;
    }
    unsigned bits = TypeSet::any;
    if (const Json* reference = member(schema, "$ref");
        reference != nullptr && reference->is_string()) {
        if (const Json* target = resolve(reference->get<std::string>(), root)) {
            bits &= bits_of(*target, root, depth + 1);
        }
    }
    if (const Json* type = member(schema, "type")) {
        unsigned allowed = 0;
        if (type->is_string()) {
            allowed = bit_of(std::string_view(type->get_ref<const std::string&>()));
        } else if (type->is_array()) {
            for (const Json& name : *type) {
                allowed |= name.is_string()
                               ? bit_of(std::string_view(name.get_ref<const std::string&>()))
                               : 0;
            }
        }
        bits &= allowed != 0 ? allowed : TypeSet::any;
    }
    if (const Json* fixed = member(schema, "const")) {
        bits &= bit_of(*fixed);
    }
    if (const Json* values = member(schema, "enum");
        values != nullptr && values->is_array() && !values->empty()) {
        unsigned allowed = 0;
        for (const Json& value : *values) {
            allowed |= bit_of(value);
        }
        bits &= allowed;
    }
    for (const char* name : {"anyOf", "oneOf"}) {
        if (const Json* list = member(schema, name);
            list != nullptr && list->is_array() && !list->empty()) {
            unsigned allowed = 0;
            for (const Json& item : *list) {
                allowed |= bits_of(item, root, depth + 1);
            }
            bits &= allowed;
        }
    }
    if (const Json* list = member(schema, "allOf"); list != nullptr && list->is_array()) {
        for (const Json& item : *list) {
            bits &= bits_of(item, root, depth + 1);
        }
    }
    return bits != 0 ? bits : TypeSet::any;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n";
    const size_t begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) {
        return "";
    }
    return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

TypeSet types_of(const Json& schema, const Json& root) {
    return {bits_of(schema, root, 0)};
}

void ToolSchemas::add(const std::string& name, const Json* parameters) {
    runtime::ToolSignature signature{name, {}};
    auto& types = types_[name];
    const Json* properties = parameters != nullptr ? member(*parameters, "properties") : nullptr;
    const Json* required = parameters != nullptr ? member(*parameters, "required") : nullptr;
    if (properties != nullptr && properties->is_object()) {
        for (const auto& item : properties->items()) {
            const TypeSet set = types_of(item.value(), *parameters);
            bool is_required = false;
            if (required != nullptr && required->is_array()) {
                for (const Json& key : *required) {
                    is_required = is_required || (key.is_string() &&
                                                  key.get_ref<const std::string&>() == item.key());
                }
            }
            types.emplace(item.key(), set);
            signature.parameters.push_back({item.key(), set.only_string(), is_required});
        }
    }
    signatures_.push_back(std::move(signature));
}

bool ToolSchemas::is_text(std::string_view tool, std::string_view key) const {
    const auto types = types_.find(tool);
    if (types == types_.end()) {
        return false;
    }
    const auto found = types->second.find(key);
    return found != types->second.end() && found->second.only_string();
}

std::string ToolSchemas::value(std::string_view tool,
                               std::string_view key,
                               std::string_view text,
                               bool is_string) const {
    TypeSet set;
    bool declared = false;
    if (const auto types = types_.find(tool); types != types_.end()) {
        if (const auto found = types->second.find(key); found != types->second.end()) {
            set = found->second;
            declared = true;
        }
    }
    if (!set.only_string() && !(is_string && !declared)) {
        const std::string_view candidate = trimmed(text);
        try {
            const Json parsed = parse_json(candidate);
            // Of a type the schema allows, or of no allowed type where text would not be allowed
            // either.
            if (set.has(bit_of(parsed)) || !set.has(TypeSet::string)) {
                return std::string(candidate);
            }
        } catch (const JsonError&) {
            // bare text: a string, whatever was declared
        }
    }
    return to_text(Json(std::string(text)));
}

}  // namespace app
