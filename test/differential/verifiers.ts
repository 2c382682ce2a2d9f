// One program for both verifiers, the live kernel's and ours: the verdict, the errno, and the log with the state of every
// instruction must be the same.

import { readFileSync } from 'node:fs';
import { BpfError } from '../../src/bpf/errno.js';
import { type AttachType, ProgType } from '../../src/bpf/types.js';
import { Btf } from '../../src/btf/index.js';
import { encodeUnchecked } from '../../src/isa/encode.js';
import { callHelper, exit, type Instruction, isJump, isMapReference } from '../../src/isa/index.js';
import type { VerifierMap } from '../../src/kernel/verifier/program.js';
import { verify } from '../../src/kernel/verifier/verify.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { KINDS, MAP_NAMES, MAPS, type ProgramKind } from '../generate/verifier/world.js';

/** What a verifier said. */
export interface Answer {
  readonly accepted: boolean;
  readonly errno: number;
  readonly log: string;
}

export interface Comparison {
  readonly linux: Answer;
  readonly ours: Answer;
  /** What differs first, most serious first; undefined when nothing does. */
  readonly difference?: 'verdict' | 'errno' | 'log' | 'internal error';
}

/** Log levels of bpf(2), and beyond how many instructions a log is too long. */
const FIGURES = 4;
const EVERY_INSTRUCTION = 2;
const LONG = 20_000;
/** Of tracing programs, and by the kernel's configuration. */
const OPTIONAL_HELPERS = { probe_write_user: 36, override_return: 58 };
const PROGRAMS = MAP_NAMES.indexOf('programs');
const capabilities = { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true } as const;

/** Programs with maps by their number in MAPS, judged twice. */
export class Verifiers implements Disposable {
  readonly #kernel = new LinuxKernel();
  readonly #fds: number[] = [];
  /** An array of programs belongs to the type of the first program that refers to it. */
  readonly #programArrays = new Map<ProgramKind, number>();
  readonly #maps = new Map<number, VerifierMap>();
  #cpus = 1;
  #types: Btf | undefined;
  #lacking: string[] = [];

  /** Makes the maps in the live kernel. */
  async start(): Promise<void> {
    this.#cpus = await this.#kernel.possibleCpus();
    for (const [name, id] of Object.entries(OPTIONAL_HELPERS)) {
      const kprobe = KINDS.find(({ type }) => type === ProgType.Kprobe) as ProgramKind;
      const { log } = await this.#linux(kprobe, encodeUnchecked([callHelper(id), exit()]), 1);
      if (log.includes('cannot use helper')) this.#lacking.push(name);
    }
    for (const name of MAP_NAMES) {
      const { frozen = false, ...shape } = { flags: 0, ...MAPS[name] } as {
        type: VerifierMap['type'];
        keySize: number;
        valueSize: number;
        maxEntries: number;
        flags: number;
        frozen?: boolean;
      };
      const fd = await this.#kernel.mapCreate({ ...shape, name });
      const contents = Uint8Array.from({ length: shape.valueSize }, (_, i) => i * 37 + 5);
      if (frozen) {
        await this.#kernel.mapUpdateElem(fd, new Uint8Array(4), contents, 0);
        await this.#kernel.mapFreeze(fd);
      }
      this.#fds.push(fd);
      const shown = { name, frozen, ...shape };
      const others = name === 'programs' ? KINDS : [];
      for (const kind of others) {
        const own = await this.#kernel.mapCreate({ ...shape, name });
        this.#programArrays.set(kind, own);
        this.#maps.set(own, { id: own, address: addressOf(own), ...shown });
      }
      this.#maps.set(fd, {
        ...{ id: fd, address: addressOf(fd), ...shown },
        readConstant: (offset, size) => readNumber(contents, offset, size),
      });
    }
  }

  [Symbol.dispose](): void {
    this.#kernel[Symbol.dispose]();
  }

  #bytes(kind: ProgramKind, insns: readonly Instruction[]): Uint8Array {
    const fds = this.#fds.with(PROGRAMS, this.#programArrays.get(kind) ?? -1);
    return encodeUnchecked(
      insns.map((insn) => (isMapReference(insn) ? { ...insn, imm: fds[insn.imm] ?? -1 } : insn)),
    );
  }

  async #linux(kind: ProgramKind, instructions: Uint8Array, logLevel: number): Promise<Answer> {
    const log = { text: '' };
    try {
      const fd = await this.#kernel.progLoad({
        ...{ type: kind.type, instructions, license: 'GPL', logLevel, log },
        ...(kind.attachType === undefined ? {} : { expectedAttachType: kind.attachType }),
      });
      await this.#kernel.close(fd);
      return { accepted: true, errno: 0, log: log.text };
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return { accepted: false, errno: error.errno, log: error.verifierLog ?? log.text };
    }
  }

  #ours(kind: ProgramKind, instructions: Uint8Array, logLevel: number): Answer {
    return verify(
      {
        type: kind.type as ProgType,
        expectedAttachType: (kind.attachType ?? 0) as AttachType,
        ...{ name: '', instructions, license: 'GPL', flags: 0 },
      },
      {
        map: (fd) => this.#maps.get(fd),
        btf: () => undefined,
        kernelTypes: () => {
          this.#types ??= Btf.parse(new Uint8Array(readFileSync('/sys/kernel/btf/vmlinux')));
          return this.#types;
        },
        // What many kernels are built without.
        lacking: { helpers: this.#lacking },
        ...{ capabilities, cpus: this.#cpus, logLevel },
      },
    );
  }

  /** A program with so many paths that its log would be endless is compared by its figures alone. */
  async compare(kind: ProgramKind, insns: readonly Instruction[]): Promise<Comparison> {
    const bytes = this.#bytes(kind, insns);
    const loops = insns.some((insn) => isJump(insn) && Math.min(insn.offset, insn.imm) < 0);
    const short = loops ? await this.#linux(kind, bytes, FIGURES) : undefined;
    const long = short !== undefined && Number(/^processed (\d+)/m.exec(short.log)?.[1] ?? 0) > LONG;
    const logLevel = long ? FIGURES : EVERY_INSTRUCTION;
    const linux = short !== undefined && long ? short : await this.#linux(kind, bytes, logLevel);
    let ours: Answer;
    try {
      ours = this.#ours(kind, bytes, logLevel);
    } catch (error) {
      const log = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return { linux, ours: { accepted: false, errno: -1, log }, difference: 'internal error' };
    }
    if (linux.accepted !== ours.accepted) return { linux, ours, difference: 'verdict' };
    if (linux.errno !== ours.errno) return { linux, ours, difference: 'errno' };
    if (withoutAddresses(linux.log) !== withoutAddresses(ours.log)) return { linux, ours, difference: 'log' };
    return { linux, ours };
  }
}

const addressOf = (fd: number): bigint => 0xffff_8880_0000_0000n + BigInt(fd) * 1024n;

/** Addresses of maps and of their values are the machine's. */
export const withoutAddresses = (log: string): string =>
  log
    .replace(/^verification time .*\n/m, '')
    .replace(/(\(18\) r\d+ = )0xffff[0-9a-f]{12}\b/g, '$1ADDRESS')
    .replace(/[ \t]+$/gm, '');

function readNumber(bytes: Uint8Array, offset: number, size: number): bigint | undefined {
  if (offset < 0 || offset + size > bytes.length) return undefined;
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[offset + i] as number);
  return value;
}
