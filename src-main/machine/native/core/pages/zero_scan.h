// SPDX-License-Identifier: Apache-2.0
// Is a page all zero? The widest variant that this processor has is chosen once, at run time.
#pragma once

#include <cstdint>
#include <span>

namespace godwit {

using ZeroScan = bool (*)(const std::uint8_t* page);

struct ZeroScanVariant {
  const char* name;
  bool supported;
  ZeroScan scan;
};

/// `page` has kPageSize bytes and may be written by a guest meanwhile: the answer then holds for some moment of each
/// part, and dirty tracking makes up for it. Any alignment.
bool is_zero_page(const std::uint8_t* page);
/// Name of the variant in use: `avx512`, `avx2`, `sse2` or `scalar`.
const char* zero_scan_name();
/// Every variant that was built, the widest first.
std::span<const ZeroScanVariant> zero_scan_variants();

}  // namespace godwit
