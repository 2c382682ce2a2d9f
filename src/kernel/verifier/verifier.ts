// The state of one verification: the program, what was found out about each instruction, the path being followed and
// those that wait. The rules are in the rooms beside this file, each a module of functions that take the Verifier.

import { Errno } from '../../bpf/errno.js';
import { helperNames } from '../../bpf/helpers.js';
import { AttachType, ProgType } from '../../bpf/types.js';
import type { Btf } from '../../btf/index.js';
import { disassembleKernel } from '../../isa/disassemble.js';
import type { Instruction } from '../../isa/instruction.js';
import { CallSource } from '../../isa/opcodes.js';
import { isGplCompatible } from '../licenses.js';
import { type AttachTarget, findTarget } from './attach.js';
import { Backtracking } from './backtracking.js';
import { isTrusted } from './btf-access.js';
import type { Visits } from './components.js';
import { type Address, Domain, layout } from './domain.js';
import { type KernelVariable, kernelStruct, loadVariable, resolveVariable } from './kernel-types.js';
import { kfuncAt } from './kfuncs.js';
import type { ProgramLines } from './lines.js';
import { hasLock, kfuncAllowedUnderLock, recordAt } from './locks.js';
import { VerifierLog } from './log.js';
import type { AluMask } from './pointers.js';
import type { Capabilities, Environment, ProgramToVerify, VerifierMap } from './program.js';
import type { StackLiveness } from './stack-liveness.js';
import { rulesOf } from './tables/contexts/index.js';
import { type HelperContext, helperCapability } from './tables/helper-availability.js';
import { hookAllows } from './tables/hooks.js';
import type { HookSet, ProgramRules } from './tables/types.js';

/** The program was refused; the log says why. */
export class Rejection extends Error {
  readonly errno: Errno;
  constructor(errno: Errno) {
    super(`rejected: errno ${errno}`);
    this.name = 'Rejection';
    this.errno = errno;
  }
}

/** Facts about an instruction, as bits of `Verifier.marks`. */
export const Mark = {
  /** States are compared here. */
  PRUNE: 1,
  /** Reached by a jump, or follows one: a step of the history. */
  JUMP: 2,
  /** A checkpoint is always made here. */
  CHECKPOINT: 4,
  /** Calls a function that calls back. */
  CALLBACK: 8,
  /** Reached by a jump. */
  TARGET: 16,
  /** The verifier came here. */
  SEEN: 32,
  /** A call of an iterator's next function. */
  ITER_NEXT: 64,
  /** Part of a spill or fill around a call that keeps registers. */
  FASTCALL: 128,
  /** Speculation must stop before it. */
  NOSPEC: 256,
  /** Speculation must stop after it. */
  NOSPEC_RESULT: 512,
} as const;

/** A function of the program. */
export interface Subprog {
  /** First slot, and the slot after the last one. */
  readonly start: number;
  end: number;
  readonly name: string;
  /** BTF id of its FUNC; 0 when there is none. */
  readonly funcId: number;
  readonly global: boolean;
  /** Bytes of stack that it uses. */
  stackDepth: number;
  /** Lowest stack offset that only spills around fast calls use. */
  fastcallStackOff: number;
  keepFastcallStack: boolean;
  hasTailCall: boolean;
  tailCallReachable: boolean;
  hasLdAbs: boolean;
  changesPacket: boolean;
  mightSleep: boolean;
  isCallback: boolean;
  isAsyncCallback: boolean;
  isExceptionCallback: boolean;
  /** A global one was called, so it must be verified by itself. */
  called: boolean;
  verified: boolean;
  privateStack: 'unknown' | 'no' | 'adaptive';
  args?: readonly SubprogArg[];
}

/** What a global function may be given as an argument. */
export interface SubprogArg {
  readonly kind: 'anything' | 'ctx' | 'mem' | 'dynptr' | 'arena' | 'btf-id';
  readonly nullable: boolean;
  readonly readOnly?: boolean;
  readonly untrusted?: boolean;
  readonly trusted?: boolean;
  /** Bytes of `mem`. */
  readonly size?: number;
  readonly btf?: Btf;
  readonly btfId?: number;
}

