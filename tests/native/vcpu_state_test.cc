// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>
#include <set>

#include "core/kvm/ports.h"
#include "test_machine.h"

namespace godwit::test {
namespace {

std::vector<std::uint32_t> all_msrs() {
  auto system = KvmSystem::open();
  REQUIRE(system.ok());
  auto msrs = system->supported_msrs();
  REQUIRE(msrs.ok());
  REQUIRE(msrs->size() > 5);
  return *msrs;
}

bool runs_with_time(std::uint32_t msr) {
  constexpr std::uint32_t kTsc = 0x10, kMperf = 0xe7, kAperf = 0xe8;
  return msr == kTsc || msr == kMperf || msr == kAperf;
}

TEST_CASE("every part of a state that is written is read back") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Machine machine;
  VcpuState state = machine.state(0, {0xc0000082, 0xc0000102, 0x174});  // LSTAR, KERNEL_GS_BASE, SYSENTER_CS
  enter_long_mode(state, {});
  kvm_regs& regs = state.regs;
  for (auto* reg : {&regs.rax, &regs.rbx, &regs.rcx, &regs.rdx, &regs.rsi, &regs.rdi, &regs.rsp, &regs.rbp, &regs.r8,
                    &regs.r9, &regs.r10, &regs.r11, &regs.r12, &regs.r13, &regs.r14, &regs.r15}) {
    *reg = random();
  }
  state.sregs.fs.base = 0x7000'1234'5000;
  state.sregs.gs.base = 0x7000'4321'0000;
  REQUIRE(state.msrs.size() == 3);
  state.msrs[0].value = 0xffff'8000'1234'5678;
  state.msrs[1].value = 0xffff'8000'8765'4321;
  state.debugregs.db[0] = 0x1111;
  state.debugregs.db[3] = 0x4444;
  for (std::size_t n = 160; n < 160 + 256; ++n) state.xsave[n] = static_cast<std::uint8_t>(random());  // XMM0-15
  state.xsave[512] |= 3;  // XSTATE_BV: x87 and SSE
  CHECK(machine.set_state(state).empty());

  const VcpuState back = machine.state(0, {0xc0000082, 0xc0000102, 0x174});
  CHECK(std::memcmp(&back.regs, &state.regs, sizeof(kvm_regs)) == 0);
  CHECK(back.sregs.cr0 == state.sregs.cr0);
  CHECK(back.sregs.cr3 == state.sregs.cr3);
  CHECK(back.sregs.efer == state.sregs.efer);
  CHECK(back.sregs.fs.base == state.sregs.fs.base);
  CHECK(back.sregs.gs.base == state.sregs.gs.base);
  CHECK(back.msrs[0].value == state.msrs[0].value);
  CHECK(back.msrs[1].value == state.msrs[1].value);
  CHECK(back.debugregs.db[0] == 0x1111);
  CHECK(back.debugregs.db[3] == 0x4444);
  CHECK(std::memcmp(back.xsave.data() + 160, state.xsave.data() + 160, 256) == 0);
  CHECK(back.mp_state == KVM_MP_STATE_RUNNABLE);
  CHECK(back.tsc_khz > 0);
}

TEST_CASE("a state read from one machine is the state of the machine it is written to") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto msrs = all_msrs();
  Machine machine;
  // inc rbx; movq xmm3, rbx; push rbx; pop rcx; cvtsi2sd xmm4, rbx; mov [rdi], rbx; jmp
  machine.load({0x48, 0xff, 0xc3, 0x66, 0x48, 0x0f, 0x6e, 0xdb, 0x53, 0x59, 0xf2, 0x48, 0x0f, 0x2a, 0xe3,
                0x48, 0x89, 0x1f, 0xeb, 0xec});
  machine.prepare({.rdi = kData, .rsp = 0x40000});
  machine.start();
  REQUIRE(eventually([&] { return get64(*machine.memory, kData) > 1000; }));
  machine.stop();
  const VcpuState source = machine.state(0, msrs);
  CHECK(source.msrs.size() <= msrs.size());

