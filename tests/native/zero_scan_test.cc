// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/memory/guest_memory.h"
#include "core/pages/zero_scan.h"

namespace godwit {
namespace {

bool naive(const std::uint8_t* page) {
  return std::all_of(page, page + kPageSize, [](std::uint8_t byte) { return byte == 0; });
}

template <typename Check>
void for_each_variant(Check check) {
  for (const ZeroScanVariant& variant : zero_scan_variants()) {
    if (!variant.supported) continue;
    CAPTURE(variant.name);
    check(variant.scan);
  }
}

TEST_CASE("every variant sees one bit at every byte of a page") {
  std::vector<std::uint8_t> memory(kPageSize);
  std::mt19937_64 random(1);
  for_each_variant([&](ZeroScan scan) {
    CHECK(scan(memory.data()));
    bool all_seen = true;
    for (std::size_t at = 0; at < kPageSize; ++at) {
      memory[at] = static_cast<std::uint8_t>(1u << (random() % 8));
      all_seen = all_seen && !scan(memory.data());
      memory[at] = 0;
    }
    CHECK(all_seen);
  });
}

TEST_CASE("every variant agrees with the naive scan on seeded pages at any alignment") {
  for_each_variant([](ZeroScan scan) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
      CAPTURE(seed);
      std::mt19937_64 random(seed);
      std::vector<std::uint8_t> memory(2 * kPageSize, 0);
      const std::size_t start = random() % kPageSize;
      const std::size_t marks = random() % 3;  // anywhere: also just outside of the page
      for (std::size_t mark = 0; mark < marks; ++mark) memory[random() % memory.size()] = 0x80;
      CHECK(scan(memory.data() + start) == naive(memory.data() + start));
    }
  });
}

TEST_CASE("bytes next to a zero page do not matter") {
  std::vector<std::uint8_t> memory(3 * kPageSize, 0xff);
  std::memset(memory.data() + kPageSize, 0, kPageSize);
  for_each_variant([&](ZeroScan scan) { CHECK(scan(memory.data() + kPageSize)); });
}

TEST_CASE("the widest supported variant is in use, and scalar always is there") {
  const auto variants = zero_scan_variants();
  const auto widest = std::find_if(variants.begin(), variants.end(), [](const auto& v) { return v.supported; });
  REQUIRE(widest != variants.end());
  CHECK(std::string(zero_scan_name()) == widest->name);
  CHECK(std::string(variants.back().name) == "scalar");
  CHECK(variants.back().supported);
}

}  // namespace
}  // namespace godwit