/** A path that waits. */
interface Waiting {
  readonly state: Address;
  readonly insn: number;
  readonly previous: number;
  readonly logPosition: number;
}

/** A checkpoint. */
export interface Explored {
  readonly state: Address;
  hits: number;
  misses: number;
}

/** Instructions on all paths together (BPF_COMPLEXITY_LIMIT_INSNS), jumps that may wait (..._JMP_SEQ), frames. */
export const LIMITS = { instructions: 1_000_000, jumps: 8192, states: 64, frames: 8, stack: 512 } as const;

/** What is known of the map and key of a helper call: Linux inlines lookups only where all paths agree. */
export interface MapUse {
  map: VerifierMap;
  poisoned: boolean;
}

export class Verifier {
  readonly d = new Domain();
  readonly log: VerifierLog;
  readonly program: ProgramToVerify;
  readonly environment: Environment;
  readonly rules: ProgramRules;
  readonly caps: Capabilities;

  // The program, by slot.
  readonly length: number;
  readonly code: Uint8Array;
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  readonly off: Int16Array;
  readonly imm: Int32Array;

  // What was found out, by slot.
  readonly marks: Uint16Array;
  /** Registers (bits) that are read later, before each instruction. */
  readonly liveRegs: Uint16Array;
  /** Strongly connected component; 0: in no loop. */
  readonly component: Uint16Array;
  /** The map of a helper call or `ld_imm64`, or of a tail call. */
  readonly mapUse = new Map<number, MapUse>();
  /** What type of pointer an access goes through, where it must always be the same. */
  readonly pointerType = new Map<number, number>();

  /** Bytes of context that the program looks at (max_ctx_offset). */
  contextSize = 0;
  /** Calls whose spills are taken out, and how many there are. */
  readonly fastcallSpills = new Map<number, number>();
  /** Calls of bpf_loop that Linux would inline: always the same function, with flags 0. */
  readonly inlinedLoops = new Map<number, { readonly subprog: number; fits: boolean }>();
  /** How pointer arithmetic is masked against speculation. */
  readonly aluMasks = new Map<number, AluMask>();

  // What only rewriting asks for (rewrites/facts.ts), by slot.
  /** Types and nodes of allocated objects in calls of kernel functions. */
  readonly kfuncFacts = new Map<number, { btf?: Btf; typeId?: number; nodeOffset?: number }>();
  /** Calls that pass what a program allocated for each CPU. */
  readonly percpuCalls = new Set<number>();
  /** Calls of helpers that allocate, where nothing may sleep. */
  readonly atomicCalls = new Set<number>();
  /** Arithmetic with arena pointers. */
  readonly arenaAlu = new Set<number>();
  /** Packets are written through pointers. */
  writesPacket = false;

  readonly subprogs: Subprog[] = [];
  readonly maps: VerifierMap[] = [];
  readonly btfs: Btf[] = [];
  /** Maps that the program names. */
  readonly usedMaps = new Set<VerifierMap>();
  /** One of them is an arena. */
  arena = false;
  btf: Btf | undefined;
  /** What the program is attached to, for types that BTF describes. */
  attach: AttachTarget | undefined;
  readonly #variables = new Map<number, KernelVariable>();
  lines: ProgramLines | undefined;
  readonly visits: Visits = new Map();
  #stackLiveness: StackLiveness | undefined;
  readonly backtracking = new Backtracking();

  /** Scalars are exact and loops allowed: CAP_BPF. Without it every scalar counts as precise. */
  readonly allowPointerLeaks: boolean;
  readonly allowUninitStack: boolean;
  readonly bypassSpecV1: boolean;
  readonly bypassSpecV4: boolean;
  readonly bpfCapable: boolean;
  readonly strictAlignment: boolean;
  readonly testStateFrequency: boolean;
  exploreAluLimits = false;

