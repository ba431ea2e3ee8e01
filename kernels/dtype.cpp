#include "kernels/dtype.h"

#include <array>

#include "kernels/check.h"

namespace kernels {
namespace {

constexpr DTypeInfo kTypes[] = {
#define KERNELS_X(name, text, id, elements, bytes, ...) {DType::name, text, id, elements, bytes},
    KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
};

}  // namespace

const DTypeInfo& info(DType type) {
    return kTypes[static_cast<size_t>(type)];
}

std::string_view name(DType type) {
    return info(type).name;
}

std::optional<DType> dtype_from_ggml(uint32_t ggml_id) {
    for (const DTypeInfo& t : kTypes) {
        if (t.ggml_id == ggml_id) {
            return t.type;
        }
    }
    return std::nullopt;
}

int64_t row_bytes(DType type, int64_t elements) {
    const DTypeInfo& t = info(type);
    ENSURE(elements >= 0 && elements % t.block_elements == 0, t.name, " row of ", elements);
    return elements / t.block_elements * t.block_bytes;
}

}  // namespace kernels
