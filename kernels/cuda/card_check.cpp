#include "kernels/cuda/card_check.h"

#include "kernels/check.h"

namespace kernels::cuda {
namespace {

constexpr int kOldest = 80;  // cp.async and mma.m16n8k16

std::string version(int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

std::string capability(int number) {
    return std::to_string(number / 10) + "." + std::to_string(number % 10);
}

}  // namespace

bool card_is_usable(const CardFacts& facts) {
    if (facts.driver == 0) {
        return false;
    }
    if (facts.old_driver) {
        throw DeviceError("the NVIDIA driver supports CUDA " + version(facts.driver) +
                          ", this program needs " + version(facts.runtime) +
                          ": update the driver, or use --device cpu");
    }
    if (facts.index < 0 || facts.index >= facts.cards) {
        return false;
    }
    if (facts.capability < kOldest) {
        throw DeviceError(facts.name + " has compute capability " + capability(facts.capability) +
                          ", this program needs " + capability(kOldest) +
                          " or newer: use --device cpu");
    }
    if (!facts.has_kernels) {
        throw DeviceError("this program was built for other cards than " + facts.name +
                          " (compute capability " + capability(facts.capability) +
                          "): build it again on this machine, or use --device cpu");
    }
    return true;
}

bool card_starts_early(const CardFacts& facts) {
    return facts.capability >= 90 && facts.built_for >= 90 && facts.driver >= 12030;
}

}  // namespace kernels::cuda