  /** The path being followed. */
  state: Address = 0;
  insn = 0;
  previousInsn = -1;
  /** The history step of this instruction, once it has one. */
  step = 0;
  /** The last id that was given out. */
  ids = 0;
  readonly waiting: Waiting[] = [];
  readonly explored = new Map<number, Explored[]>();
  /** Checkpoints that are no longer compared with, while paths from them are still open. */
  readonly retired = new Set<Address>();
  /** Of all functions together, as Linux counts them. */
  exploredCount = 0;
  /** Edges back to checkpoints of loops that are still open. */
  backedgeCount = 0;
  retiredCount = 0;

  // Figures.
  processed = 0;
  jumps = 0;
  previousProcessed = 0;
  previousJumps = 0;
  totalStates = 0;
  peakStates = 0;
  maxStatesPerInsn = 0;
  longestMarkRead = 0;

  // What the log has to show of the state.
  scratchedRegs = 0;
  scratchedSlots = 0n;

  constructor(program: ProgramToVerify, environment: Environment) {
    this.program = program;
    this.environment = environment;
    this.log = new VerifierLog(environment.logLevel);
    const rules = rulesOf(program.type);
    if (!rules) throw new Rejection(Errno.EINVAL);
    this.rules = rules;
    this.caps = environment.capabilities;
    const bytes = program.instructions;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = bytes.length >> 3;
    this.length = length;
    this.code = new Uint8Array(length);
    this.dst = new Uint8Array(length);
    this.src = new Uint8Array(length);
    this.off = new Int16Array(length);
    this.imm = new Int32Array(length);
    for (let i = 0; i < length; i++) {
      this.code[i] = view.getUint8(i * 8);
      const registers = view.getUint8(i * 8 + 1);
      this.dst[i] = registers & 15;
      this.src[i] = registers >> 4;
      this.off[i] = view.getInt16(i * 8 + 2, true);
      this.imm[i] = view.getInt32(i * 8 + 4, true);
    }
    this.marks = new Uint16Array(length + 1);
    this.liveRegs = new Uint16Array(length);
    this.component = new Uint16Array(length);
    this.bpfCapable = this.caps.bpf;
    this.allowPointerLeaks = this.caps.perfmon;
    this.allowUninitStack = this.caps.perfmon;
    this.bypassSpecV1 = this.caps.perfmon;
    this.bypassSpecV4 = this.caps.perfmon;
    // BPF_F_STRICT_ALIGNMENT, BPF_F_ANY_ALIGNMENT, BPF_F_TEST_STATE_FREQ. x86-64 has efficient unaligned access.
    this.strictAlignment = (program.flags & 1) !== 0 && (program.flags & 2) === 0;
    this.testStateFrequency = (program.flags & 8) !== 0;
  }

  /** Writes `message` and a line end to the log and gives up. */
  reject(errno: Errno, message?: string): never {
    if (message !== undefined) this.log.write(`${message}\n`);
    throw new Rejection(errno);
  }

  /** A message of Linux for something that cannot happen; here as there it ends the verification. */
  bug(message: string): never {
    this.log.write(`verifier bug: ${message}\n`);
    throw new Rejection(Errno.EFAULT);
  }

  // ---- the current path

