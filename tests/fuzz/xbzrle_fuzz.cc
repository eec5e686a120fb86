// SPDX-License-Identifier: Apache-2.0
// A delta, arbitrary, on a page that ends where its memory ends. A slow decoder says what the page must become.
#include <memory>
#include <optional>
#include <vector>

#include "core/pages/xbzrle.h"
#include "fuzz_tools.h"

namespace godwit::fuzz {
namespace {

/// One byte at a time; nothing for a delta that is not one.
std::optional<std::vector<std::uint8_t>> decode_slowly(ByteSpan delta, std::vector<std::uint8_t> page) {
  std::size_t from = 0;
  std::size_t at = 0;
  const auto number = [&]() -> std::optional<std::size_t> {
    std::size_t value = 0;
    for (int shift = 0; shift < 14; shift += 7) {
      if (from == delta.size()) return std::nullopt;
      const std::uint8_t byte = delta[from++];
      value |= std::size_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  };
  for (bool first = true; from < delta.size(); first = false) {
    const std::optional<std::size_t> skip = number();
    if (!skip || (*skip == 0 && !first)) return std::nullopt;
    const std::optional<std::size_t> count = number();
    if (!count || *count == 0) return std::nullopt;
    at += *skip;
    for (std::size_t i = 0; i < *count; ++i) {
      if (from == delta.size() || at >= page.size()) return std::nullopt;
      page[at++] = delta[from++];
    }
  }
  return page;
}

void run(ByteSpan delta) {
  std::vector<std::uint8_t> before(kPageSize, 0x5a);
  const auto page = std::make_unique<std::uint8_t[]>(kPageSize);
  std::memcpy(page.get(), before.data(), kPageSize);
  const char* const problem = apply_xbzrle(delta, std::span<std::uint8_t, kPageSize>(page.get(), kPageSize));
  const std::optional<std::vector<std::uint8_t>> expected = decode_slowly(delta, std::move(before));
  FUZZ_CHECK((problem == nullptr) == expected.has_value());
  if (expected) FUZZ_CHECK(std::memcmp(expected->data(), page.get(), kPageSize) == 0);
}

}  // namespace
}  // namespace godwit::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  godwit::fuzz::run({data, size});
  return 0;
}
