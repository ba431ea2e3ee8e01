// Launches of the MLA decode kernel (mla_decode.cuh) and of its merge.
#include "kernels/check.h"
#include "kernels/cuda/mla_decode.cuh"

namespace kernels::cuda {
namespace {

using namespace mla;

template <Form form, int Columns>
void launch(const Attend& w, simt::Stream stream) {
    static_assert(sizeof(Shared<form, Columns>) <= simt::kSharedBytes);
    simt::launch({dim3(static_cast<unsigned>(w.n_splits), static_cast<unsigned>(w.n_groups)),
                  kThreads, sizeof(Shared<form, Columns>), stream, true},
                 mla_decode_kernel<form, Columns>, w);
}

template <Form form>
void launch_for(const Attend& w, simt::Stream stream) {
    const int32_t columns = w.group_tokens * w.n_heads;
    ENSURE(columns <= 40, w.group_tokens, " tokens of ", w.n_heads, " heads");
    if (columns <= 8) {
        launch<form, 8>(w, stream);
    } else if (columns <= 24) {
        launch<form, 24>(w, stream);
    } else {
        launch<form, 40>(w, stream);
    }
}

}  // namespace

bool has_mla_decode(const KRows& rows) {
    return rows.latent == kLatent && rows.rotary == kRotary &&
           (rows.int8_latent || rows.dtype != DType::f32);
}

int32_t mla_group_tokens(int32_t n_heads) {
    return n_heads <= 40 ? 40 / n_heads : 0;
}

void launch_mla_decode(const Attend& w, simt::Stream stream) {
    if (w.n_groups == 0) {
        return;
    }
    if (w.rows.int8_latent) {
        return launch_mla_latent(w, stream);
    }
    switch (w.rows.dtype) {
        case DType::f16:
            return launch_for<Form::f16>(w, stream);
        case DType::bf16:
            return launch_for<Form::bf16>(w, stream);
        case DType::q8_0:
            return launch_for<Form::q8_0>(w, stream);
        default:
            ENSURE(w.rows.dtype == DType::q4_0, name(w.rows.dtype));
            return launch_for<Form::q4_0>(w, stream);
    }
}

void launch_mla_merge(const Attend& w, simt::Stream stream) {
    if (w.n_tokens > 0 && w.n_splits > 1) {
        simt::launch(
            {static_cast<unsigned>(w.n_tokens * w.n_heads), kMergeWarps * 32, 0, stream, true},
            mla_merge_kernel, w);
    }
}

}  // namespace kernels::cuda
