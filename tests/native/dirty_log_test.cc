// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <set>

#include "core/kvm/ports.h"
#include "test_machine.h"

namespace godwit::test {
namespace {

// Two slots with a hole between them; the second one starts at 4 GiB and ends in the middle of a word of the log.
constexpr std::uint64_t kLow = 4 * kMiB;
constexpr std::uint64_t kHigh = 2 * kMiB + 3 * kPageSize;
// Tables, code and data lie below. A KVM may report a page that the guest only reads when it maps it writable at once,
// so those pages do not count.
constexpr std::uint64_t kFirst = 0x80000 / kPageSize;

struct Tracked : Machine {
  Tracked() : Machine({.memory = kLow + kHigh, .slots = {{0, 0, kLow}, {kHighHalf, kLow, kHigh}}}) {
    // next: mov rdi, [rsi]; mov [rdi], rbx; add rsi, 8; dec rcx; jnz next; out dx, al; jmp $
    load({0x48, 0x8b, 0x3e, 0x48, 0x89, 0x1f, 0x48, 0x83, 0xc6, 0x08, 0x48, 0xff, 0xc9, 0x75, 0xf1, 0xee, 0xeb, 0xfe});
  }

  /// Lets the guest write one word into each of these pages of the block.
  void write_pages(const std::vector<std::uint64_t>& pages) {
    for (std::size_t n = 0; n < pages.size(); ++n) {
      const std::uint64_t offset = pages[n] * kPageSize;
      put64(*memory, kData + n * 8, offset < kLow ? offset : kHighHalf + offset - kLow);
    }
    const std::size_t before = vm->serial_output().tail().size();
    VcpuState now = state();
    now.mp_state = KVM_MP_STATE_RUNNABLE;
    enter_long_mode(now, {.rbx = 7, .rcx = pages.size(), .rdx = kSerialPort, .rsi = kData});
    set_state(now);
    start();
    REQUIRE(eventually([&] { return vm->serial_output().tail().size() == before + 1; }));
    stop();
  }

  /// Without the pages below kFirst.
  std::set<std::uint64_t> collect() {
    std::vector<std::uint64_t> bitmap((memory->pages() + 63) / 64);
    const Status status = vm->tracker()->collect(bitmap);
    if (!status) FAIL(status.failure().message);
    std::set<std::uint64_t> pages;
    for (std::uint64_t page = kFirst; page < bitmap.size() * 64; ++page) {
      if ((bitmap[page / 64] >> page % 64 & 1) != 0) pages.insert(page);
    }
    return pages;
  }
};

TEST_CASE("the dirty log holds exactly the pages that the guest wrote, in every slot") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Tracked machine;
  const std::uint64_t last = machine.memory->pages() - 1;
  REQUIRE(machine.vm->tracker()->start().ok());
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    std::vector<std::uint64_t> pages;
    for (std::uint64_t n = 0; n < 1 + random() % 300; ++n) pages.push_back(kFirst + random() % (last - kFirst + 1));
    if (round % 3 == 0) pages.insert(pages.end(), {last, kLow / kPageSize, kLow / kPageSize - 1});
    machine.write_pages(pages);
    CHECK(machine.collect() == std::set<std::uint64_t>(pages.begin(), pages.end()));
    CHECK(machine.collect().empty());
    // Collected pages are watched again.
    if (round % 4 == 0) {
      machine.write_pages(pages);
      CHECK(machine.collect() == std::set<std::uint64_t>(pages.begin(), pages.end()));
    }
  }
  CHECK(machine.vm->tracker()->stop().ok());
}

TEST_CASE("pages that the guest writes while the log is collected are never lost") {
  Machine machine;
  // inc rbx; mov rdi, rbx; and edi, 0xff; shl edi, 12; add edi, 0x100000; mov [rdi], rbx; jmp
  machine.load({0x48, 0xff, 0xc3, 0x48, 0x89, 0xdf, 0x81, 0xe7, 0xff, 0x00, 0x00, 0x00, 0xc1, 0xe7, 0x0c,
                0x81, 0xc7, 0x00, 0x00, 0x10, 0x00, 0x48, 0x89, 0x1f, 0xeb, 0xe6});
  machine.prepare({});
  const auto tracker = machine.vm->tracker();
  REQUIRE(tracker->start().ok());
  std::vector<std::uint8_t> copy(machine.memory->size());
  std::memcpy(copy.data(), machine.memory->data(), copy.size());
  machine.start();
  std::vector<std::uint64_t> bitmap(machine.memory->pages() / 64);
  const auto copy_dirty = [&] {
    std::fill(bitmap.begin(), bitmap.end(), 0);
    REQUIRE(tracker->collect(bitmap).ok());
    for (std::uint64_t page = 0; page < machine.memory->pages(); ++page) {
      if ((bitmap[page / 64] >> page % 64 & 1) == 0) continue;
      std::memcpy(copy.data() + page * kPageSize, machine.memory->data() + page * kPageSize, kPageSize);
    }
  };
  for (int round = 0; round < 200; ++round) copy_dirty();
  REQUIRE(eventually([&] { return get64(*machine.memory, kMiB) > 1000; }));
  machine.stop();
  copy_dirty();
  CHECK(std::memcmp(copy.data(), machine.memory->data(), copy.size()) == 0);
}

TEST_CASE("collecting without tracking is refused, and tracking can be turned on again") {
  Tracked machine;
  std::vector<std::uint64_t> bitmap((machine.memory->pages() + 63) / 64);
  CHECK_FALSE(machine.vm->tracker()->collect(bitmap).ok());
  const std::vector<std::uint64_t> pages{200, 300, 1030};
  for (int round = 0; round < 3; ++round) {
    REQUIRE(machine.vm->tracker()->start().ok());
    REQUIRE(machine.vm->tracker()->start().ok());
    machine.write_pages(pages);
    CHECK(machine.collect() == std::set<std::uint64_t>(pages.begin(), pages.end()));
    std::vector<std::uint64_t> too_short(1);
    CHECK_FALSE(machine.vm->tracker()->collect(too_short).ok());
    REQUIRE(machine.vm->tracker()->stop().ok());
    machine.write_pages({400});
  }
}

}  // namespace
}  // namespace godwit::test
