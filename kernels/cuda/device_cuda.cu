#include "kernels/check.h"
#include "kernels/cuda/device.h"

namespace kernels::cuda {
namespace {

constexpr int kOldest = 80;  // sm_80: cp.async and mma.m16n8k16

class CudaDevice final : public Device {
public:
    explicit CudaDevice(int index) : index_(index) {
        simt::check(cudaSetDevice(index_), "choosing the card");
        simt::check(cudaGetDeviceProperties(&properties_, index_), "reading its properties");
        simt::check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
    }
    ~CudaDevice() override { cudaStreamDestroy(stream_); }
    std::string name() const override { return properties_.name; }
    void* allocate(int64_t bytes) override {
        void* memory = nullptr;
        const cudaError_t error = cudaMalloc(&memory, static_cast<size_t>(bytes));
        if (error == cudaErrorMemoryAllocation) {
            cudaGetLastError();  // an ordinary outcome: not to be found by the next launch
            return nullptr;
        }
        simt::check(error, "allocating memory");
        return memory;
    }
    void copy_in(void* device, const void* host, int64_t bytes) override {
        // From pageable memory this returns once the bytes are staged, so `host` may change then.
        simt::check(cudaMemcpyAsync(device, host, static_cast<size_t>(bytes),
                                    cudaMemcpyHostToDevice, stream_),
                    "copying to the card");
    }
    void copy_out(void* host, const void* device, int64_t bytes) override {
        simt::check(cudaMemcpyAsync(host, device, static_cast<size_t>(bytes),
                                    cudaMemcpyDeviceToHost, stream_),
                    "copying from the card");
        simt::check(cudaStreamSynchronize(stream_), "waiting for the card");
    }
    void copy(void* to, const void* from, int64_t pitch, int64_t bytes, int64_t count) override {
        simt::check(cudaMemcpy2DAsync(to, static_cast<size_t>(pitch), from,
                                      static_cast<size_t>(pitch), static_cast<size_t>(bytes),
                                      static_cast<size_t>(count), cudaMemcpyDeviceToDevice, stream_),
                    "copying within the card");
    }
    void zero(void* device, int64_t bytes) override {
        simt::check(cudaMemsetAsync(device, 0, static_cast<size_t>(bytes), stream_),
                    "clearing memory");
    }
    simt::Stream stream() const override { return stream_; }
    Figures memory_figures() const override {
        size_t free_bytes = 0, total_bytes = 0;
        if (cudaSetDevice(index_) != cudaSuccess ||
            cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) {
            return {static_cast<int64_t>(properties_.totalGlobalMem), 0};
        }
        return {static_cast<int64_t>(total_bytes), static_cast<int64_t>(free_bytes)};
    }

private:
    int index_;
    cudaDeviceProp properties_{};
    cudaStream_t stream_ = nullptr;
};

std::string version(int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

}  // namespace

std::unique_ptr<Device> Device::open(int index) {
    int driver = 0, runtime = 0, count = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (driver == 0 || error == cudaErrorNoDevice) {
        cudaGetLastError();
        return nullptr;  // no driver or no card: nothing is wrong
    }
    if (error == cudaErrorInsufficientDriver) {
        cudaGetLastError();
        throw DeviceError("the NVIDIA driver supports CUDA " + version(driver) +
                          ", this program needs " + version(runtime) +
                          ": update the driver, or use --device cpu");
    }
    simt::check(error, "counting the cards");
    if (index >= count) {
        return nullptr;
    }
    cudaDeviceProp properties{};
    simt::check(cudaGetDeviceProperties(&properties, index), "reading the card's properties");
    const int capability = properties.major * 10 + properties.minor;
    if (capability < kOldest) {
        throw DeviceError(std::string(properties.name) + " has compute capability " +
                          std::to_string(properties.major) + "." +
                          std::to_string(properties.minor) +
                          ", this program needs 8.0 or newer: use --device cpu");
    }
    return std::make_unique<CudaDevice>(index);
}

void Device::free(void* memory, size_t) {
    cudaFree(memory);
}

}  // namespace kernels::cuda
