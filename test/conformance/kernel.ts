// The live kernel as one more engine: loads a program through bpf(2), test-runs it once and brings all 64 bits
// of r0 back in the value of an array map.
//
// An XDP wrapper gives the program what the harness promises (r1 = packet, r2 = its length) and calls it as a
// function. Legacy loads need a socket buffer instead and cannot be in a called function: those programs run as
// they are, as socket filters, with the context in r1.

import koffi from 'koffi';
import { assemble, encode } from '../../src/isa/index.js';

const BPF = { MAP_CREATE: 0, MAP_LOOKUP_ELEM: 1, MAP_UPDATE_ELEM: 2, PROG_LOAD: 5, PROG_TEST_RUN: 10 };
const SYSCALL = { x64: 321, arm64: 280 } as Record<string, number>;
const SOCKET_FILTER = 1;
const XDP = 6;
const ARRAY = 2;
const ETHERNET = 14;
/** What the wrapper returns when it has run the program: XDP_PASS. */
const DONE = 2;

// Where things lie in the block that is shared with the kernel.
const ATTR = 0;
const KEY = 256;
const VALUE = 264;
const LICENSE = 272;
const DATA_IN = 512;
const DATA_OUT = 2048;
const LOG = 4096;
const LOG_SIZE = 65536;
const INSNS = LOG + LOG_SIZE;
const BLOCK = INSNS + 65536;

/** The verifier's refusal of a program; the message is the last line of its log. */
export class Refused extends Error {}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export class LiveKernel {
  readonly #base: bigint;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #syscall: (number: number, command: number, attr: bigint, size: number) => number;
  readonly #close: (fd: number) => number;
  readonly #map: number;

  constructor() {
    const number = SYSCALL[process.arch];
    if (number === undefined) throw new Error(`the number of bpf(2) on ${process.arch} is not known here`);
    const libc = koffi.load('libc.so.6');
    this.#syscall = libc.func('long syscall(long number, int command, uint64_t attr, unsigned int size)');
    this.#close = libc.func('int close(int fd)');
    const block = koffi.alloc('uint8_t', BLOCK);
    this.#base = BigInt(koffi.address(block));
    this.#bytes = new Uint8Array(koffi.view(block, BLOCK));
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, BLOCK);
    this.#bytes.fill(0);
    this.#bytes.set(new TextEncoder().encode('GPL'), LICENSE);
    this.#map = this.#call(BPF.MAP_CREATE, (attr) => {
      attr.setUint32(0, ARRAY, true);
      attr.setUint32(4, 4, true);
      attr.setUint32(8, 8, true);
      attr.setUint32(12, 1, true);
    });
  }

  [Symbol.dispose](): void {
    this.#close(this.#map);
  }

  /** One bpf(2) command: its result, negative for an error. */
  #try(command: number, fill: (attr: DataView) => void): number {
    this.#bytes.fill(0, ATTR, ATTR + 144);
    fill(this.#view);
    return Number(this.#syscall(SYSCALL[process.arch] ?? 0, command, this.#base + BigInt(ATTR), 144));
  }

  #call(command: number, fill: (attr: DataView) => void): number {
    const result = this.#try(command, fill);
    if (result < 0) throw new Error(`bpf(2) command ${command} failed, errno ${koffi.errno()}`);
    return result;
  }

  #pointer(at: number, offset: number): void {
    this.#view.setBigUint64(at, this.#base + BigInt(offset), true);
  }

  #mapElem(command: number): void {
    this.#call(command, (attr) => {
      attr.setUint32(0, this.#map, true);
      this.#pointer(8, KEY);
      this.#pointer(16, VALUE);
    });
  }

  #load(type: number, code: Uint8Array): number {
    if (INSNS + code.length > BLOCK) throw new RangeError('program too long');
    this.#bytes.set(code, INSNS);
    const attempt = (logLevel: number): number =>
      this.#try(BPF.PROG_LOAD, (attr) => {
        attr.setUint32(0, type, true);
        attr.setUint32(4, code.length / 8, true);
        this.#pointer(8, INSNS);
        this.#pointer(16, LICENSE);
        if (logLevel === 0) return;
        attr.setUint32(24, logLevel, true);
        attr.setUint32(28, LOG_SIZE, true);
        this.#pointer(32, LOG);
      });
    let fd = attempt(0);
    if (fd < 0) {
      this.#bytes.fill(0, LOG, LOG + LOG_SIZE);
      fd = attempt(1);
    }
    if (fd >= 0) return fd;
    const end = this.#bytes.indexOf(0, LOG);
    const log = new TextDecoder().decode(this.#bytes.slice(LOG, end)).trim().split('\n');
    const reason = log.filter((line) => !/^(processed|mark_precise|verification time)/.test(line)).pop();
    throw new Refused(reason || `errno ${koffi.errno()}`);
  }

  /** Sends r0 to the map. */
  #report(): string {
    return `r1 = 0 ll\n*(u64 *)(r1 + 0) = r0\nr0 = ${DONE}\nexit\n`;
  }

  /** Instructions of `text`, whose ld_imm64 of 0 into r1 becomes the address of the map's value. */
  #assemble(text: string): Uint8Array {
    const insns = assemble(text).map((insn) =>
      insn.opcode === 0x18 && insn.dst === 1 && insn.imm === 0 && insn.immHigh === 0
        ? { ...insn, src: 2, imm: this.#map }
        : insn,
    );
    return encode(insns);
  }

  /** r0 of `code`, unsigned. `packet` says that it loads from a socket buffer and ends with its only exit. */
  run(code: Uint8Array, memory: Uint8Array, packet: boolean): bigint {
    let whole: Uint8Array;
    if (packet) {
      whole = join(code.subarray(0, -8), this.#assemble(this.#report()));
    } else {
      const head = this.#assemble(
        `r6 = *(u32 *)(r1 + 4)
         r1 = *(u32 *)(r1 + 0)
         r2 = r1
         r2 += ${memory.length}
         if r2 > r6 goto short
         r2 = ${memory.length}
         call pc+7
         ${this.#report()}
         short:
         r0 = 0
         exit`,
      );
      whole = join(head, code);
    }
    // A socket filter starts behind the Ethernet header.
    const data = packet
      ? join(new Uint8Array(ETHERNET), memory)
      : join(memory, new Uint8Array(Math.max(0, ETHERNET - memory.length)));
    const fd = this.#load(packet ? SOCKET_FILTER : XDP, whole);
    try {
      this.#view.setUint32(KEY, 0, true);
      this.#view.setBigUint64(VALUE, 0n, true);
      this.#mapElem(BPF.MAP_UPDATE_ELEM);
      this.#bytes.set(data, DATA_IN);
      this.#call(BPF.PROG_TEST_RUN, (attr) => {
        attr.setUint32(0, fd, true);
        attr.setUint32(8, data.length, true);
        attr.setUint32(12, DATA_OUT, true);
        this.#pointer(16, DATA_IN);
        this.#pointer(24, DATA_OUT);
        attr.setUint32(32, 1, true);
      });
      const retval = this.#view.getUint32(ATTR + 4, true);
      // A legacy load outside the packet has ended the program, with 0.
      if (packet && retval === 0) return 0n;
      if (retval !== DONE) throw new Error(`the wrapper returned ${retval}`);
      this.#mapElem(BPF.MAP_LOOKUP_ELEM);
      return this.#view.getBigUint64(VALUE, true);
    } finally {
      this.#close(fd);
    }
  }
}
