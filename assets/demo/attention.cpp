// Causal attention of several conversations laid end to end, forward and backward, for training on
// one core with AMX.
//
// attention.py compiles this file. T tokens, H heads, N / R per-head query and key size without /
// with rotary part, V per-head value. A conversation sees itself only; there is no padding between
// conversations. Rotary positions are applied here: pairs of neighbouring numbers, as in GLM.
// Scores of a block of queries stay in the L2 cache, so nothing of size T x T is ever kept. Not
// thread-safe: the buffers are static.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <immintrin.h>
#include <sys/syscall.h>
#include <torch/extension.h>
#include <unistd.h>

namespace {

using bf16 = at::BFloat16;
constexpr int N = 64, R = 32, K = N + R, V = 64;
constexpr int kTile = 32;  // rows and columns of a product step: 2 x 2 AMX tiles

struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Takes the tiles for this scope and gives them back as they were: oneDNN remembers what it
// configured.
struct Tiles {
    TileConfig before;
    Tiles() {
        static const long permitted = syscall(SYS_arch_prctl, 0x1023, 18);
        TORCH_CHECK(permitted == 0, "this kernel allows no AMX");
        _tile_storeconfig(&before);
        const TileConfig mine;
        _tile_loadconfig(&mine);
    }
    ~Tiles() {
        if (before.palette) {
            _tile_loadconfig(&before);
        } else {
            _tile_release();
        }
    }
};

// c[32, n] = a[32, k] b[k, n] (+ c): a row-major, b as pairs of rows side by side, b[k / 2][n][2].
// n and k: multiples of 32.
template <bool kAdd>
void product(float* c, int ldc, const bf16* a, int lda, const bf16* b, int ldb, int n, int k) {
    for (int j = 0; j < n; j += kTile) {
        float* out = c + j;
        if constexpr (kAdd) {
            _tile_loadd(0, out, ldc * 4);
            _tile_loadd(1, out + 16, ldc * 4);
            _tile_loadd(2, out + 16 * ldc, ldc * 4);
            _tile_loadd(3, out + 16 * ldc + 16, ldc * 4);
        } else {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
        }
        for (int i = 0; i < k; i += kTile) {
            _tile_loadd(4, a + i, lda * 2);
            _tile_loadd(5, a + 16 * lda + i, lda * 2);
            _tile_loadd(6, b + static_cast<size_t>(i) * ldb + 2 * j, ldb * 4);
            _tile_loadd(7, b + static_cast<size_t>(i) * ldb + 2 * j + 32, ldb * 4);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, out, ldc * 4);
        _tile_stored(1, out + 16, ldc * 4);
        _tile_stored(2, out + 16 * ldc, ldc * 4);
        _tile_stored(3, out + 16 * ldc + 16, ldc * 4);
    }
}

template <typename T>
T* room(std::vector<T>& buffer, size_t n) {
    if (buffer.size() < n) {
        buffer.resize(n);
    }
    return buffer.data();
}

// exp to about 1e-5 of its value: 2^whole times a polynomial of the rest.
__m512 exponential(__m512 x) {
    x = _mm512_max_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _mm512_set1_ps(-126.0f));
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                 f = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(0.00961813f);
    for (const float c : {0.05550411f, 0.24022651f, 0.69314718f, 1.0f}) {
        y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(c));
    }
    return _mm512_scalef_ps(y, whole);
}