  Machine other;
  std::memcpy(other.memory->data(), machine.memory->data(), machine.memory->size());
  const auto refused = other.set_state(source);
  for (const std::uint32_t msr : refused) MESSAGE("this KVM refuses MSR " << msr);
  const VcpuState copy = other.state(0, msrs);
  CHECK(std::memcmp(&copy.regs, &source.regs, sizeof copy.regs) == 0);
  CHECK(std::memcmp(&copy.sregs, &source.sregs, sizeof copy.sregs) == 0);
  CHECK(copy.xsave == source.xsave);
  CHECK(std::memcmp(&copy.xcrs, &source.xcrs, sizeof copy.xcrs) == 0);
  CHECK(std::memcmp(&copy.debugregs, &source.debugregs, sizeof copy.debugregs) == 0);
  CHECK(std::memcmp(&copy.events, &source.events, sizeof copy.events) == 0);
  CHECK(copy.tsc_khz == source.tsc_khz);
  REQUIRE(copy.msrs.size() == source.msrs.size());
  for (std::size_t n = 0; n < copy.msrs.size(); ++n) {
    CHECK(copy.msrs[n].index == source.msrs[n].index);
    if (runs_with_time(copy.msrs[n].index)) continue;
    if (std::find(refused.begin(), refused.end(), copy.msrs[n].index) != refused.end()) continue;
    CHECK_MESSAGE(copy.msrs[n].value == source.msrs[n].value, copy.msrs[n].index);
  }

  const std::uint64_t reached = get64(*machine.memory, kData);
  other.start();
  REQUIRE(eventually([&] { return get64(*other.memory, kData) > reached + 1000; }));
  other.stop();
  const VcpuState later = other.state();
  const std::uint64_t position = later.regs.rip - kCode;
  std::uint64_t xmm3;
  std::memcpy(&xmm3, later.xsave.data() + 160 + 3 * 16, sizeof xmm3);
  CHECK(xmm3 == later.regs.rbx - (position == 3 ? 1 : 0));
  CHECK(get64(*machine.memory, kData) == reached);
}

TEST_CASE("MSRs that KVM does not know are left out of a read and reported by a write") {
  Machine machine;
  constexpr std::uint32_t kUnknown = 0x4321'0000;
  constexpr std::uint32_t kLstar = 0xc0000082;
  VcpuState state = machine.state(0, {kUnknown, kLstar, kUnknown + 1});
  REQUIRE(state.msrs.size() == 1);
  CHECK(state.msrs[0].index == kLstar);
  state.msrs = {{kUnknown, 1}, {kLstar, 0x1000}, {kUnknown + 1, 2}, {kUnknown + 2, 2}};
  CHECK(machine.set_state(state) == std::vector<std::uint32_t>{kUnknown, kUnknown + 1, kUnknown + 2});
  CHECK(machine.state(0, {kLstar}).msrs[0].value == 0x1000);
}

TEST_CASE("more MSRs than the kernel takes at once are read in order") {
  Machine machine;
  constexpr std::uint32_t kLstar = 0xc0000082;
  std::vector<std::uint32_t> indices(700, kLstar);
  indices[300] = 0x4321'0000;
  CHECK(machine.state(0, indices).msrs.size() == 699);
}

TEST_CASE("a state that KVM refuses names the part") {
  Machine machine;
  VcpuState state = machine.state();
  state.sregs.cr4 = ~std::uint64_t{0};
  Waiter<std::vector<std::uint32_t>> waiter;
  machine.vm->set_state(0, state, waiter.completion());
  const auto refused = waiter.wait();
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().syscall == "KVM_SET_SREGS");

  VcpuState short_xsave = machine.state();
  short_xsave.xsave.resize(100);
  Waiter<std::vector<std::uint32_t>> other;
  machine.vm->set_state(0, short_xsave, other.completion());
  CHECK(other.wait().failure().message.find("100 bytes") != std::string::npos);
}

}  // namespace
}  // namespace godwit::test
