// SPDX-License-Identifier: Apache-2.0
// I/O ports that the machine serves.
#pragma once

#include <cstdint>

namespace godwit {

/// COM1, where a PC's first 16550A has its eight registers.
inline constexpr std::uint16_t kSerialPort = 0x3f8;
inline constexpr std::uint16_t kSerialPortEnd = 0x400;

/// A guest that paces itself writes the low 32 bits of its generation here after each batch, and RBX holds all 64.
/// 0505h lies between QEMU's isa-debug-exit (0501h) and fw_cfg (0510h), so no device of a QEMU machine answers there
/// and the same guest runs unpaced, but unharmed, on QEMU.
inline constexpr std::uint16_t kPacePort = 0x0505;

}  // namespace godwit
