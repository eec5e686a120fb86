// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <random>

#include "core/kvm/cpuid.h"
#include "core/kvm/ports.h"
#include "test_machine.h"

namespace godwit::test {
namespace {

std::string refusal(const std::function<void(VmOptions&)>& change) {
  auto memory = GuestMemory::create({.name = "test.ram", .size = 4 * kMiB});
  REQUIRE(memory.ok());
  VmOptions options;
  options.memory = *memory;
  options.slots = {{0, 0, 4 * kMiB}};
  change(options);
  auto vm = Vm::create(std::move(options));
  return vm.ok() ? "" : vm.failure().message;
}

TEST_CASE("a machine refuses options that cannot be, with a sentence") {
  CHECK(refusal([](VmOptions&) {}).empty());
  CHECK(refusal([](VmOptions& o) { o.vcpus = 0; }).find("1 to 16") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.vcpus = 17; }).find("1 to 16") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.memory = nullptr; }).find("memory") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.slots.clear(); }).find("at least one") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.slots = {{0, 0, 5 * kMiB}}; }).find("outside") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.slots = {{0, UINT64_MAX - 0x3ffff, kMiB}}; }).find("outside") !=
        std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.slots = {{0, 0x1000, kMiB}}; }).find("256 KiB") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.slots = {{1, 0, kMiB}}; }).find("whole pages") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.slots = {{0xfff00000, 0, kMiB}}; }).find("KVM needs") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.slots = {{0, 0, 2 * kMiB}, {kMiB, 2 * kMiB, kMiB}}; }).find("overlaps slot 0") !=
        std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.dirty_ring_size = 3000; }).find("power of two") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.dirty_ring_size = 1; }).find("too small") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.dirty_ring_size = 1u << 31; }).find("at most") != std::string::npos);
  CHECK(refusal([](VmOptions& o) { o.dirty_ring_size = 1024; }).empty());
  CHECK(refusal([](VmOptions& o) { o.dirty_ring_size = 65536; }).empty());
}

TEST_CASE("the APIC id appears in every leaf that shows it") {
  std::vector<kvm_cpuid_entry2> entries(5);
  const std::uint32_t functions[] = {1, 0xb, 0x1f, 0x8000001e, 7};
  for (std::size_t n = 0; n < entries.size(); ++n) entries[n].function = functions[n];
  entries[0].ebx = 0xff112233;
  entries[4].ebx = 0x12345678;
  const auto mine = with_apic_id(entries, 5);
  CHECK(mine[0].ebx == 0x05112233);
  CHECK(mine[1].edx == 5);
  CHECK(mine[2].edx == 5);
  CHECK(mine[3].eax == 5);
  CHECK(mine[4].ebx == 0x12345678);
}

TEST_CASE("a register and memory agree after every stop, whenever it comes") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  Machine machine({.vcpus = 2});
  machine.load(kCount);
  for (unsigned vcpu = 0; vcpu < 2; ++vcpu) machine.prepare({.rdi = kData + vcpu * 0x1000}, vcpu);
  std::uint64_t before[2] = {};
  for (int round = 0; round < 100; ++round) {
    machine.start();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    machine.stop();
    for (unsigned vcpu = 0; vcpu < 2; ++vcpu) {
      const VcpuState state = machine.state(vcpu);
      const std::uint64_t written = get64(*machine.memory, kData + vcpu * 0x1000);
      const std::uint64_t ahead = state.regs.rip == kCode + 3 ? 1 : 0;
      REQUIRE((state.regs.rip == kCode || state.regs.rip == kCode + 3 || state.regs.rip == kCode + 6));
      REQUIRE(state.regs.rbx == written + ahead);
      REQUIRE(written >= before[vcpu]);
      before[vcpu] = written;
    }
  }
  CHECK(before[0] > 1000);
  CHECK(before[1] > 1000);
}

