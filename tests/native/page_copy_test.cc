// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/memory/guest_memory.h"
#include "core/pages/page_copy.h"

namespace godwit {
namespace {

TEST_CASE("every variant copies a page whole, from any alignment, and nothing beyond it") {
  std::mt19937_64 random(7);
  const auto memory = GuestMemory::create({.name = "test.ram", .size = 3 * kPageSize});
  REQUIRE(memory.ok());
  std::uint8_t* const page = (*memory)->data() + kPageSize;
  for (const PageCopyVariant& variant : page_copy_variants()) {
    if (!variant.supported) continue;
    CAPTURE(variant.name);
    for (std::size_t misaligned = 0; misaligned < 64; misaligned += 1 + random() % 7) {
      std::vector<std::uint8_t> from(kPageSize + 64);
      for (std::uint8_t& byte : from) byte = static_cast<std::uint8_t>(random());
      std::memset((*memory)->data(), 0x5a, (*memory)->size());
      variant.copy(page, from.data() + misaligned);
      finish_page_copies();
      CHECK(std::memcmp(page, from.data() + misaligned, kPageSize) == 0);
      CHECK(page[-1] == 0x5a);
      CHECK(page[kPageSize] == 0x5a);
    }
  }
}

}  // namespace
}  // namespace godwit