// out[cols, ldo] = in[rows, ldi] transposed, of 32-bit items; rows and cols are multiples of 16.
void transpose(uint32_t* out, int ldo, const uint32_t* in, int ldi, int rows, int cols) {
    for (int i = 0; i < rows; i += 16) {
        for (int j = 0; j < cols; j += 16) {
            __m512i a[16], b[16];
            for (int r = 0; r < 16; r++) {
                a[r] = _mm512_loadu_si512(in + static_cast<size_t>(i + r) * ldi + j);
            }
            for (int r = 0; r < 16; r += 2) {
                b[r] = _mm512_unpacklo_epi32(a[r], a[r + 1]);
                b[r + 1] = _mm512_unpackhi_epi32(a[r], a[r + 1]);
            }
            for (int r = 0; r < 16; r += 4) {
                a[r] = _mm512_unpacklo_epi64(b[r], b[r + 2]);
                a[r + 1] = _mm512_unpackhi_epi64(b[r], b[r + 2]);
                a[r + 2] = _mm512_unpacklo_epi64(b[r + 1], b[r + 3]);
                a[r + 3] = _mm512_unpackhi_epi64(b[r + 1], b[r + 3]);
            }
            for (int r = 0; r < 4;
                 r++) {  // a[4 g + r] holds columns r, 4 + r, 8 + r, 12 + r of rows 4 g .. 4 g + 3
                const __m512i x = _mm512_shuffle_i32x4(a[r], a[4 + r], 0x88),
                              y = _mm512_shuffle_i32x4(a[r], a[4 + r], 0xdd),
                              z = _mm512_shuffle_i32x4(a[8 + r], a[12 + r], 0x88),
                              w = _mm512_shuffle_i32x4(a[8 + r], a[12 + r], 0xdd);
                const __m512i lines[4] = {
                    _mm512_shuffle_i32x4(x, z, 0x88), _mm512_shuffle_i32x4(y, w, 0x88),
                    _mm512_shuffle_i32x4(x, z, 0xdd), _mm512_shuffle_i32x4(y, w, 0xdd)};
                for (int c = 0; c < 4; c++) {
                    _mm512_storeu_si512(out + static_cast<size_t>(j + 4 * c + r) * ldo + i,
                                        lines[c]);
                }
            }
        }
    }
}

// out[d / 2][wide][2] from x[n, d]: what a product needs of x transposed.
void pack_transposed(bf16* out, const bf16* x, int n, int d, int wide) {
    transpose(reinterpret_cast<uint32_t*>(out), wide, reinterpret_cast<const uint32_t*>(x), d / 2,
              n, d / 2);
}

// out[n / 2][wide][2] from d columns of x[n, wide].
void pack_rows(bf16* out, const bf16* x, int n, int d, int wide) {
    const auto* in = reinterpret_cast<const uint16_t*>(x);
    auto* to = reinterpret_cast<uint32_t*>(out);
    for (int i = 0; i < n; i += 2, in += 2 * wide, to += wide) {
        for (int c = 0; c < d; c += 16) {
            __m256i low, high;
            std::memcpy(&low, in + c, 32);
            std::memcpy(&high, in + wide + c, 32);
            _mm512_storeu_si512(
                to + c, _mm512_or_si512(_mm512_cvtepu16_epi32(low),
                                        _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16)));
        }
    }
}

__m512 load(const bf16* x) {
    __m256i raw;
    std::memcpy(&raw, x, 32);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16));
}

void store(bf16* out, __m512 x) {
    const __m256bh narrow = _mm512_cvtneps_pbh(x);
    std::memcpy(static_cast<void*>(out), &narrow, 32);
}

template <int n>
void scaled(bf16* out, const bf16* in, float factor) {
    for (int i = 0; i < n; i += 16) {
        store(out + i, _mm512_mul_ps(load(in + i), _mm512_set1_ps(factor)));
    }
}

template <int n>
void narrowed(bf16* out, const float* in, float factor = 1) {
    for (int i = 0; i < n; i += 16) {
        store(out + i, _mm512_mul_ps(_mm512_loadu_ps(in + i), _mm512_set1_ps(factor)));
    }
}

// Rotary part; direction -1 undoes it. cs: R/2 cosines, then R/2 sines.
template <typename To, typename From>
void rotate(To* out, const From* in, const float* cs, float direction, float scale) {
    for (int i = 0; i < R / 2; i++) {
        const float a = in[2 * i], b = in[2 * i + 1], c = cs[i] * scale,
                    s = cs[R / 2 + i] * direction * scale;
        out[2 * i] = a * c - b * s;
        out[2 * i + 1] = a * s + b * c;
    }
}

struct Inputs {
    const bf16 *q, *k, *k_pe, *v;  // [T, H, K], [T, H, N], [T, R], [T, H, V]
    const float* cs;               // [positions, R]
    int heads;
};

const float kScale = 1 / std::sqrt(static_cast<float>(K));

