// The device under the CUDA backend: memory, copies, a stream. Two bodies: device_cuda.cu on the
// CUDA runtime, and device_emulated.cpp, where a launch runs on the CPU (kernels/simt): tests link
// that one in its place. Used by one thread at a time, except for memory_figures().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/simt/simt.h"

namespace kernels::cuda {

class Device {
public:
    // Throws DeviceError with what is wrong and what to do: no driver, a driver older than the
    // program, no such card, a card that is too old. Null where the machine has no NVIDIA card at
    // all.
    static std::unique_ptr<Device> open(int index);

    virtual ~Device() = default;
    virtual std::string name() const = 0;
    virtual void* allocate(int64_t bytes) = 0;  // aligned to 256 bytes; null where there is no room
    virtual void copy_in(void* device,
                         const void* host,
                         int64_t bytes) = 0;  // in the order of the stream
    virtual void copy_out(void* host,
                          const void* device,
                          int64_t bytes) = 0;  // waits for the stream
    // In the order of the stream: `count` pieces of `bytes`, `pitch` apart, from the device's
    // memory to other memory of it.
    virtual void copy(void* to, const void* from, int64_t pitch, int64_t bytes, int64_t count) = 0;
    virtual void zero(void* device, int64_t bytes) = 0;

    // Memory of the host that the card reads and writes by itself; throws DeviceError where there
    // is none. Freed by free_host(), which may be called after the device was closed.
    virtual void* allocate_host(int64_t bytes) = 0;
    static void free_host(void* memory, size_t bytes);
    // In the order of the stream, from memory of allocate_host(), which must stay as it is until
    // wait_for_sent() has returned.
    virtual void send(void* device, const void* host, int64_t bytes) = 0;
    virtual void wait_for_sent() = 0;

    // From begin to end, launches are not run but kept: replay() runs them, as often as wanted,
    // each with the arguments it had. No memory may be asked for and nothing copied in between.
    class Recording {
    public:
        virtual ~Recording() = default;
    };
    virtual void begin_recording() = 0;
    // Null where a driver makes nothing of it: launches one by one do the same.
    virtual std::unique_ptr<Recording> end_recording() = 0;
    virtual void replay(const Recording& recording) = 0;
    virtual simt::Stream stream() const = 0;

    struct Figures {
        int64_t total_bytes = 0;
        int64_t free_bytes = 0;
    };
    virtual Figures memory_figures() const = 0;

    // As Backend's: kernels launched on this device, and the time each took between profile(true)
    // and profile(false).
    virtual int64_t launches() const = 0;
    virtual std::vector<LaunchTime> profile(bool on) = 0;

    // Gives back what allocate() gave; may be called after the device was closed.
    static void free(void* memory, size_t bytes);
};

}  // namespace kernels::cuda