  get frameNumber(): number {
    return this.d.current(this.state);
  }
  get frame(): Address {
    return this.d.currentFrame(this.state);
  }
  frameAt(i: number): Address {
    return this.d.frame(this.state, i);
  }
  /** A register of the current frame. The address holds until a stack grows or the path changes. */
  reg(i: number): Address {
    return this.d.reg(this.frame, i);
  }
  stateField(field: number): number {
    return this.d.get(this.state, field);
  }
  setStateField(field: number, value: number): void {
    this.d.set(this.state, field, value);
  }
  get speculative(): boolean {
    return this.stateField(layout.State_speculative) !== 0;
  }
  subprogAt(slot: number): number {
    let low = 0;
    let high = this.subprogs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.subprogs[middle] as Subprog).start <= slot) low = middle;
      else high = middle - 1;
    }
    return low;
  }
  get subprog(): Subprog {
    return this.subprogs[this.d.get(this.frame, layout.Frame_subprog)] as Subprog;
  }
  newId(): number {
    return ++this.ids;
  }

  /** What `ld_imm64`s and registers refer to by number. */
  mapOf(r: Address): VerifierMap {
    return this.maps[this.d.object(r, 0)] as VerifierMap;
  }
  btfOf(r: Address): Btf {
    return this.btfs[this.d.object(r, 0)] as Btf;
  }
  /** The number of a BTF object in `btfs`. */
  btfNumber(btf: Btf): number {
    const known = this.btfs.indexOf(btf);
    return known >= 0 ? known : this.btfs.push(btf) - 1;
  }

  /** The number of a map in `maps`. */
  mapNumber(map: VerifierMap): number {
    const known = this.maps.indexOf(map);
    return known >= 0 ? known : this.maps.push(map) - 1;
  }

  get stackLiveness(): StackLiveness {
    if (!this.#stackLiveness) throw new Error('the stack is not followed yet');
    return this.#stackLiveness;
  }
  set stackLiveness(liveness: StackLiveness) {
    this.#stackLiveness = liveness;
  }

  // ---- checkpoints

  /** A function is done: its checkpoints are no use to the next. */
  forgetAll(): void {
    for (const list of this.explored.values()) for (const { state } of list) this.d.wasm.stateFree(state);
    for (const state of this.retired) this.d.wasm.stateFree(state);
    this.explored.clear();
    this.retired.clear();
    this.d.wasm.stateFree(this.state);
    this.state = 0;
  }

  /** States that are kept now, for the figure of the most at once. */
  notePeak(): void {
    this.peakStates = Math.max(this.peakStates, this.exploredCount + this.retiredCount + this.backedgeCount);
  }

  // ---- what the program may do

  get gplCompatible(): boolean {
    return isGplCompatible(this.program.license);
  }
  /** BPF_F_SLEEPABLE. */
  get programSleepable(): boolean {
    return (this.program.flags & 16) !== 0;
  }
  /** The current path may sleep, as far as the program's kind goes. */
  get sleepable(): boolean {
    return this.programSleepable || this.stateField(layout.State_sleepable) !== 0;
  }
  /** It may sleep here: no lock is held, nothing is disabled. */
  mayUseSleeping(): boolean {
    return this.sleepable && this.nonSleepableContext() === 'sleepable context';
  }
  nonSleepableContext(): string {
    if (this.stateField(layout.State_rcuLocks)) return 'RCU critical section';
    if (this.stateField(layout.State_preemptLocks)) return 'non-preemptible region';
    if (this.stateField(layout.State_irqId)) return 'IRQ-disabled region';
    if (this.stateField(layout.State_activeLocks)) return 'lock-held region';
    return this.sleepable ? 'sleepable context' : 'non-sleepable context';
  }
  /** The one who loads has the capability that a helper asks for. */
  capableOf(name: string): boolean {
    const capability = helperCapability(name);
    return capability === undefined || this.caps[capability];
  }
  get helperContext(): HelperContext {
    const { attach: target } = this;
    return {
      attach: this.program.expectedAttachType,
      ...(target?.struct ? { structOps: { struct: target.struct, member: target.name } } : {}),
      ...(target ? { target: target.name } : {}),
    };
  }
  /** A helper that only some attach points may call: this is one. */
  hookAllows(set: HookSet): boolean {
    const { type, expectedAttachType: attach } = this.program;
    return this.attach !== undefined && hookAllows(set, { type, attach, target: this.attach.name });
  }
  /** What the program is attached to returns nothing. */
  get targetReturnsVoid(): boolean {
    return this.attach?.proto.returnType === 0;
  }
  /** The program's function returns nothing, so nothing is asked of r0. */
  get returnsNothing(): boolean {
    const { type, expectedAttachType: attach } = this.program;
    if (type === ProgType.Lsm && attach === AttachType.LsmCgroup) return false;
    return (type === ProgType.Lsm || type === ProgType.StructOps) && this.targetReturnsVoid;
  }
  /** Accesses to the context are rewritten: it is no plain memory. */
  get contextTranslated(): boolean {
    return this.rules.context.kind === 'fields';
  }
  get cpus(): number {
    return this.environment.cpus;
  }
  /** While a lock is held only its release, lists and trees, and functions of the program may be called. */
  callAllowedUnderLock(slot: number): boolean {
    const src = this.src[slot];
    if (src === CallSource.HELPER) return helperNames[this.imm[slot] as number] === 'spin_unlock';
    if (src !== CallSource.KFUNC) return true;
    const name = this.off[slot] === 0 ? kfuncAt(this, slot)?.name : undefined;
    return name !== undefined && kfuncAllowedUnderLock(name);
  }
  checkAttach(): void {
    this.attach = findTarget(this);
  }

  // ---- kernel types

  isTrusted(r: Address): boolean {
    return isTrusted(this, r);
  }
  mayPointToLock(r: Address): boolean {
    return hasLock(recordAt(this, r));
  }
  /** A BTF pointer leads to a structure of the kernel. */
  setKernelType(r: Address, name: string): void {
    const { btf, id } = kernelStruct(this, name);
    this.d.setObject(r, 0, this.btfNumber(btf));
    this.d.setObject(r, 1, id);
  }
  setKernelVariable(r: Address, slot: number): void {
    const variable = this.#variables.get(slot);
    if (!variable) this.bug('pseudo btf id: unexpected dst reg type');
    loadVariable(this, r, variable);
  }
  resolveKernelVariable(slot: number): void {
    this.#variables.set(slot, resolveVariable(this, slot));
  }

  // ---- what the log shows

  scratchReg(i: number): void {
    this.scratchedRegs |= 1 << i;
  }
  scratchSlot(i: number): void {
    if (this.log.path) this.scratchedSlots |= 1n << BigInt(i);
  }
  scratchAll(): void {
    this.scratchedRegs = 0x7ff;
    this.scratchedSlots = 0xffff_ffff_ffff_ffffn;
  }
  scratchNone(): void {
    this.scratchedRegs = 0;
    this.scratchedSlots = 0n;
  }

  /** The source line of a slot, unless it was shown last. */
  showLine(slot: number): void {
    if (!this.log.needed || !this.lines) return;
    const text = this.lines.next(slot);
    if (text !== undefined) this.log.write(`; ${text}\n`);
  }

  /** An instruction as the log prints it. */
  textOf(slot: number): string {
    const insn: Instruction = {
      opcode: this.code[slot] as number,
      dst: this.dst[slot] as number,
      src: this.src[slot] as number,
      offset: this.off[slot] as number,
      imm: this.imm[slot] as number,
      ...(this.code[slot] === 0x18 ? { immHigh: this.imm[slot + 1] as number } : {}),
    };
    return disassembleKernel(insn, {
      imm64: (it, value) => this.#imm64(slot, it, value),
      call: (it) => this.#callee(slot, it),
    });
  }
  #callee(slot: number, { src, imm }: Instruction): string | undefined {
    if (src === CallSource.HELPER) {
      const name = helperNames[imm];
      return name === undefined ? undefined : `bpf_${name}`;
    }
    return src === CallSource.KFUNC ? kfuncAt(this, slot)?.name : undefined;
  }
  /** Addresses are shown to those who may know them. */
  #imm64(slot: number, insn: Instruction, value: bigint): string {
    const map = this.mapUse.get(slot)?.map;
    if (insn.src === 0 || !map) return `0x${value.toString(16)}`;
    return this.allowPointerLeaks ? `0x${(map.address ?? 0n).toString(16)}` : '0x0';
  }
}
