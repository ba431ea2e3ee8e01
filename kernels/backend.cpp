#include "kernels/backend.h"

#include <cstdlib>
#include <new>

#include "kernels/card_memory.h"

namespace kernels {

Buffer Backend::allocate_host(int64_t bytes) {
    // In no account: it is the host's, and small.
    const auto size = static_cast<size_t>(round_up(bytes, kCardAlignment));
    void* memory = std::aligned_alloc(kCardAlignment, size);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return Buffer(memory, size, MemoryUse::compute, std::make_shared<MemoryAccount>(),
                  [](void* data, size_t) { std::free(data); });
}

}  // namespace kernels
