// SPDX-License-Identifier: Apache-2.0
#include "core/pages/page_copy.h"

#include <cstring>

#include "core/memory/guest_memory.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace godwit {
namespace {

void copy_plain(std::uint8_t* to, const std::uint8_t* from) { std::memcpy(to, from, kPageSize); }

#if defined(__x86_64__)

__attribute__((target("sse2"))) void copy_sse2(std::uint8_t* to, const std::uint8_t* from) {
  for (std::size_t at = 0; at < kPageSize; at += sizeof(__m128i)) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + at), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at)));
  }
}

__attribute__((target("avx2"))) void copy_avx2(std::uint8_t* to, const std::uint8_t* from) {
  for (std::size_t at = 0; at < kPageSize; at += sizeof(__m256i)) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at)));
  }
}

__attribute__((target("avx512f"))) void copy_avx512(std::uint8_t* to, const std::uint8_t* from) {
  for (std::size_t at = 0; at < kPageSize; at += sizeof(__m512i)) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), _mm512_loadu_si512(from + at));
  }
}

#endif

const PageCopyVariant& widest_supported() {
  for (const PageCopyVariant& variant : page_copy_variants()) {
    if (variant.supported) return variant;
  }
  return page_copy_variants().back();  // plain: not reached, since it is always supported
}

}  // namespace

std::span<const PageCopyVariant> page_copy_variants() {
  static const PageCopyVariant variants[] = {
#if defined(__x86_64__)
      {"avx512", __builtin_cpu_supports("avx512f") != 0, copy_avx512},
      {"avx2", __builtin_cpu_supports("avx2") != 0, copy_avx2},
      {"sse2", __builtin_cpu_supports("sse2") != 0, copy_sse2},
#endif
      {"plain", true, copy_plain},
  };
  return variants;
}

void copy_page(std::uint8_t* to, const std::uint8_t* from) {
  static const PageCopy copy = widest_supported().copy;
  copy(to, from);
}

void finish_page_copies() {
#if defined(__x86_64__)
  _mm_sfence();  // streaming stores are not ordered by the release of a mutex
#endif
}

}  // namespace godwit
