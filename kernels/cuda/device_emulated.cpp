// The device of the tests: memory of the host with an inaccessible page behind each piece, launches
// on the CPU.
#include "kernels/cuda/device_emulated.h"

#include <cstdlib>
#include <cstring>

#include "kernels/check.h"
#include "kernels/cuda/device.h"

namespace kernels::cuda {
namespace {

constexpr int64_t kTotal = int64_t{1} << 30;
int64_t taken = 0;  // of kTotal

void refuse_if_lost(const char* what) {
    if (emulated_trouble.lost) {
        throw DeviceError(std::string("the CUDA device refuses (") + what +
                          "): the emulated device is lost");
    }
}

class LaunchRecording final : public Device::Recording {
public:
    simt::cpu::LaunchList launches;
};

class EmulatedDevice final : public Device {
public:
    std::string name() const override { return "emulated CUDA device"; }
    void* allocate(int64_t bytes) override {
        ENSURE(recording_ == nullptr, "memory asked for while launches are recorded");
        refuse_if_lost("allocating memory");
        if (bytes > kTotal - taken) {
            return nullptr;
        }
        taken += bytes;
        return simt::cpu::device_alloc(static_cast<size_t>(bytes + 255) / 256 * 256);
    }
    void copy_in(void* device, const void* host, int64_t bytes) override {
        ENSURE(recording_ == nullptr, "a copy while launches are recorded");
        refuse_if_lost("copying to the card");
        std::memcpy(device, host, static_cast<size_t>(bytes));
    }
    void copy_out(void* host, const void* device, int64_t bytes) override {
        ENSURE(recording_ == nullptr, "a copy while launches are recorded");
        refuse_if_lost("copying from the card");
        std::memcpy(host, device, static_cast<size_t>(bytes));
    }
    void copy(void* to, const void* from, int64_t pitch, int64_t bytes, int64_t count) override {
        for (int64_t i = 0; i < count; i++) {
            std::memcpy(static_cast<std::byte*>(to) + i * pitch,
                        static_cast<const std::byte*>(from) + i * pitch,
                        static_cast<size_t>(bytes));
        }
    }
    void zero(void* device, int64_t bytes) override {
        std::memset(device, 0, static_cast<size_t>(bytes));
    }
    void* allocate_host(int64_t bytes) override {
        return std::aligned_alloc(256, static_cast<size_t>(bytes + 255) / 256 * 256);
    }
    void send(void* device, const void* host, int64_t bytes) override {
        copy_in(device, host, bytes);
    }
    void wait_for_sent() override {}
    void begin_recording() override {
        recording_ = std::make_unique<LaunchRecording>();
        simt::cpu::launch_list = &recording_->launches;
    }
    std::unique_ptr<Recording> end_recording() override {
        simt::cpu::launch_list = nullptr;
        std::unique_ptr<LaunchRecording> recording = std::move(recording_);
        return emulated_trouble.no_recordings ? nullptr : std::move(recording);
    }
    void replay(const Recording& recording) override {
        for (const auto& launch : static_cast<const LaunchRecording&>(recording).launches) {
            launch();
        }
    }
    simt::Stream stream() const override { return nullptr; }
    Figures memory_figures() const override { return {kTotal, kTotal - taken}; }
    int64_t launches() const override { return static_cast<int64_t>(simt::launches); }
    std::vector<LaunchTime> profile(bool) override { return {}; }  // time here says nothing

private:
    std::unique_ptr<LaunchRecording> recording_;
};

}  // namespace

std::unique_ptr<Device> Device::open(int index) {
    return index == 0 ? std::make_unique<EmulatedDevice>() : nullptr;
}

void Device::free(void* memory, size_t bytes) {
    taken -= static_cast<int64_t>(bytes);
    simt::cpu::device_free(memory);
}

void Device::free_host(void* memory, size_t) {
    std::free(memory);
}

}  // namespace kernels::cuda