TEST_CASE("a stop never repeats or loses an output instruction, also over a move to another machine") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  auto machine = std::make_unique<Machine>();
  machine->load(kCountAloud);
  machine->prepare({.rdx = kSerialPort, .rdi = kData});
  std::uint64_t sent = 0;  // bytes that the guest put out in machines before this one
  for (int round = 0; round < 60; ++round) {
    machine->start();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 1500));
    machine->stop();
    const VcpuState state = machine->state();
    const std::uint64_t position = state.regs.rip - kCode;
    const std::uint64_t count = state.regs.rbx;
    const auto tail = machine->vm->serial_output().tail();
    const std::uint64_t out = position == 3 || position == 5 ? count - 1 : count;
    if (out - sent <= SerialOutput::kCapacity) REQUIRE(tail.size() == out - sent);
    for (std::size_t n = 0; n < tail.size(); ++n) {
      REQUIRE(tail[tail.size() - 1 - n] == static_cast<std::uint8_t>(out - n));
    }
    if (round % 10 != 9) continue;
    auto next = std::make_unique<Machine>();
    std::memcpy(next->memory->data(), machine->memory->data(), machine->memory->size());
    next->set_state(state);
    machine = std::move(next);
    sent = out;
  }
  CHECK(sent > 100);
}

TEST_CASE("a string output instruction is finished element by element") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  Machine machine;
  machine.load({0xf3, 0x6e, 0xf4});  // rep outsb; hlt
  constexpr std::uint64_t kLength = 20'000;
  for (std::uint64_t n = 0; n < kLength; ++n) machine.memory->data()[kData + n] = static_cast<std::uint8_t>(n * 7);
  machine.prepare({.rcx = kLength, .rdx = kSerialPort, .rsi = kData, .cpl = 0});
  for (int round = 0; round < 1000; ++round) {
    machine.start();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    machine.stop();
    const VcpuState state = machine.state();
    const std::uint64_t done = machine.vm->serial_output().tail().size();
    REQUIRE(state.regs.rcx == kLength - done);
    REQUIRE(state.regs.rsi == kData + done);
    if (state.mp_state == KVM_MP_STATE_HALTED) break;
  }
  REQUIRE(eventually([&] { return machine.vm->serial_output().tail().size() == kLength; }));
  const auto tail = machine.vm->serial_output().tail();
  CHECK(std::memcmp(tail.data(), machine.memory->data() + kData, kLength) == 0);
}

TEST_CASE("ports that nobody serves read as ones and swallow writes") {
  Machine machine;
  // out dx, eax; in eax, dx; mov [rdi], eax; mov dx, 0x3f8; out dx, al; jmp $
  machine.load({0xef, 0xed, 0x89, 0x07, 0x66, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xfe});
  machine.prepare({.rax = 0x1234, .rdx = 0x2e8, .rdi = kData});
  machine.start();
  REQUIRE(eventually([&] { return !machine.vm->serial_output().tail().empty(); }));
  machine.stop();
  CHECK(get64(*machine.memory, kData) == 0xffffffff);
}

TEST_CASE("memory that nobody serves reads as ones and swallows writes") {
  Machine machine;
  // mov [rsi], rbx; mov rax, [rsi]; mov [rdi], rax; out dx, al; jmp $
  machine.load({0x48, 0x89, 0x1e, 0x48, 0x8b, 0x06, 0x48, 0x89, 0x07, 0xee, 0xeb, 0xfe});
  machine.prepare({.rbx = 5, .rdx = kSerialPort, .rsi = 0x10000000, .rdi = kData});
  machine.start();
  REQUIRE(eventually([&] { return !machine.vm->serial_output().tail().empty(); }));
  machine.stop();
  CHECK(get64(*machine.memory, kData) == ~std::uint64_t{0});
}

TEST_CASE("a halted vCPU stays halted over stop, start and a move") {
  Machine machine;
  machine.load({0xee, 0xf4, 0xee, 0xf4});  // out dx, al; hlt; out dx, al; hlt
  machine.prepare({.rdx = kSerialPort, .cpl = 0});
  machine.start();
  const auto halted = [](Machine& m) {
    return eventually([&] {
      m.stop();
      const bool is = m.state().mp_state == KVM_MP_STATE_HALTED;
      m.start();
      return is;
    });
  };
  REQUIRE(halted(machine));
  machine.stop();
  CHECK(machine.state().regs.rip == kCode + 2);
  CHECK(machine.vm->serial_output().tail().size() == 1);

  Machine other;
  std::memcpy(other.memory->data(), machine.memory->data(), machine.memory->size());
  other.set_state(machine.state());
  other.start();
  REQUIRE(halted(other));
  other.stop();
  CHECK(other.vm->serial_output().tail().empty());
  VcpuState awake = other.state();
  awake.mp_state = KVM_MP_STATE_RUNNABLE;
  other.set_state(awake);
  other.start();
  CHECK(eventually([&] { return other.vm->serial_output().tail().size() == 1; }));
  other.stop();
}

