// One eBPF instruction (RFC 9669, section 3):
//
//    byte   0        1            2..3     4..7
//         +--------+-----+-----+--------+-----------------+
//         | opcode | dst | src | offset | imm             |   dst is the low nibble on little-endian,
//         +--------+-----+-----+--------+-----------------+   the high nibble on big-endian
//
// `ld_imm64` takes two such slots; the second holds the upper 32 bits in its imm.

/** A decoded instruction. Jump targets count 8-byte slots, so a wide instruction counts as two. */
export interface Instruction {
  /** The opcode byte. */
  readonly opcode: number;
  /** Destination register, 0 to 10. */
  readonly dst: number;
  /** Source register 0 to 10, or a pseudo source (`ld_imm64`, calls). */
  readonly src: number;
  /** Signed 16-bit offset. */
  readonly offset: number;
  /** Signed 32-bit immediate; for `ld_imm64` the lower half. */
  readonly imm: number;
  /** Signed 32-bit upper half; only `ld_imm64` has one. */
  readonly immHigh?: number;
}
