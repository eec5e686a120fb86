// SPDX-License-Identifier: Apache-2.0
// XBZRLE: a page as the difference to what it held before.
//
//   delta := { uleb128 skip, uleb128 count, count bytes }     uleb128 of at most two bytes, low seven bits first
//
// The unchanged bytes behind the last changed ones are left out. Only the first skip may be 0, no count is.
#pragma once

#include <cstdint>
#include <span>

#include "core/memory/guest_memory.h"

namespace godwit {

/// The encoding's number in a record; no other exists.
inline constexpr std::uint8_t kXbzrleEncoding = 0x01;

/// Applies `delta` to the page. Null, or what is wrong as the end of a sentence: the page may be half changed then.
const char* apply_xbzrle(std::span<const std::uint8_t> delta, std::span<std::uint8_t, kPageSize> page);

}  // namespace godwit
