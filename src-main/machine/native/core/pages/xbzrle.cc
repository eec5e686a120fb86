// SPDX-License-Identifier: Apache-2.0
#include "core/pages/xbzrle.h"

#include <cstddef>
#include <cstring>
#include <optional>

namespace godwit {
namespace {

/// Takes a number off the front of `delta`; nothing when it is cut off or has a third byte.
std::optional<std::size_t> take_number(std::span<const std::uint8_t>& delta) {
  if (delta.empty()) return std::nullopt;
  std::size_t number = delta[0] & 0x7f;
  std::size_t length = 1;
  if ((delta[0] & 0x80) != 0) {
    if (delta.size() < 2 || (delta[1] & 0x80) != 0) return std::nullopt;
    number |= std::size_t{delta[1]} << 7;
    length = 2;
  }
  delta = delta.subspan(length);
  return number;
}

}  // namespace

const char* apply_xbzrle(std::span<const std::uint8_t> delta, std::span<std::uint8_t, kPageSize> page) {
  std::size_t at = 0;
  for (bool first = true; !delta.empty(); first = false) {
    const std::optional<std::size_t> skip = take_number(delta);
    if (!skip) return "the length of an unchanged run cannot be read";
    if (*skip == 0 && !first) return "an unchanged run inside the delta is empty";
    const std::optional<std::size_t> count = take_number(delta);
    if (!count) return "the length of a changed run cannot be read";
    if (*count == 0) return "a changed run is empty";
    if (*skip > page.size() - at || *count > page.size() - at - *skip) return "the delta goes beyond the page";
    if (*count > delta.size()) return "the delta ends inside a changed run";
    at += *skip;
    std::memcpy(page.data() + at, delta.data(), *count);
    at += *count;
    delta = delta.subspan(*count);
  }
  return nullptr;
}

}  // namespace godwit
