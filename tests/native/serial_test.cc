// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include "core/kvm/ports.h"
#include "core/kvm/serial_output.h"
#include "core/kvm/serial_port.h"
#include "test_machine.h"

namespace godwit::test {
namespace {

TEST_CASE("the serial port stores what a 16550A stores") {
  SerialOutput output{UniqueFd()};
  SerialPort port(output);
  CHECK(port.read(5) == 0x60);
  CHECK(port.read(6) == 0xb0);
  CHECK(port.read(2) == 0x01);
  port.write(3, 0x83);  // DLAB
  port.write(0, 0x34);
  port.write(1, 0x12);
  CHECK(port.state().divider == 0x1234);
  CHECK(port.read(0) == 0x34);
  CHECK(port.read(1) == 0x12);
  CHECK(output.tail().empty());
  port.write(3, 0x03);
  port.write(1, 0xff);
  CHECK(port.read(1) == 0x0f);
  port.write(2, 0xc7);  // enable and reset the FIFOs, trigger level 14
  CHECK(port.read(2) == 0xc1);
  CHECK(port.state().fcr == 0xc1);
  port.write(4, 0xff);
  CHECK(port.read(4) == 0x1f);
  port.write(7, 0x5a);
  CHECK(port.read(7) == 0x5a);
  port.write(5, 0);
  port.write(6, 0);
  CHECK(port.read(5) == 0x60);
  CHECK(port.read(6) == 0xb0);
  port.write(0, 'x');
  CHECK(output.tail() == std::vector<std::uint8_t>{'x'});

  SerialPort other(output);
  other.set_state(port.state());
  CHECK(other.read(7) == 0x5a);
  CHECK(other.state().divider == 0x1234);
}

TEST_CASE("serial output reaches its descriptor in order, and the rest when it is closed") {
  Pipe pipe;
  SerialOutput output(std::move(pipe.write_end));
  for (int n = 0; n < 30'000; ++n) output.put(static_cast<std::uint8_t>(n));
  const auto bytes = pipe.read(30'000);
  REQUIRE(bytes.size() == 30'000);
  for (int n = 0; n < 30'000; ++n) REQUIRE(bytes[n] == static_cast<std::uint8_t>(n));
  for (int n = 0; n < 100; ++n) output.put('z');
  output.close();
  CHECK(pipe.read(100).size() == 100);
  CHECK(output.dropped() == 0);
}

TEST_CASE("a reader that does not read holds nobody up: the oldest output is dropped and counted") {
  Pipe pipe;
  REQUIRE(::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, 4096) == 4096);
  SerialOutput output(std::move(pipe.write_end));
  constexpr int kTotal = 300'000;
  for (int n = 0; n < kTotal; ++n) output.put(static_cast<std::uint8_t>(n % 251));
  const auto tail = output.tail();
  REQUIRE(tail.size() == SerialOutput::kCapacity);
  for (std::size_t n = 0; n < tail.size(); ++n) {
    REQUIRE(tail[tail.size() - 1 - n] == static_cast<std::uint8_t>((kTotal - 1 - n) % 251));
  }
  const std::uint64_t dropped = output.dropped();
  CHECK(dropped > 200'000);
  const auto bytes = pipe.read(kTotal - dropped);  // all that is left comes when there is room
  REQUIRE(bytes.size() == kTotal - dropped);
  CHECK(bytes.back() == static_cast<std::uint8_t>((kTotal - 1) % 251));
  CHECK(output.dropped() == dropped);
}

TEST_CASE("closing does not wait for a reader that does not read, and a reader that went away is no error") {
  Pipe stuck;
  REQUIRE(::fcntl(stuck.write_end.get(), F_SETPIPE_SZ, 4096) == 4096);
  SerialOutput output(std::move(stuck.write_end));
  for (int n = 0; n < 50'000; ++n) output.put('a');
  output.close();
  output.close();
  output.put('b');
  CHECK(output.tail().back() == 'b');

  Pipe gone;
  gone.read_end.reset();
  SerialOutput other(std::move(gone.write_end));
  for (int n = 0; n < 50'000; ++n) other.put('a');
  other.close();
  CHECK(other.tail().size() == 50'000);
}

TEST_CASE("a guest's serial output arrives while nobody reads it, without slowing the guest") {
  Pipe pipe;
  REQUIRE(::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, 4096) == 4096);
  Machine machine({.serial = std::move(pipe.write_end)});
  // next: inc rbx; mov eax, ebx; out dx, al; dec rcx; jnz next; mov dx, 0x505; out dx, eax; jmp $
  machine.load({0x48, 0xff, 0xc3, 0x89, 0xd8, 0xee, 0x48, 0xff, 0xc9, 0x75, 0xf5,  //
                0x66, 0xba, 0x05, 0x05, 0xef, 0xeb, 0xfe});
  constexpr std::uint64_t kTotal = 80'000;
  machine.prepare({.rcx = kTotal, .rdx = kSerialPort});
  machine.start();
  REQUIRE(eventually([&] { return machine.vm->heartbeats()[0].count == 1; }));
  CHECK(machine.vm->heartbeats()[0].generation == kTotal);
  const std::uint64_t dropped = machine.vm->serial_output().dropped();
  CHECK(dropped > 5'000);
  const auto bytes = pipe.read(kTotal - dropped);
  REQUIRE(bytes.size() == kTotal - dropped);
  CHECK(bytes.front() == 1);
  CHECK(bytes.back() == static_cast<std::uint8_t>(kTotal));
  machine.stop();
}

}  // namespace
}  // namespace godwit::test