// Rows of one head of a conversation, filled with zeros up to n_pad rows.
void gather(
    const Inputs& in, int64_t first, int n, int n_pad, int head, bf16* q, bf16* k, bf16* v) {
    for (int t = 0; t < n; t++) {
        const int64_t row = (first + t) * in.heads + head;
        const float* cs = in.cs + static_cast<size_t>(t) * R;
        scaled<N>(q + t * K, in.q + row * K, kScale);
        rotate(q + t * K + N, in.q + row * K + N, cs, 1.0f, kScale);
        std::memcpy(static_cast<void*>(k + t * K), in.k + row * N, N * 2);
        rotate(k + t * K + N, in.k_pe + (first + t) * R, cs, 1.0f, 1.0f);
        std::memcpy(static_cast<void*>(v + t * V), in.v + row * V, V * 2);
    }
    std::memset(static_cast<void*>(q + n * K), 0, (n_pad - n) * K * 2);
    std::memset(static_cast<void*>(k + n * K), 0, (n_pad - n) * K * 2);
    std::memset(static_cast<void*>(v + n * V), 0, (n_pad - n) * V * 2);
}

std::vector<bf16> b_q, b_k, b_v, b_kt, b_vp, b_p, b_qt, b_qp, b_kp, b_do, b_dot, b_dop, b_pt, b_dst,
    b_dsp;
std::vector<float> b_s, b_dp, b_dq, b_dqr, b_d, b_lse, b_dkpe;

Inputs inputs(const at::Tensor& q,
              const at::Tensor& k,
              const at::Tensor& k_pe,
              const at::Tensor& v,
              const at::Tensor& cs) {
    for (const auto* x : {&q, &k, &k_pe, &v}) {
        TORCH_CHECK(x->is_contiguous() && x->scalar_type() == at::kBFloat16,
                    "attention: contiguous bfloat16 expected");
    }
    TORCH_CHECK(
        q.dim() == 3 && q.size(2) == K && k.size(2) == N && k_pe.size(1) == R && v.size(2) == V,
        "attention: shapes");
    return {q.data_ptr<bf16>(), k.data_ptr<bf16>(),   k_pe.data_ptr<bf16>(),
            v.data_ptr<bf16>(), cs.data_ptr<float>(), static_cast<int>(q.size(1))};
}

// starts: int64, the first token of every conversation and T at the end. Returns out [T, H, V] and
// log-sum-exp [H, T].
std::vector<at::Tensor> forward(const at::Tensor& q_,
                                const at::Tensor& k_,
                                const at::Tensor& k_pe_,
                                const at::Tensor& v_,
                                const at::Tensor& cs_,
                                const at::Tensor& starts_) {
    const Inputs in = inputs(q_, k_, k_pe_, v_, cs_);
    const int64_t tokens = q_.size(0);
    auto out_ = at::empty({tokens, in.heads, V}, q_.options());
    auto lse_ = at::empty({in.heads, tokens}, q_.options().dtype(at::kFloat));
    auto* out = out_.data_ptr<bf16>();
    auto* lse = lse_.data_ptr<float>();
    const auto* starts = starts_.data_ptr<int64_t>();
    const Tiles tiles;
    alignas(64) float mixed[kTile * V];
    for (int64_t part = 0; part + 1 < starts_.size(0); part++) {
        const int64_t first = starts[part];
        const int n = static_cast<int>(starts[part + 1] - first),
                  n_pad = (n + kTile - 1) / kTile * kTile,
                  wide = n_pad +
                         kTile;  // a stride that is no power of two: rows would share cache sets
        bf16 *q = room(b_q, n_pad * K), *k = room(b_k, n_pad * K), *v = room(b_v, n_pad * V),
             *kt = room(b_kt, wide * K), *vp = room(b_vp, n_pad * V), *p = room(b_p, kTile * n_pad);
        float* s = room(b_s, kTile * n_pad);
        for (int head = 0; head < in.heads; head++) {
            gather(in, first, n, n_pad, head, q, k, v);
            pack_transposed(kt, k, n_pad, K, wide);
            pack_rows(vp, v, n_pad, V, V);
            for (int i = 0; i < n_pad; i += kTile) {
                const int seen = i + kTile;
                product<false>(s, seen, q + i * K, K, kt, wide, seen, K);
                float inverse[kTile];
                for (int r = 0; r < kTile; r++) {
                    float* row = s + r * seen;
                    for (int c = i + r + 1; c < seen; c++) {
                        row[c] = -1e30f;
                    }
                    __m512 most = _mm512_loadu_ps(row);
                    for (int c = 16; c < seen; c += 16) {
                        most = _mm512_max_ps(most, _mm512_loadu_ps(row + c));
                    }
                    const float top = _mm512_reduce_max_ps(most);
                    __m512 total = _mm512_setzero_ps();
                    for (int c = 0; c < seen; c += 16) {
                        const __m512 e = exponential(
                            _mm512_sub_ps(_mm512_loadu_ps(row + c), _mm512_set1_ps(top)));
                        total = _mm512_add_ps(total, e);
                        store(p + r * seen + c, e);
                    }
                    const float sum = _mm512_reduce_add_ps(total);
                    inverse[r] = 1 / sum;
                    if (i + r < n) {
                        lse[head * tokens + first + i + r] = top + std::log(sum);
                    }
                }
                product<false>(mixed, V, p, seen, vp, V, V, seen);
                for (int r = 0; r < kTile && i + r < n; r++) {
                    narrowed<V>(out + ((first + i + r) * in.heads + head) * V, mixed + r * V,
                                inverse[r]);
                }
            }
        }
    }
    return {out_, lse_};
}

