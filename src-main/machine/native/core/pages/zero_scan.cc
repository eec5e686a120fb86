// SPDX-License-Identifier: Apache-2.0
#include "core/pages/zero_scan.h"

#include <cstring>

#include "core/memory/guest_memory.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace godwit {
namespace {

/// Each variant looks at this many bytes between two decisions. Most pages that are not zero show it in the first
/// block, so it is small; a zero page takes 16 well-predicted branches.
constexpr std::size_t kBlockBytes = 256;

bool scan_scalar(const std::uint8_t* page) {
  for (std::size_t block = 0; block < kPageSize; block += kBlockBytes) {
    std::uint64_t any = 0;
    for (std::size_t at = 0; at < kBlockBytes; at += sizeof any) {
      std::uint64_t word;
      std::memcpy(&word, page + block + at, sizeof word);
      any |= word;
    }
    if (any != 0) return false;
  }
  return true;
}

#if defined(__x86_64__)

__attribute__((target("sse2"))) bool scan_sse2(const std::uint8_t* page) {
  for (std::size_t block = 0; block < kPageSize; block += kBlockBytes) {
    __m128i any = _mm_setzero_si128();
    for (std::size_t at = 0; at < kBlockBytes; at += sizeof any) {
      any = _mm_or_si128(any, _mm_loadu_si128(reinterpret_cast<const __m128i*>(page + block + at)));
    }
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(any, _mm_setzero_si128())) != 0xffff) return false;
  }
  return true;
}

__attribute__((target("avx2"))) bool scan_avx2(const std::uint8_t* page) {
  for (std::size_t block = 0; block < kPageSize; block += kBlockBytes) {
    __m256i any = _mm256_setzero_si256();
    for (std::size_t at = 0; at < kBlockBytes; at += sizeof any) {
      any = _mm256_or_si256(any, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(page + block + at)));
    }
    if (_mm256_testz_si256(any, any) == 0) return false;
  }
  return true;
}

__attribute__((target("avx512f"))) bool scan_avx512(const std::uint8_t* page) {
  for (std::size_t block = 0; block < kPageSize; block += kBlockBytes) {
    __m512i any = _mm512_setzero_si512();
    for (std::size_t at = 0; at < kBlockBytes; at += sizeof any) {
      any = _mm512_or_si512(any, _mm512_loadu_si512(page + block + at));
    }
    if (_mm512_test_epi64_mask(any, any) != 0) return false;
  }
  return true;
}

#endif

const ZeroScanVariant& widest_supported() {
  for (const ZeroScanVariant& variant : zero_scan_variants()) {
    if (variant.supported) return variant;
  }
  return zero_scan_variants().back();  // scalar: not reached, since it is always supported
}

}  // namespace

std::span<const ZeroScanVariant> zero_scan_variants() {
  static const ZeroScanVariant variants[] = {
#if defined(__x86_64__)
      {"avx512", __builtin_cpu_supports("avx512f") != 0, scan_avx512},
      {"avx2", __builtin_cpu_supports("avx2") != 0, scan_avx2},
      {"sse2", __builtin_cpu_supports("sse2") != 0, scan_sse2},
#endif
      {"scalar", true, scan_scalar},
  };
  return variants;
}

bool is_zero_page(const std::uint8_t* page) {
  static const ZeroScan scan = widest_supported().scan;
  return scan(page);
}

const char* zero_scan_name() { return widest_supported().name; }

}  // namespace godwit