// ---- crash ----

TEST_CASE("a crash stops every vCPU, is reported once and needs a new state") {
  std::promise<VcpuCrash> reported;
  std::atomic<int> reports{0};
  Machine machine({.vcpus = 2, .on_crash = [&](VcpuCrash crash) {
                     if (reports++ == 0) reported.set_value(std::move(crash));
                   }});
  machine.load(kCount);
  machine.memory->data()[kCode + 0x100] = 0x0f;  // ud2, and no interrupt table: triple fault
  machine.memory->data()[kCode + 0x101] = 0x0b;
  machine.prepare({.rdi = kData}, 0);
  const VcpuState good = machine.state(0);
  machine.prepare({.rip = kCode + 0x100}, 1);
  machine.start();
  const VcpuCrash crash = reported.get_future().get();
  CHECK(crash.vcpu == 1);
  MESSAGE(crash.reason << ": " << crash.detail);
  CHECK(crash.reason.starts_with("KVM_EXIT_"));
  CHECK(crash.detail.find("rip 0x10100") != std::string::npos);
  const std::uint64_t counter = get64(*machine.memory, kData);
  CHECK(machine.state(0).regs.rbx - counter <= 1);
  CHECK(get64(*machine.memory, kData) == counter);
  const Status again = machine.vm->start();
  REQUIRE_FALSE(again.ok());
  CHECK(again.failure().message.find("crashed") != std::string::npos);

  VcpuState better = good;
  better.regs.rdi = kData + 0x1000;
  machine.set_state(better, 1);
  machine.start();
  CHECK(eventually([&] { return get64(*machine.memory, kData + 0x1000) > 100; }));
  machine.stop();
  CHECK(reports == 1);
}

// ---- life ----

TEST_CASE("state is refused while the machine runs, and start while it stops is refused or works") {
  Machine machine;
  machine.load(kCount);
  machine.prepare({.rdi = kData});
  machine.start();
  CHECK(machine.vm->start().ok());
  Waiter<VcpuState> waiter;
  machine.vm->get_state(0, {}, waiter.completion());
  auto refused = waiter.wait();
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == EBUSY);
  Waiter<VcpuState> other;
  machine.vm->get_state(7, {}, other.completion());
  CHECK(other.wait().failure().message.find("no vCPU 7") != std::string::npos);
  for (int round = 0; round < 50; ++round) {
    Waiter<double> stopped;
    machine.vm->stop(stopped.completion());
    const Status status = machine.vm->start();
    if (!status) CHECK(status.failure().code == EBUSY);
    REQUIRE(stopped.wait().ok());
    CHECK(machine.vm->start().ok());
  }
  machine.stop();
  CHECK(machine.stop() >= 0);
}

TEST_CASE("closing ends every thread at any time, and once is enough") {
  for (int round = 0; round < 8; ++round) {
    Machine machine({.vcpus = 4, .pace_interval_ns = round % 2 == 0 ? 0u : 1'000'000u});
    machine.load(round % 2 == 0 ? kCount : kPaced);
    for (unsigned vcpu = 0; vcpu < 4; ++vcpu) machine.prepare({.rdx = kPacePort, .rdi = kData + vcpu * 64}, vcpu);
    machine.start();
    if (round % 4 >= 2) {
      Waiter<double> stopped;
      machine.vm->stop(stopped.completion());
    }
    Waiter<Unit> closed;
    machine.vm->close_async(closed.completion());
    machine.vm->close();
    CHECK(closed.wait().ok());
    const Status status = machine.vm->start();
    REQUIRE_FALSE(status.ok());
    CHECK(status.failure().code == EBADF);
    const auto tracker = machine.vm->tracker();
    machine.vm.reset();
    machine.memory.reset();
    CHECK(tracker->start().ok());  // KVM's descriptors and the memory are still there
    std::vector<std::uint64_t> bitmap(4 * kMiB / kPageSize / 64);
    CHECK(tracker->collect(bitmap).ok());
    CHECK(tracker->stop().ok());
  }
}

}  // namespace
}  // namespace godwit::test