// Gradients of q, k, k_pe, v. Works on transposed scores (keys x queries): then only dS has to be
// packed anew.
std::vector<at::Tensor> backward(const at::Tensor& q_,
                                 const at::Tensor& k_,
                                 const at::Tensor& k_pe_,
                                 const at::Tensor& v_,
                                 const at::Tensor& cs_,
                                 const at::Tensor& starts_,
                                 const at::Tensor& out_,
                                 const at::Tensor& lse_,
                                 const at::Tensor& dout_) {
    const Inputs in = inputs(q_, k_, k_pe_, v_, cs_);
    const int64_t tokens = q_.size(0);
    auto dq_ = at::empty_like(q_), dk_ = at::empty_like(k_), dk_pe_ = at::empty_like(k_pe_),
         dv_ = at::empty_like(v_);
    auto *dq = dq_.data_ptr<bf16>(), *dk = dk_.data_ptr<bf16>(), *dk_pe = dk_pe_.data_ptr<bf16>(),
         *dv = dv_.data_ptr<bf16>();
    const auto *out = out_.data_ptr<bf16>(), *dout = dout_.data_ptr<bf16>();
    const auto* lse = lse_.data_ptr<float>();
    const auto* starts = starts_.data_ptr<int64_t>();
    const Tiles tiles;
    constexpr int kKeys = 128, kQueries = 512,
                  kWide =
                      kQueries + kTile;  // keys and queries of a pass: its scores fit the L2 cache
    alignas(64) static float part_k[kKeys * K], part_v[kKeys * V];
    for (int64_t part = 0; part + 1 < starts_.size(0); part++) {
        const int64_t first = starts[part];
        const int n = static_cast<int>(starts[part + 1] - first),
                  n_pad = (n + kTile - 1) / kTile * kTile,
                  wide = n_pad +
                         kTile;  // a stride that is no power of two: rows would share cache sets
        bf16 *q = room(b_q, n_pad * K), *k = room(b_k, n_pad * K), *v = room(b_v, n_pad * V),
             *kt = room(b_kt, wide * K), *qt = room(b_qt, wide * K), *qp = room(b_qp, n_pad * K),
             *kp = room(b_kp, n_pad * K), *d_o = room(b_do, n_pad * V),
             *dot = room(b_dot, wide * V), *dop = room(b_dop, n_pad * V),
             *pt = room(b_pt, kKeys * kWide), *dst = room(b_dst, kKeys * kWide),
             *dsp = room(b_dsp, kKeys * kWide);
        float *s = room(b_s, kKeys * kWide), *dp = room(b_dp, kKeys * kWide),
              *dqt = room(b_dq, K * wide), *dqr = room(b_dqr, K * n_pad), *d = room(b_d, n_pad),
              *sum = room(b_lse, n_pad), *pe = room(b_dkpe, n_pad * R);
        std::memset(pe, 0, sizeof(float) * n_pad * R);
        for (int head = 0; head < in.heads; head++) {
            gather(in, first, n, n_pad, head, q, k, v);
            for (int t = 0; t < n_pad; t++) {
                __m512 total = _mm512_setzero_ps();
                for (int c = 0; c < V; c += 16) {
                    if (t < n) {
                        const int64_t at = ((first + t) * in.heads + head) * V + c;
                        const __m512 g = load(dout + at);
                        total = _mm512_fmadd_ps(g, load(out + at), total);
                        store(d_o + t * V + c, g);
                    } else {
                        store(d_o + t * V + c, _mm512_setzero_ps());
                    }
                }
                d[t] = _mm512_reduce_add_ps(total);
                sum[t] = t < n ? lse[head * tokens + first + t]
                               : 1e30f;  // rows that do not exist get probability 0
            }
            pack_transposed(qt, q, n_pad, K, wide);
            pack_rows(qp, q, n_pad, K, K);
            pack_transposed(dot, d_o, n_pad, V, wide);
            pack_rows(dop, d_o, n_pad, V, V);
            pack_rows(kp, k, n_pad, K, K);
            transpose(reinterpret_cast<uint32_t*>(kt), wide / 2,
                      reinterpret_cast<const uint32_t*>(kp), K, n_pad / 2, K);
            std::memset(dqt, 0, sizeof(float) * K * wide);
            for (int j = 0; j < n_pad; j += kKeys) {
                const int keys = std::min(kKeys, n_pad - j);
                std::memset(part_k, 0, sizeof part_k);
                std::memset(part_v, 0, sizeof part_v);
                for (int i = j; i < n_pad; i += kQueries) {
                    const int seen = std::min(kQueries, n_pad - i);
                    for (int m = 0; m < keys; m += kTile) {
                        product<false>(s + m * kWide, kWide, k + (j + m) * K, K, qt + 2 * i, wide,
                                       seen, K);
                        product<false>(dp + m * kWide, kWide, v + (j + m) * V, V, dot + 2 * i, wide,
                                       seen, V);
                    }
                    for (int r = 0; r < keys; r++) {
                        float *row = s + r * kWide, *grad = dp + r * kWide;
                        if (i == j) {
                            std::fill(row, row + r, -1e30f);  // queries before the key
                        }
                        for (int c = 0; c < seen; c += 16) {
                            const __m512 e = exponential(_mm512_sub_ps(
                                _mm512_loadu_ps(row + c), _mm512_loadu_ps(sum + i + c)));
                            store(pt + r * kWide + c, e);
                            store(dst + r * kWide + c,
                                  _mm512_mul_ps(e, _mm512_sub_ps(_mm512_loadu_ps(grad + c),
                                                                 _mm512_loadu_ps(d + i + c))));
                        }
                    }
                    pack_rows(dsp, dst, keys, seen, kWide);
                    for (int m = 0; m < keys; m += kTile) {
                        product<true>(part_v + m * V, V, pt + m * kWide, kWide, dop + i * V, V, V,
                                      seen);
                        product<true>(part_k + m * K, K, dst + m * kWide, kWide, qp + i * K, K, K,
                                      seen);
                    }
                    for (int m = 0; m < K; m += kTile) {
                        product<true>(dqt + static_cast<size_t>(m) * wide + i, wide,
                                      kt + static_cast<size_t>(m) * wide + j, wide, dsp, kWide,
                                      seen, keys);
                    }
                }
                for (int r = 0; r < keys && j + r < n; r++) {
                    const int64_t row = (first + j + r) * in.heads + head;
                    narrowed<V>(dv + row * V, part_v + r * V);
                    narrowed<N>(dk + row * N, part_k + r * K);
                    for (int c = 0; c < R; c++) {
                        pe[(j + r) * R + c] += part_k[r * K + N + c];
                    }
                }
            }
            transpose(reinterpret_cast<uint32_t*>(dqr), K, reinterpret_cast<const uint32_t*>(dqt),
                      wide, K, n_pad);
            for (int t = 0; t < n; t++) {
                bf16* to = dq + ((first + t) * in.heads + head) * K;
                narrowed<N>(to, dqr + t * K, kScale);
                rotate(to + N, dqr + t * K + N, in.cs + static_cast<size_t>(t) * R, -1.0f, kScale);
            }
        }
        for (int t = 0; t < n; t++) {
            rotate(dk_pe + (first + t) * R, pe + t * R, in.cs + static_cast<size_t>(t) * R, -1.0f,
                   1.0f);
        }
    }
    return {dq_, dk_, dk_pe_, dv_};
}

}  // namespace

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    m.def("forward", &forward);
    m.def("backward", &backward);
}
